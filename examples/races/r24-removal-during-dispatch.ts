/**
 * R24: a port is removed and its record freed while another vCPU's upcall is using it.
 *
 * Where: Linux 073d0552ead5 (XSA-331, CVE-2020-27675). The lock it added could deadlock (87797fad6cce, XSA-441,
 * CVE-2023-34324); today the record is freed after a grace period.
 *
 * 1. vCPU 0 takes the upcall, looks up the port's record, runs the handler.
 * 2. vCPU 1 clears the table's entry, closes the port, frees the record.
 * 3. vCPU 0 uses the record to end the interrupt.
 *
 * Invariant: a record used by an upcall is alive.
 * Seen as: assertion (in the upcall), under sc and tso. It takes one preemption.
 * Variant locked is the shape of what was wrong with the lock, not its exact cycle: the upcall waits for the lock,
 * and its holder waits for the upcall to end. Seen as: deadlock, under sc and tso. It takes one preemption.
 * The cure: vCPU 1 takes the entry out, then waits until no upcall is under way, and holds nothing meanwhile. An upcall
 * that begins later does not find the entry. Each side stores and then looks at the other's word: both are atomic.
 *
 * Both event-channel ABIs have it.
 *
 *   upcall explore examples/races/r24-removal-during-dispatch.ts [--events fifo]
 *   upcall explore examples/races/r24-removal-during-dispatch.ts --args '{"variant":"locked"}'
 *   upcall explore examples/races/r24-removal-during-dispatch.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts, type Vcpu, type Word } from 'upcall/guest';

const PORT = 1;
/** What the handler reads, and what stopping the device reads: both take their time. */
const DEVICE_REGISTERS = 8;

/** Sleeps until the word is 0. */
function awaitZero(vcpu: Vcpu, word: Word): void {
  for (let value = word.load(); value !== 0; value = word.load()) vcpu.memory.wait32(word.address, value);
}

/** Adds to a word that somebody may wait for. */
function change(vcpu: Vcpu, word: Word, by: number): void {
  word.add(by);
  vcpu.memory.notify32(word.address);
}

export default defineScenario({
  name: 'r24-removal-during-dispatch',
  description: 'an upcall uses the record of a port that another vCPU is removing',
  /** The entry of the port in the kernel's table, and whether the record it leads to is allocated. */
  words: { entry: 1, alive: 1, upcalls: 0, lock: 0, device: 0 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain);
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(PORT);
  },
  guests: [
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { info } = vcpu;
      const { alive, device, entry, lock, upcalls } = vcpu.words;
      const ports = barePorts(vcpu);

      function dispatch(): void {
        if (entry.load() === 0) return;
        ports.pending(PORT).clear();
        for (let register = 0; register < DEVICE_REGISTERS; register++) device.read();
        vcpu.assert(alive.load() === 1, 'the record was freed while the upcall uses it');
      }

      function serve(): void {
        if (variant === 'buggy') {
          dispatch();
          return;
        }
        upcalls.add(1);
        if (variant === 'locked') while (lock.compareExchange(0, 1) !== 0) awaitZero(vcpu, lock);
        dispatch();
        if (variant === 'locked') change(vcpu, lock, -1);
        change(vcpu, upcalls, -1);
      }

      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), serve);
      });

      info.evtchn_upcall_mask.write(0);
      if (info.evtchn_upcall_pending.read() !== 0) vcpu.hypercall.xenVersion();
    },
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { alive, device, entry, lock, upcalls } = vcpu.words;
      for (let register = 0; register < DEVICE_REGISTERS; register++) device.read();
      if (variant === 'locked') while (lock.compareExchange(0, 1) !== 0) awaitZero(vcpu, lock);
      entry.store(0);
      vcpu.hypercall.evtchn.close(PORT);
      if (variant !== 'buggy') awaitZero(vcpu, upcalls);
      alive.store(0);
      if (variant === 'locked') change(vcpu, lock, -1);
    },
  ],
});
