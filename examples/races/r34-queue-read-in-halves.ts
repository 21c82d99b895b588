/**
 * R34: which queue an event was on last is kept in two words, and read while one of them is new and the other old.
 *
 * Where: xen 1277cb9dc5 and 6f6f07b64c: last_vcpu_id and last_priority became one word.
 *
 * The fault is in the hypervisor, so both sides are written out here in named words: vCPU 0 plays a sender that moves the
 * event to another queue, vCPU 1 one that wants to lock the queue it is on.
 * 1. vCPU 0 writes the new vCPU.
 * 2. vCPU 1 reads the new vCPU and the old priority: the lock of a queue the event never was on.
 * 3. vCPU 0 writes the new priority.
 * vCPU 1 changes a queue whose lock it does not hold.
 *
 * Invariant: a pair that is read was once written as a pair.
 * Seen as: assertion, under sc and tso. It takes one preemption.
 *
 *   upcall explore examples/races/r34-queue-read-in-halves.ts
 *   upcall explore examples/races/r34-queue-read-in-halves.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const PRIORITIES = 16;
const OLD = { vcpu: 0, priority: 7 };
const NEW = { vcpu: 1, priority: 3 };

const queueOf = ({ vcpu, priority }: typeof OLD): number => vcpu * PRIORITIES + priority;

export default defineScenario({
  name: 'r34-queue-read-in-halves',
  description: 'the queue an event was on last is read as a new vCPU and an old priority: the wrong queue is locked',
  words: { lastVcpu: OLD.vcpu, lastPriority: OLD.priority, lastQueue: queueOf(OLD) },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { lastPriority, lastQueue, lastVcpu } = vcpu.words;
      if (vcpu.domain.args.variant === 'fixed') {
        lastQueue.write(queueOf(NEW));
      } else {
        lastVcpu.write(NEW.vcpu);
        lastPriority.write(NEW.priority);
      }
    },
    (vcpu) => {
      const { lastPriority, lastQueue, lastVcpu } = vcpu.words;
      const queue =
        vcpu.domain.args.variant === 'fixed'
          ? lastQueue.read()
          : queueOf({ vcpu: lastVcpu.read(), priority: lastPriority.read() });
      const ever = queue === queueOf(OLD) || queue === queueOf(NEW);
      vcpu.assert(ever, `the event was never on queue ${queue % PRIORITIES} of vCPU ${queue >> 4}`);
    },
  ],
});
