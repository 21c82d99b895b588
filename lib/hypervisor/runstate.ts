/**
 * How vCPUs spend their time: the record behind VCPUOP_get_runstate_info, and its copy in guest memory.
 *
 * Each vCPU's thread accounts for itself when it goes to sleep and when it goes on; runstate_lock lets others read a record
 * that is whole. The guest's copy is rewritten at the same moments. With the update flag (vm_assist, or an area registered
 * by physical address) its state_entry_time has bit 63 set while it changes: bit set, barrier, record, barrier, bit cleared.
 *
 * DIFFERS: a vCPU that was woken goes from blocked to running when its thread does; the host's run queue is not seen,
 * so it is never runnable.
 *
 * @source xen/common/sched/core.c (vcpu_runstate_change, vcpu_runstate_get), xen/common/domain.c (update_runstate_area)
 */
import { layoutOf } from '../abi/layouts';
import { RUNSTATE_blocked, RUNSTATE_runnable, RUNSTATE_running } from '../abi/vcpu';
import { VMASST } from '../abi/xen-version';
import { putUint32, putUint64 } from './guest-access';
import type { HvVcpu, Machine } from './machine';
import { readPair, writePair } from './pairs';
import {
  DOMAIN_VM_ASSIST,
  VCPU_RUNSTATE,
  VCPU_RUNSTATE_ENTRY_TIME,
  VCPU_RUNSTATE_GUEST,
  VCPU_RUNSTATE_GUEST_PHYS,
  VCPU_RUNSTATE_LOCK,
  VCPU_RUNSTATE_TIME,
} from './state-layout';

/** What VCPUOP_get_runstate_info fills in. Times in ns. */
export class RunstateRecord {
  /** RUNSTATE_* */
  state = 0;
  stateEntryTimeNs = 0;
  running = 0;
  runnable = 0;
  blocked = 0;
  offline = 0;
}

/** In the upper half of state_entry_time: XEN_RUNSTATE_UPDATE. */
const UPDATE_FLAG_HIGH = 0x80000000;

export class Runstates {
  constructor(private readonly machine: Machine) {}

  /**
   * The vCPU's own thread enters another state now.
   * @param next - RUNSTATE_*
   */
  change(vcpu: HvVcpu, next: number): void {
    const { state } = vcpu.domain;
    const now = this.machine.platform.now();
    state.writeLock(vcpu.address + VCPU_RUNSTATE_LOCK);
    const spent = now - readPair(state, vcpu.address + VCPU_RUNSTATE_ENTRY_TIME);
    if (spent > 0) {
      const total = vcpu.address + VCPU_RUNSTATE_TIME + state.read32(vcpu.address + VCPU_RUNSTATE) * 8;
      writePair(state, total, readPair(state, total) + spent);
      writePair(state, vcpu.address + VCPU_RUNSTATE_ENTRY_TIME, now);
    }
    state.write32(vcpu.address + VCPU_RUNSTATE, next);
    state.writeUnlock(vcpu.address + VCPU_RUNSTATE_LOCK);
    this.publish(vcpu);
  }

  /** The record with the span since the last change added. */
  get(vcpu: HvVcpu, out: RunstateRecord): void {
    const { state } = vcpu.domain;
    const times = vcpu.address + VCPU_RUNSTATE_TIME;
    state.readLock(vcpu.address + VCPU_RUNSTATE_LOCK);
    out.state = state.read32(vcpu.address + VCPU_RUNSTATE);
    out.stateEntryTimeNs = readPair(state, vcpu.address + VCPU_RUNSTATE_ENTRY_TIME);
    out.running = readPair(state, times);
    out.runnable = readPair(state, times + 8);
    out.blocked = readPair(state, times + 16);
    out.offline = readPair(state, times + 24);
    state.readUnlock(vcpu.address + VCPU_RUNSTATE_LOCK);
    addSpan(out, Math.max(0, this.machine.platform.now() - out.stateEntryTimeNs));
  }

  /** Rewrites the copy in guest memory, if one is registered. */
  publish(vcpu: HvVcpu): void {
    const { domain } = vcpu;
    const { guest, state } = domain;
    const area = state.load32(vcpu.address + VCPU_RUNSTATE_GUEST);
    if (area === 0) return;
    const layout = layoutOf(domain.abi, 'vcpu_runstate_info').fields;
    const entry = area + (layout.state_entry_time?.offset as number);
    const times = area + (layout.time?.offset as number);
    const flagged = this.usesUpdateFlag(vcpu);
    const entryTime = readPair(state, vcpu.address + VCPU_RUNSTATE_ENTRY_TIME);
    const entryHigh = Math.floor(entryTime / 0x1_0000_0000);
    if (flagged) {
      putUint32(guest, entry + 4, entryHigh | UPDATE_FLAG_HIGH);
      guest.fence();
    }
    putUint32(guest, area, state.read32(vcpu.address + VCPU_RUNSTATE));
    putUint32(guest, entry, entryTime | 0);
    if (!flagged) putUint32(guest, entry + 4, entryHigh);
    for (let i = 0; i < 4; i++) {
      putUint64(guest, times + i * 8, readPair(state, vcpu.address + VCPU_RUNSTATE_TIME + i * 8));
    }
    if (flagged) {
      guest.fence();
      putUint32(guest, entry + 4, entryHigh);
    }
  }

  private usesUpdateFlag(vcpu: HvVcpu): boolean {
    const { state } = vcpu.domain;
    if (state.read32(vcpu.address + VCPU_RUNSTATE_GUEST_PHYS) !== 0) return true;
    return (state.load32(DOMAIN_VM_ASSIST) & (1 << VMASST.VMASST_TYPE_runstate_update_flag)) !== 0;
  }
}

function addSpan(record: RunstateRecord, spanNs: number): void {
  switch (record.state) {
    case RUNSTATE_running:
      record.running += spanNs;
      break;
    case RUNSTATE_runnable:
      record.runnable += spanNs;
      break;
    case RUNSTATE_blocked:
      record.blocked += spanNs;
      break;
    default:
      record.offline += spanNs;
  }
}
