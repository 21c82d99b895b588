/** One small scenario per invariant: with `args.fixed` it holds, otherwise some interleaving breaks it. */
import { defineScenario } from 'upcall';

const PORT = 1;
const BIT = 1 << PORT;

/** The handler runs before the pending bit is cleared: an event that comes in between is taken and not handled. */
export const delivery = defineScenario({
  name: 'delivery',
  words: { runs: 0 },
  args: { fixed: false },
  invariants: [{ name: 'delivery', port: PORT, runs: 'runs' }],
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(PORT);
  },
  guests: [
    (vcpu) => {
      const { info } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        if ((info.evtchn_pending_sel.lo.exchange(0) & 1) === 0 || (pending.read() & BIT) === 0) return;
        if (vcpu.domain.args.fixed) pending.and(~BIT);
        vcpu.words.runs.add(1);
        if (!vcpu.domain.args.fixed) pending.and(~BIT);
      });
      info.evtchn_upcall_mask.write(0);
      info.evtchn_upcall_pending.read();
    },
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});

/** Two vCPUs run one handler, with a lock or without. */
export const noOverlap = defineScenario({
  name: 'no-overlap',
  words: { running: 0, lock: 0 },
  args: { fixed: false },
  invariants: [{ name: 'no-overlap', running: 'running' }],
  vcpus: 2,
  guest(vcpu) {
    const { lock, running } = vcpu.words;
    const { fixed } = vcpu.domain.args;
    if (fixed) while (lock.compareExchange(0, 1) !== 0) vcpu.relax();
    running.add(1);
    running.add(-1);
    if (fixed) lock.store(0);
  },
});

/** A bit is cleared by a plain load and store. */
export const bitConservation = defineScenario({
  name: 'bit-conservation',
  args: { fixed: false },
  invariants: ['bit-conservation'],
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(PORT);
  },
  guests: [
    (vcpu) => {
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      if (vcpu.domain.args.fixed) pending.and(~BIT);
      else pending.write(pending.read() & ~BIT);
    },
    (vcpu) => vcpu.hypercall.evtchn.send(2),
  ],
});

/** A wallclock is read with one look at its version or with two. */
export const snapshot = defineScenario({
  name: 'snapshot',
  words: { copy: [1, 1] },
  args: { fixed: false },
  invariants: [{ name: 'snapshot', record: 'wallclock', copy: ['copy[0]', 'copy[1]'] }],
  setup({ domain }) {
    const { wc_version, wc_sec, wc_nsec } = domain.sharedInfo;
    wc_version.write(2);
    wc_sec.write(1);
    wc_nsec.write(1);
  },
  guests: [
    (vcpu) => {
      const { wc_version, wc_sec, wc_nsec } = vcpu.sharedInfo;
      for (;;) {
        const version = wc_version.read();
        const [seconds, nanoseconds] = [wc_sec.read(), wc_nsec.read()];
        if ((version & 1) === 0 && (!vcpu.domain.args.fixed || wc_version.read() === version)) {
          vcpu.words.copy[0].write(seconds);
          vcpu.words.copy[1].write(nanoseconds);
          return;
        }
        vcpu.relax();
      }
    },
    (vcpu) => {
      const { wc_version, wc_sec, wc_nsec } = vcpu.sharedInfo;
      wc_version.write(3);
      wc_sec.write(2);
      wc_nsec.write(2);
      wc_version.write(4);
    },
  ],
});

/** A producer that looks for room, or one that does not; the consumer may be slow. */
export const ring = defineScenario({
  name: 'ring',
  words: { prod: 0, cons: 0 },
  args: { fixed: false },
  invariants: [{ name: 'ring', prod: 'prod', cons: 'cons', size: 1 }],
  guests: [
    (vcpu) => {
      const { prod, cons } = vcpu.words;
      for (let index = 1; index <= 2; index++) {
        if (vcpu.domain.args.fixed) while (index - cons.read() > 1) vcpu.relax();
        prod.write(index);
      }
    },
    (vcpu) => {
      const { prod, cons } = vcpu.words;
      for (let index = 1; index <= 2; index++) {
        while (prod.read() < index) vcpu.relax();
        cons.write(index);
      }
    },
  ],
});

/** The table's entry of a port is cleared after the close, or before it. */
export const ownership = defineScenario({
  name: 'ownership',
  words: { table: [0, 1, 0] },
  args: { fixed: false },
  invariants: [{ name: 'ownership', table: 'table' }],
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      if (vcpu.domain.args.fixed) vcpu.words.table[PORT].store(0);
      vcpu.hypercall.evtchn.close(PORT);
      if (!vcpu.domain.args.fixed) vcpu.words.table[PORT].store(0);
    },
    (vcpu) => {
      const port = vcpu.hypercall.evtchn.bindIpi(1);
      vcpu.words.table[port as 1 | 2].store(2);
    },
  ],
});

/** An upcall that goes on while events arrive, or one that serves each port once. */
export const boundedSteps = defineScenario({
  name: 'bounded-steps',
  args: { fixed: false },
  invariants: [{ name: 'bounded-steps', upcall: 12 }],
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(PORT);
  },
  guests: [
    (vcpu) => {
      const { info } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        info.evtchn_pending_sel.lo.exchange(0);
        do {
          pending.and(~BIT);
        } while (!vcpu.domain.args.fixed && (pending.read() & BIT) !== 0);
      });
      info.evtchn_upcall_mask.write(0);
      info.evtchn_upcall_pending.read();
    },
    (vcpu) => {
      vcpu.hypercall.evtchn.send(PORT);
      vcpu.hypercall.evtchn.send(PORT);
    },
  ],
});

/** The upcall flag is cleared after the selector was taken, or before. */
export const noDeadUpcall = defineScenario({
  name: 'no-dead-upcall',
  args: { fixed: false },
  invariants: ['no-dead-upcall', 'no-dead-port', 'no-sleeper-with-work'],
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(PORT);
  },
  guests: [
    (vcpu) => {
      const { info } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      vcpu.onUpcall(() => {
        if (vcpu.domain.args.fixed) info.evtchn_upcall_pending.write(0);
        if ((info.evtchn_pending_sel.lo.exchange(0) & 1) !== 0) pending.and(~pending.read());
        if (!vcpu.domain.args.fixed) info.evtchn_upcall_pending.write(0);
      });
      info.evtchn_upcall_mask.write(0);
      info.evtchn_upcall_pending.read();
    },
    (vcpu) => vcpu.hypercall.evtchn.send(2),
  ],
});
