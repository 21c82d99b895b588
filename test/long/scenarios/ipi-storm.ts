/**
 * Every vCPU sends to every other, round after round, and sleeps now and then until it has mail. A vCPU with a slot in
 * shared_info moves its vcpu_info elsewhere in the middle of it.
 */
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, haltUntil, placeVcpuInfo } from '../../../lib/guest';
import { awaitAll, Tally } from './tally';

/** Rounds between two sleeps. */
const ROUNDS_AWAKE = 4;
const MOVE_AFTER_ROUNDS = 3;

export default defineScenario({
  name: 'ipi-storm',
  vcpus: 40,
  words: { ports: new Array<number>(128).fill(0), mail: new Array<number>(128).fill(0), ready: 0, done: 0, silent: 0 },
  args: { rounds: 10, seconds: 0 },
  frames: 256,
  guest(vcpu) {
    const { ports, mail, ready, done, silent } = vcpu.words;
    const { id } = vcpu;
    const { vcpus } = vcpu.domain;
    const { rounds, seconds } = vcpu.domain.args;
    const tally = new Tally(vcpu);
    const events = new Events(vcpu);
    const hasSlot = vcpu.info.address < 0x2000;
    ports[id]!.store(events.bindIpi(tally.handlerOf(mail[id]!)));
    ready.add(1);
    awaitAll(vcpu, ready);

    const sendAround = () => {
      for (let far = 1; far < vcpus; far++) {
        const target = (id + far) % vcpus;
        tally.send(ports[target]!.read(), mail[target]!);
      }
    };
    const end = vcpu.now() + seconds * 1e9;
    let round = 0;
    while (seconds === 0 ? round < rounds : vcpu.now() < end) {
      sendAround();
      round++;
      if (round === MOVE_AFTER_ROUNDS && hasSlot) placeVcpuInfo(vcpu);
      if (round % ROUNDS_AWAKE !== 0) continue;
      // Whoever sleeps last has sent to all others before; whoever leaves does too: somebody is always awake.
      const before = tally.handled;
      haltUntil(vcpu, () => tally.handled !== before || done.load() !== 0);
    }
    done.add(1);
    sendAround();
    silent.add(1);
    awaitAll(vcpu, silent);
    vcpu.hypercall.xenVersion();
    return tally.result();
  },
});
