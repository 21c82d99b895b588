/**
 * A network card fills a ring and raises a physical interrupt; its driver drains the ring and acknowledges.
 *
 * Teaches: binding a PIRQ, what PHYSDEVOP_eoi is for, and a ring that a device fills while the driver empties it.
 *
 *     npx upcall run examples/pirq-nic.ts --args '{"packets": 1000}'
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { Events, haltUntil, irqDisable } from 'upcall/guest';

const NIC_PIRQ = 5;
const RING_SLOTS = 16;
const PACKET_GAP_NS = 50_000;

/** What packet number n carries: something that a packet repeated, or read too early, would change. */
function payload(n: number): number {
  return (n * 2654435761) | 0;
}

export default defineScenario({
  name: 'pirq-nic',
  description: 'a device raising PIRQs, a driver with a receive ring and EOI',
  pirqs: [NIC_PIRQ],
  words: {
    ring: new Array(RING_SLOTS).fill(0),
    // Written by the card.
    produced: 0,
    dropped: 0,
    // Written by the driver.
    consumed: 0,
    checksum: 0,
    interrupts: 0,
  },
  // An exploration sees 16 sleeps of a device: enough for these.
  args: { packets: 12 },

  devices: {
    nic(device) {
      const { ring, produced, dropped, consumed } = device.domain.words;
      for (let n = 0; n < device.args.packets; n++) {
        const slot = produced.read();
        if (slot - consumed.load() === RING_SLOTS) {
          dropped.store(dropped.read() + 1);
        } else {
          // Data, then index: the driver reads a slot only after it has seen the index move past it.
          ring[slot % RING_SLOTS].write(payload(slot));
          produced.store(slot + 1);
        }
        device.raisePirq(NIC_PIRQ);
        device.sleep(PACKET_GAP_NS);
      }
    },
  },

  guests: [
    (vcpu) => {
      const { ring, produced, dropped, consumed, checksum, interrupts } = vcpu.words;
      const { packets } = vcpu.domain.args;
      const events = new Events(vcpu);

      /** Takes every packet that is in the ring. With upcalls disabled: the handler does the same. */
      const drain = () => {
        for (let n = consumed.read(); n !== produced.load(); n++) {
          checksum.write((checksum.read() * 31 + ring[n % RING_SLOTS]!.read()) | 0);
          consumed.store(n + 1);
        }
      };

      irqDisable(vcpu);
      events.bindPirq(NIC_PIRQ, () => {
        interrupts.write(interrupts.read() + 1);
        drain();
        // Until this the line is silent, so a burst of packets costs one interrupt. One that comes after the drain's
        // last look is not forgotten: its interrupt waits for the EOI and fires then. Without the EOI this handler
        // would not run again.
        vcpu.hypercall.physdev.eoi(NIC_PIRQ);
      });
      // Interrupts from before the bind went nowhere. Without this look, and no further packet, theirs would stay.
      drain();
      haltUntil(vcpu, () => consumed.read() + dropped.load() === packets);
      return { consumed: consumed.read(), dropped: dropped.read(), interrupts: interrupts.read() };
    },
  ],

  check({ words, args }) {
    const consumed = words.consumed.read();
    let expected = 0;
    for (let n = 0; n < consumed; n++) expected = (expected * 31 + payload(n)) | 0;
    assert.equal(consumed + words.dropped.read(), args.packets, 'every packet arrived, or was dropped by the card');
    assert.equal(words.checksum.read(), expected, 'each packet once, in order, complete');
    assert.ok(words.interrupts.read() <= args.packets, 'no interrupt without a packet');
  },
});
