/**
 * Waves through a binary tree of vCPUs: each passes the event on to its two children, the last one of all that has it tells the
 * root, which starts the next wave. Nobody is awake in between.
 */
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, haltUntil } from '../../../lib/guest';
import { awaitAll, Tally } from './tally';

export default defineScenario({
  name: 'broadcast-tree',
  vcpus: 40,
  words: { ports: new Array<number>(128).fill(0), mail: new Array<number>(128).fill(0), ready: 0, reached: 0, last: 0 },
  args: { rounds: 20, seconds: 0 },
  frames: 256,
  guest(vcpu) {
    const { ports, mail, ready, reached, last } = vcpu.words;
    const { id } = vcpu;
    const { vcpus } = vcpu.domain;
    const { rounds, seconds } = vcpu.domain.args;
    const tally = new Tally(vcpu);
    const events = new Events(vcpu);
    const sendTo = (target: number) => tally.send(ports[target]!.read(), mail[target]!);
    const take = tally.handlerOf(mail[id]!);
    const passOn = () => {
      for (const child of [2 * id + 1, 2 * id + 2]) if (child < vcpus) sendTo(child);
      if (reached.add(1) + 1 < vcpus) return;
      reached.store(0);
      sendTo(0);
    };
    ports[id]!.store(
      events.bindIpi(() => {
        take();
        if (id !== 0) passOn();
      }),
    );
    ready.add(1);
    awaitAll(vcpu, ready);

    if (id !== 0) {
      // The last wave is marked before it starts; whoever has got it has passed it on.
      haltUntil(vcpu, () => last.load() !== 0 && tally.handled === last.load());
      return tally.result();
    }
    const end = vcpu.now() + seconds * 1e9;
    for (let wave = 1; ; wave++) {
      if (seconds === 0 ? wave === rounds : vcpu.now() >= end) last.store(wave);
      passOn();
      haltUntil(vcpu, () => tally.handled === wave);
      if (last.load() !== 0) return tally.result();
    }
  },
});
