/**
 * A network card receives packets into a ring in the guest's memory and raises a physical interrupt; the driver drains the
 * ring and acknowledges the interrupt.
 *
 * Teaches: binding a PIRQ, what PHYSDEVOP_eoi is for, and a ring that a device fills while the driver empties it.
 *
 *     npx upcall run examples/pirq-nic.ts --args '{"packets": 1000}'
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { Events, haltUntil } from 'upcall/guest';

const NIC_PIRQ = 5;
const RING_SLOTS = 8;

/** What packet number n carries: something that a packet lost, repeated or read too early would change. */
function payload(n: number): number {
  return (n * 2654435761) | 0;
}

export default defineScenario({
  name: 'pirq-nic',
  description: 'a device raising PIRQs, a driver with a receive ring and EOI',
  pirqs: [NIC_PIRQ],
  words: { ring: new Array(RING_SLOTS).fill(0), produced: 0, consumed: 0, ready: 0, checksum: 0, interrupts: 0 },
  args: { packets: 40 },

  devices: {
    nic(device) {
      const { ring, produced, consumed, ready } = device.domain.words;
      while (ready.load() === 0) device.sleep(20_000);
      for (let n = 0; n < device.args.packets; n++) {
        while (n - consumed.load() === RING_SLOTS) device.sleep(20_000);
        // Data, then index: the driver reads a slot only after it has seen the index move past it.
        ring[n % RING_SLOTS].write(payload(n));
        produced.store(n + 1);
        device.raisePirq(NIC_PIRQ);
      }
    },
  },

  guest(vcpu) {
    const { ring, produced, consumed, ready, checksum, interrupts } = vcpu.words;
    const { packets } = vcpu.domain.args;
    const events = new Events(vcpu);

    /** Takes every packet that is in the ring. */
    const drain = () => {
      for (let n = consumed.read(); n !== produced.load(); n++) {
        checksum.write((checksum.read() * 31 + ring[n % RING_SLOTS]!.read()) | 0);
        consumed.store(n + 1);
      }
    };

    events.bindPirq(NIC_PIRQ, () => {
      interrupts.write(interrupts.read() + 1);
      drain();
      // Until this the line is silent, so a burst of packets costs one interrupt. One that comes after the drain's
      // last look is not forgotten: its interrupt waits for the EOI and fires then. Without the EOI this handler
      // would not run again.
      vcpu.hypercall.physdev.eoi(NIC_PIRQ);
    });
    ready.store(1);

    haltUntil(vcpu, () => consumed.read() === packets);
    return { packets: consumed.read(), interrupts: interrupts.read() };
  },

  check({ words, args }) {
    let expected = 0;
    for (let n = 0; n < args.packets; n++) expected = (expected * 31 + payload(n)) | 0;
    assert.equal(words.consumed.read(), args.packets, 'every packet arrived');
    assert.equal(words.checksum.read(), expected, 'each packet once, in order, complete');
    assert.ok(words.interrupts.read() <= args.packets, 'no interrupt without a packet');
  },
});
