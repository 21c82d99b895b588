/** The vCPUs of a domain: what each is doing, and the words by which events reach it. */
import { RUNSTATE_blocked, RUNSTATE_offline, RUNSTATE_running } from '../../abi/vcpu';
import type { HvVcpu } from '../../hypervisor/machine';
import { PauseFlag } from '../../hypervisor/platform';
import {
  TIMER_PERIODIC,
  TIMER_POLL,
  TIMER_SINGLESHOT,
  VCPU_IRQ_MASKED,
  VCPU_PERIODIC_DEADLINE,
  VCPU_POLL_DEADLINE,
  VCPU_RUNSTATE,
  VCPU_RUNSTATE_ENTRY_TIME,
  VCPU_RUNSTATE_TIME,
  VCPU_SINGLESHOT_DEADLINE,
  VCPU_TIMERS_ARMED,
} from '../../hypervisor/state-layout';
import { hexadecimal, type Onlooker } from './onlooker';
import type { VcpuSnapshot, VcpuState } from './schema';

const { BLOCKED, DOWN } = PauseFlag;
/** Attempts at a runstate record that its owner keeps changing. */
const TRIES = 4;

/** @param nowNs - system time; undefined where no clock runs */
export function snapshotVcpu(look: Onlooker, vcpu: HvVcpu, nowNs: number | undefined): VcpuSnapshot {
  const pauseFlags = look.state(vcpu.pauseFlagsAddress);
  const pollPort = Math.max(-1, look.state(vcpu.pollEvtchnAddress) | 0);
  const info = look.state(vcpu.infoPointerAddress);
  const upcallWord = info === 0 ? 0 : look.guest(info);
  const { domain } = vcpu;
  const times = runstates(look, vcpu, nowNs);
  return {
    id: vcpu.vcpuId,
    state: stateOf(pauseFlags, pollPort),
    pauseFlags,
    pollPort,
    info,
    upcallPending: upcallWord & 0xff,
    upcallMask: domain.isX86 ? (upcallWord >>> 8) & 0xff : look.state(vcpu.address + VCPU_IRQ_MASKED),
    selector: selectorOf(look, vcpu, info),
    running: times[RUNSTATE_running] as number,
    blocked: times[RUNSTATE_blocked] as number,
    offline: times[RUNSTATE_offline] as number,
    timers: timersOf(look, vcpu),
  };
}

/** What the hypervisor takes a vCPU to be doing. */
export function stateOf(pauseFlags: number, pollPort: number): VcpuState {
  if ((pauseFlags & DOWN) !== 0) return 'offline';
  if ((pauseFlags & BLOCKED) === 0) return 'running';
  return pollPort === 0 ? 'blocked' : 'polling';
}

function selectorOf(look: Onlooker, { domain }: HvVcpu, info: number): string {
  const wide = domain.evtchnWordShift !== 5;
  const at = info + domain.selectorOffset;
  const low = hexadecimal(info === 0 ? 0 : look.guest(at), 8);
  if (!wide) return low;
  return hexadecimal(info === 0 ? 0 : look.guest(at + 4), 8) + low.slice(2);
}

/**
 * Time in each runstate, by RUNSTATE_*. The record's lock is not taken: a record that its owner changes meanwhile is read again,
 * and told by its entry time, which the owner changes last but one.
 */
function runstates(look: Onlooker, vcpu: HvVcpu, nowNs: number | undefined): number[] {
  const at = vcpu.address;
  for (let tries = 1; ; tries++) {
    const entry = look.statePair(at + VCPU_RUNSTATE_ENTRY_TIME);
    const state = look.state(at + VCPU_RUNSTATE);
    const times = [0, 1, 2, 3].map((each) => look.statePair(at + VCPU_RUNSTATE_TIME + each * 8));
    const same = entry === look.statePair(at + VCPU_RUNSTATE_ENTRY_TIME) && state === look.state(at + VCPU_RUNSTATE);
    if (!same && tries < TRIES) continue;
    if (nowNs !== undefined && times[state] !== undefined) times[state] += Math.max(0, nowNs - entry);
    return times;
  }
}

function timersOf(look: Onlooker, { address }: HvVcpu): VcpuSnapshot['timers'] {
  const armed = look.state(address + VCPU_TIMERS_ARMED);
  const at = (bit: number, deadline: number): number | undefined =>
    (armed & bit) === 0 ? undefined : look.statePair(address + deadline);
  return withoutUndefined({
    singleshot: at(TIMER_SINGLESHOT, VCPU_SINGLESHOT_DEADLINE),
    periodic: at(TIMER_PERIODIC, VCPU_PERIODIC_DEADLINE),
    poll: at(TIMER_POLL, VCPU_POLL_DEADLINE),
  });
}

function withoutUndefined(timers: VcpuSnapshot['timers']): VcpuSnapshot['timers'] {
  return Object.fromEntries(Object.entries(timers).filter(([, value]) => value !== undefined));
}
