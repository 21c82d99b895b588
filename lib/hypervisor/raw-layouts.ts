/**
 * Where the members of hypercall argument structures lie in a guest's memory, by ABI. Those of EVTCHNOP and PHYSDEVOP are the
 * same in every ABI.
 */
import { ABI_CONSTANTS, ABI_NAMES, type AbiName } from '../abi/abis';
import { layoutOf, type StructName } from '../abi/layouts';

function sizes(abi: AbiName, struct: StructName): number {
  return layoutOf(abi, struct).size;
}

function offset(abi: AbiName, struct: StructName, field: string): number {
  const found = layoutOf(abi, struct).fields[field];
  if (found === undefined) throw new Error(`${struct} has no field ${field}`);
  return found.offset;
}

function layoutsFor(abi: AbiName) {
  return Object.freeze({
    /** Pointers inside structures are 4 or 8 bytes. */
    handleBytes: ABI_CONSTANTS[abi].sizeof_guest_handle_in_struct,
    pollBytes: sizes(abi, 'sched_poll'),
    pollPorts: offset(abi, 'sched_poll', 'ports'),
    pollNrPorts: offset(abi, 'sched_poll', 'nr_ports'),
    pollTimeout: offset(abi, 'sched_poll', 'timeout'),
    singleshotBytes: sizes(abi, 'vcpu_set_singleshot_timer'),
    singleshotTimeout: offset(abi, 'vcpu_set_singleshot_timer', 'timeout_abs_ns'),
    singleshotFlags: offset(abi, 'vcpu_set_singleshot_timer', 'flags'),
    runstateBytes: sizes(abi, 'vcpu_runstate_info'),
    runstateEntryTime: offset(abi, 'vcpu_runstate_info', 'state_entry_time'),
    runstateTime: offset(abi, 'vcpu_runstate_info', 'time'),
    /** vcpu_guest_context, which is not among the tables. */
    guestContextBytes: abi === 'x86_32' ? 2800 : 5168,
  });
}

export type RawLayouts = ReturnType<typeof layoutsFor>;

const LAYOUTS = Object.fromEntries(ABI_NAMES.map((abi) => [abi, layoutsFor(abi)])) as Readonly<
  Record<AbiName, RawLayouts>
>;

export function rawLayouts(abi: AbiName): RawLayouts {
  return LAYOUTS[abi];
}
