/**
 * The out-of-band set-up of an interdomain event channel, step by step: one domain allocates an unbound port and advertises it
 * in xenstore, the other finds it there and binds it.
 *
 * Teaches: who may see a node (a domain's own nodes are closed to others until it opens them), why one watches before one looks,
 * why the binding side gets an event nobody sent, how a node of one domain asks another to end (control/shutdown), and that all
 * this is guest code: it runs on threads, it is explored, it is replayed.
 *
 *     npx upcall run examples/xenstore-handshake.ts
 *     npx upcall explore examples/xenstore-handshake.ts --strategy pct --max-executions 200
 *     npx upcall stress examples/xenstore-handshake.ts --iterations 1000
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { Events, haltUntil, Xenstore, XenstoreError } from 'upcall/guest';

export default defineScenario({
  name: 'xenstore-handshake',
  description: 'two domains find each other through xenstore and shake hands over an event channel',
  args: { knocks: 3 },
  xenstore: true,

  domains: {
    listener: {
      words: { heard: 0 },
      guest(vcpu) {
        const { heard } = vcpu.words;
        const { domains, id, args } = vcpu.domain;
        const events = new Events(vcpu);
        const store = new Xenstore(events);
        vcpu.log(
          `1. ${store.read('name')} is domain ${store.read('domid')}; its own nodes are in ${store.getDomainPath(id)}`,
        );

        const port = vcpu.hypercall.evtchn.allocUnbound(DOMID_SELF, domains.caller!);
        events.bindEvtchn(port, (mine) => {
          heard.write(heard.read() + 1);
          vcpu.hypercall.evtchn.send(mine);
        });
        vcpu.log(`2. port ${port} waits for domain ${domains.caller}, unbound`);

        // Both at once: nobody sees the port before it may be read, or the permission without the port.
        store.transaction((nodes) => {
          nodes.write('data/door', port);
          nodes.setPermissions('data/door', [`n${id}`, `r${domains.caller}`]);
        });
        vcpu.log('3. the port is in data/door, open to that domain alone');

        haltUntil(vcpu, () => heard.read() === args.knocks);
        vcpu.log(`7. heard ${args.knocks} knocks`);
      },
    },

    caller: {
      words: { answers: 0 },
      guest(vcpu) {
        const { answers } = vcpu.words;
        const { domains, args } = vcpu.domain;
        const events = new Events(vcpu);
        const store = new Xenstore(events);
        const door = `${store.getDomainPath(domains.listener!)}/data/door`;

        // Watch first, then look, then look again whenever the watch fires. It fires once at once, and the other way round
        // a change between the look and the watch would be missed.
        store.watch(door);
        let remote: string | undefined;
        while (remote === undefined) {
          store.nextEvent();
          remote = look(store, door);
          vcpu.log(
            remote === undefined
              ? '4. nothing to be seen yet: sleep until the watch fires'
              : `5. the door is port ${remote}`,
          );
        }

        const port = events.bindInterdomain(domains.listener!, Number(remote), () => answers.write(answers.read() + 1));
        // The hypervisor makes up one event for those sent before the binding. It is not an answer.
        haltUntil(vcpu, () => answers.read() === 1);
        answers.write(0);
        vcpu.log(`6. port ${port} here is bound to port ${remote} there: knock ${args.knocks} times`);
        for (let knock = 1; knock <= args.knocks; knock++) {
          vcpu.hypercall.evtchn.send(port);
          haltUntil(vcpu, () => answers.read() === knock);
        }
        return answers.read();
      },
    },
  },

  check({ domains, args }) {
    assert.equal(domains.listener!.words.heard.read(), args.knocks, 'every knock was heard');
    assert.equal(domains.caller!.words.answers.read(), args.knocks, 'every knock was answered');
  },
});

/** The node's value; undefined while there is none, or none for us: which of the two, the store does not tell. */
function look(store: Xenstore, path: string): string | undefined {
  try {
    return store.read(path);
  } catch (error) {
    if (error instanceof XenstoreError && (error.code === 'EACCES' || error.code === 'ENOENT')) return undefined;
    throw error;
  }
}
