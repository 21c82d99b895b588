/**
 * R22: a port is moved while its handler runs, and the next event runs the same handler on the new vCPU.
 *
 * Where: Linux b6622798bc50 gave each port an "active" flag (3de218ff39b9 keeps it longer for late EOIs); nanos
 * 810caee5 let whichever vCPU looked serve all ports of a word.
 *
 * 1. vCPU 0 takes the upcall, clears the pending bit, enters the handler.
 * 2. vCPU 1 moves the port to itself, by the rules.
 * 3. vCPU 1 sends the next event: announced on vCPU 1.
 * 4. vCPU 1 takes the upcall and enters the handler, where vCPU 0 still is.
 *
 * Invariant: two runs of one port's handler do not overlap.
 * Seen as: assertion (in the handler), under sc and tso. It takes one preemption.
 * The cure: a word per port. Who finds the handler running leaves a note to run it again, and goes.
 *
 * Under the FIFO ABI there are no filters here: whoever takes an event off its queue serves it.
 *
 *   upcall explore examples/races/r22-two-vcpus-in-one-handler.ts [--events fifo]
 *   upcall explore examples/races/r22-two-vcpus-in-one-handler.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;
/** Sending on this end raises PORT. */
const FAR_END = 2;

/** What the handler reads: it takes its time. */
const DEVICE_REGISTERS = 12;

// Bits of the word `active`.
const RUNNING = 1;
const AGAIN = 2;

export default defineScenario({
  name: 'r22-two-vcpus-in-one-handler',
  description: 'a port is moved while its handler runs: the next event enters the handler a second time',
  /** `server` is the vCPU that serves PORT: the private filters of both vCPUs in one word. */
  words: { server: 0, active: 0, inside: 0, device: 0, events: 1 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    const { evtchn } = domain.hypercall;
    // Connecting makes an event up at the far end, where nobody waits for one.
    bootPorts(domain).mask(FAR_END).set();
    evtchn.allocUnbound(DOMID_SELF, DOMID_SELF);
    evtchn.bindInterdomain(DOMID_SELF, PORT);
    evtchn.send(FAR_END);
  },
  vcpus: 2,
  guest(vcpu) {
    const fixed = vcpu.domain.args.variant === 'fixed';
    const { info } = vcpu;
    const { active, device, events, inside, server } = vcpu.words;
    const { evtchn } = vcpu.hypercall;
    const filtered = vcpu.domain.events === '2l';
    const ports = barePorts(vcpu);

    function handler(): void {
      vcpu.assert(inside.exchange(1) === 0, 'the handler is entered while it runs on another vCPU');
      events.store(0);
      for (let register = 0; register < DEVICE_REGISTERS; register++) device.read();
      inside.store(0);
    }

    function handleAlone(): void {
      if ((active.or(RUNNING | AGAIN) & RUNNING) !== 0) return;
      do {
        active.and(~AGAIN);
        handler();
      } while (active.compareExchange(RUNNING, 0) !== RUNNING);
    }

    vcpu.onUpcall(() => {
      info.evtchn_upcall_pending.write(0);
      ports.visit(ports.announced.exchange(0), () => {
        if (filtered && server.load() !== vcpu.id) return;
        if (!ports.pending(PORT).clear()) return;
        if (fixed) handleAlone();
        else handler();
      });
    });

    if (vcpu.id === 1) {
      evtchn.bindVcpu(PORT, 1);
      ports.mask(PORT).set();
      server.store(1);
      evtchn.unmask(PORT);
      events.store(1);
      evtchn.send(FAR_END);
    }

    // Take what was announced here before going.
    info.evtchn_upcall_mask.write(0);
    if (info.evtchn_upcall_pending.read() !== 0) vcpu.hypercall.xenVersion();
  },
  check({ words }) {
    if (words.events.read() !== 0) throw new Error('the handler has not run after the last event');
  },
});
