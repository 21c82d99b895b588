/**
 * Names of hypercalls for traces: `EVTCHNOP_send` rather than `event_channel_op(4)`.
 */
import { HVMOP } from '../abi/callback';
import { CONSOLEIO } from '../abi/console';
import { EVTCHNOP, EVTCHNOP_internal } from '../abi/event-channel';
import { GNTTABOP } from '../abi/grant';
import { HYPERCALLS } from '../abi/hypercall-numbers';
import { PHYSDEVOP } from '../abi/physdev';
import { SCHEDOP } from '../abi/sched';
import { VCPUOP } from '../abi/vcpu';
import { XENVER } from '../abi/xen-version';

/** Hypercalls whose first argument is a command. */
const COMMANDS: Readonly<Record<number, ReadonlyMap<number, string>>> = {
  [HYPERCALLS.__HYPERVISOR_event_channel_op]: byNumber({ ...EVTCHNOP, ...EVTCHNOP_internal }),
  [HYPERCALLS.__HYPERVISOR_sched_op]: byNumber(SCHEDOP),
  [HYPERCALLS.__HYPERVISOR_vcpu_op]: byNumber(VCPUOP),
  [HYPERCALLS.__HYPERVISOR_console_io]: byNumber(CONSOLEIO),
  [HYPERCALLS.__HYPERVISOR_xen_version]: byNumber(XENVER),
  [HYPERCALLS.__HYPERVISOR_grant_table_op]: byNumber(GNTTABOP),
  [HYPERCALLS.__HYPERVISOR_physdev_op]: byNumber(PHYSDEVOP),
  [HYPERCALLS.__HYPERVISOR_hvm_op]: byNumber(HVMOP),
};

const NAMES = byNumber(HYPERCALLS);
/** Typed hypercalls that are one operation of a hypercall Upcall serves no more of. */
const ALONE = ['set_timer_op', 'XEN_DOMCTL_getdomaininfo'];

/** All names that hypercalls have in traces, but for those whose number Xen does not know. */
export function hypercallNames(): string[] {
  return [...Object.values(COMMANDS), NAMES].flatMap((group) => [...group.values()]).concat(ALONE);
}

function byNumber(group: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(group).map(([name, number]) => [number, name]));
}

/**
 * Xen's name of a hypercall.
 * @param number - __HYPERVISOR_*, or anything
 * @param command - its first argument
 */
export function hypercallName(number: number, command: number): string {
  return COMMANDS[number]?.get(command) ?? NAMES.get(number) ?? `hypercall ${String(number)}`;
}
