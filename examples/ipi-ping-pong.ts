/**
 * Two vCPUs play ping-pong with inter-processor interrupts.
 *
 * Teaches: binding an IPI port, sending to it, and sleeping until an event has come without ever missing it.
 *
 *     npx upcall run examples/ipi-ping-pong.ts --args '{"rounds": 10000}'
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { Events, haltUntil, type Vcpu } from 'upcall/guest';

function play(vcpu: Vcpu): unknown {
  const { ports, received } = vcpu.words;
  const mine = vcpu.id;
  const other = 1 - mine;
  const events = new Events(vcpu);

  // The handler runs as an upcall on this vCPU, between any two accesses of the code below. Only this vCPU writes the
  // word, so plain reads and writes do.
  const port = events.bindIpi(() => received[mine].write(received[mine].read() + 1));

  // Only a port that has its handler is made known; the other side cannot send to it earlier.
  ports[mine].store(port);
  while (ports[other].load() === 0) vcpu.relax();
  const peer = ports[other].load();

  for (let round = 1; round <= vcpu.domain.args.rounds; round++) {
    if (mine === 0) vcpu.hypercall.evtchn.send(peer);
    // Here would be the race: look, find nothing, be interrupted, and go to sleep on an event that is already gone.
    // haltUntil looks with upcalls disabled; block() enables them as it falls asleep.
    haltUntil(vcpu, () => received[mine].read() >= round);
    if (mine === 1) vcpu.hypercall.evtchn.send(peer);
  }
  return { received: received[mine].read() };
}

export default defineScenario({
  name: 'ipi-ping-pong',
  description: 'two vCPUs, each asleep until the other sends an IPI',
  words: { ports: [0, 0], received: [0, 0] },
  args: { rounds: 100 },

  guests: [play, play],

  // An event is a bit, not a count; here none can merge with another, since each waits for the one before.
  check({ words, args }) {
    assert.equal(words.received[0]!.read(), args.rounds, 'every ping was answered');
    assert.equal(words.received[1]!.read(), args.rounds, 'every ping arrived');
  },
});
