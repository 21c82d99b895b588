/**
 * Frames over a wire between two domains. `answered`: each is sent back before the next one leaves; the client returns ns per round
 * trip. Otherwise one way, as fast as buffers come free, and an answer to the last; the client returns ns per frame.
 */
import { defineScenario } from 'upcall';
import { Events, layWire, NetFront, type Vcpu, Xenstore } from 'upcall/guest';

const DEFAULTS = { answered: true, rounds: 2000, warmUp: 200, bytes: 64, depth: 32 };

function openCard(vcpu: Vcpu, peer: string, depth: number): NetFront {
  const events = new Events(vcpu);
  vcpu.hypercall.vcpu.stopPeriodicTimer(vcpu.id);
  return new NetFront(
    vcpu,
    layWire(events, new Xenstore(events), vcpu.domain.domains[peer] ?? 0, () => {}),
    depth,
  );
}

function client(vcpu: Vcpu): number {
  const { answered, rounds, warmUp, bytes, depth } = { ...DEFAULTS, ...vcpu.domain.args };
  const card = openCard(vcpu, 'server', depth);
  const frame = new Uint8Array(bytes).fill(7);
  let start = 0;
  for (let round = 1; round <= warmUp + rounds; round++) {
    if (round === warmUp + 1) start = vcpu.now();
    card.waitForBuffer();
    card.send(frame);
    if (answered) card.waitForFrame();
  }
  if (!answered) card.waitForFrame();
  return (vcpu.now() - start) / rounds;
}

function server(vcpu: Vcpu): void {
  const { answered, rounds, warmUp, depth } = { ...DEFAULTS, ...vcpu.domain.args };
  const card = openCard(vcpu, 'client', depth);
  for (let round = 1; round <= warmUp + rounds; round++) {
    const frame = card.waitForFrame();
    if (frame !== undefined && (answered || round === warmUp + rounds)) card.send(frame);
  }
}

export default defineScenario({
  name: 'bench-net',
  xenstore: true,
  args: DEFAULTS,
  domains: { client: { guest: client }, server: { guest: server } },
});
