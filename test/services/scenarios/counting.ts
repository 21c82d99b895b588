/** Clients that write, read, remove and count in transactions on the same few nodes, and record what they saw and when. */
import { defineScenario, type Vcpu } from 'upcall';
import { Events, Xenstore } from 'upcall/guest';
import { isLinearizable } from '../support/linearizable';

/** One operation of a history: [kind, value written or read, begun, over]. Times are of one clock for all. */
export type Recorded = readonly [kind: string, value: string, begun: number, over: number];

function client(vcpu: Vcpu): readonly Recorded[] {
  const { operations, node } = vcpu.domain.args;
  const store = new Xenstore(new Events(vcpu));
  const history: Recorded[] = [];
  // Of the first domain, since all of them have the machine's order of its changes.
  const stamp = () =>
    vcpu.domain.id === 1 ? vcpu.words.clock.add(1) : vcpu.foreignMemory(1).add32(vcpu.domain.args.clock, 1);
  for (let i = 0; i < operations; i++) {
    const kind = ['write', 'read', 'rm', 'add'][vcpu.choose(4)] as string;
    const begun = stamp();
    let value = '';
    if (kind === 'write') {
      value = `${vcpu.domain.id}${i}`;
      store.write(node, value);
    } else if (kind === 'read') value = store.readIfExists(node) ?? 'none';
    else if (kind === 'rm') store.rm(node);
    else {
      value = store.transaction((nodes) => {
        const old = nodes.readIfExists(node) ?? 'none';
        nodes.write(node, `${old}+`);
        return old;
      });
    }
    history.push([kind, value, begun, stamp()]);
  }
  return history;
}

// The clock is a word of the first domain; the others, control domains, reach it there.
const domain = { words: { clock: 0 }, privileged: true, guest: client };

export default defineScenario({
  name: 'counting',
  args: { operations: 3, node: '/tool/n', clock: 0x4000 },
  xenstore: true,
  domains: { one: domain, two: domain, three: domain },
  setup({ domains, args }) {
    if (domains.one!.words.clock.address !== args.clock) throw new Error('the clock is elsewhere');
  },
  check({ resultsOf }) {
    const history = ['one', 'two', 'three'].flatMap((name) => resultsOf[name]?.[0] as readonly Recorded[]);
    if (!isLinearizable(history))
      throw new Error(`no order of these operations explains them: ${JSON.stringify(history)}`);
  },
});
