/** An IPI to and fro between two vCPUs: send, upcall, handler, send back, block. vCPU 0 returns ns per round trip. */
import { defineScenario } from 'upcall';
import { Events, haltUntil } from 'upcall/guest';

export default defineScenario({
  name: 'bench-ipi',
  vcpus: 2,
  words: { ports: [0, 0] },
  args: { rounds: 2000, warmUp: 200 },
  guest(vcpu) {
    const { rounds, warmUp } = vcpu.domain.args;
    const { ports } = vcpu.words;
    const events = new Events(vcpu);
    // As Linux does: the timer Xen starts by itself is not wanted.
    vcpu.hypercall.vcpu.stopPeriodicTimer(vcpu.id);
    let received = 0;
    ports[vcpu.id]?.store(
      events.bindIpi(() => {
        received++;
      }),
    );
    const peer = ports[1 - vcpu.id];
    while (peer?.load() === 0) vcpu.relax();
    const peerPort = peer?.load() ?? 0;
    const awaitRound = (round: number) => haltUntil(vcpu, () => received >= round);
    let start = 0;
    for (let round = 1; round <= warmUp + rounds; round++) {
      if (round === warmUp + 1) start = vcpu.now();
      if (vcpu.id === 1) awaitRound(round);
      vcpu.hypercall.evtchn.send(peerPort);
      if (vcpu.id === 0) awaitRound(round);
    }
    return (vcpu.now() - start) / rounds;
  },
});
