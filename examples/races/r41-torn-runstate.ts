/**
 * R41: a vCPU reads how another one spent its time, while the hypervisor is writing it.
 *
 * Where: xen 2529c850ea, which gave the record an update flag that a guest can ask for.
 *
 * The hypervisor is the real one here: vCPU 0 has a runstate area and sleeps until its timer fires; the hypervisor
 * rewrites the area when vCPU 0 goes to sleep and when it goes on. vCPU 1 looks once the timer has fired.
 * 1. vCPU 1 reads state_entry_time.
 * 2. vCPU 0 goes on, and the hypervisor accounts for its sleep.
 * 3. vCPU 1 reads the times: they belong to another moment.
 *
 * Invariant: the times add up to state_entry_time.
 * Seen as: assertion, under sc and tso. It takes one preemption.
 * The cure: switch the update flag on (vm_assist). The hypervisor then sets bit 63 of state_entry_time before it
 * changes anything and clears it last; a reader does not trust what it read while the bit is set, or if
 * state_entry_time is another afterwards. It would try again; here it gives up, which keeps the search short. The low
 * half of state_entry_time has to be read before the half with the flag. The other way round the flag may come after
 * the first read and the new low half before the second: old times pass for new ones (variant flag-first, three
 * preemptions).
 *
 *   upcall explore examples/races/r41-torn-runstate.ts
 *   upcall explore examples/races/r41-torn-runstate.ts --args '{"variant":"flag-first"}'
 *   upcall explore examples/races/r41-torn-runstate.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { HYPERCALLS, VIRQ_TIMER, VMASST } from 'upcall/abi';

/** The area, in a frame that nobody uses, and words of it (x86_64). Upper halves are 0, but for the flag. */
const AREA = 16 * 4096;
const ENTRY_TIME_LOW = AREA + 8;
const ENTRY_TIME_HIGH = AREA + 12;
const TIME_RUNNING_LOW = AREA + 16;
const TIME_RUNNABLE_LOW = AREA + 24;
const TIME_BLOCKED_LOW = AREA + 32;
const TIME_OFFLINE_LOW = AREA + 40;
const WAKE_UP_NS = 1000;

export default defineScenario({
  name: 'r41-torn-runstate',
  description: 'the runstate record of a vCPU is read by another while the hypervisor rewrites it',
  events: '2l',
  abi: 'x86_64',
  words: { ticks: 0 },
  args: { variant: 'buggy' },
  setup({ domain, args }) {
    const { hypercall } = domain;
    if (args.variant !== 'buggy') {
      const { VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag } = VMASST;
      hypercall.raw(HYPERCALLS.__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag);
    }
    hypercall.vcpu.registerRunstateMemoryArea(0, AREA);
    hypercall.evtchn.bindVirq(VIRQ_TIMER, 0);
  },
  guests: [
    (vcpu) => {
      const { info } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      const { ticks } = vcpu.words;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        info.evtchn_pending_sel.lo.exchange(0);
        ticks.store(1);
        pending.store(0);
      });
      vcpu.hypercall.timer.setTimerOp(WAKE_UP_NS);
      while (ticks.read() === 0) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { memory } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      while (pending.load() === 0 && vcpu.words.ticks.load() === 0) vcpu.relax();
      const early = variant === 'flag-first' ? memory.read32(ENTRY_TIME_HIGH) : 0;
      const entryTime = memory.read32(ENTRY_TIME_LOW);
      const flag = variant === 'fixed' ? memory.read32(ENTRY_TIME_HIGH) : early;
      const times = [TIME_RUNNING_LOW, TIME_RUNNABLE_LOW, TIME_BLOCKED_LOW, TIME_OFFLINE_LOW];
      const sum = times.reduce((total, address) => total + memory.read32(address), 0);
      if (variant !== 'buggy') {
        if (flag !== 0 || memory.read32(ENTRY_TIME_LOW) !== entryTime) return 'being written';
        if (memory.read32(ENTRY_TIME_HIGH) !== 0) return 'being written';
      }
      vcpu.assert(sum === entryTime, `the times add up to ${sum} ns, state_entry_time is ${entryTime} ns`);
      return 'read';
    },
  ],
});
