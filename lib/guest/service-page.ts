/**
 * Where a domain finds what the toolstack has set up for it: pages and ports of the store and of the console. A domain with a
 * start_info page reads it there, others ask for their HVM parameters.
 *
 * @source xen/include/public/xen.h (start_info), hvm/params.h
 */
import { ABI_CONSTANTS, type AbiName, type FieldLayout, layoutOf } from '../abi';
import type { Vcpu } from './vcpu';

const START_INFO_ADDRESS = 0x2000;
const FRAME_BYTES = 4096;

export interface ServicePlace {
  /** Address of the page in the domain's memory. */
  readonly page: number;
  readonly port: number;
}

/** Names of the fields of start_info, and numbers of the HVM parameters. */
export interface ServiceFields {
  readonly mfn: string;
  readonly evtchn: string;
  readonly pfnParam: number;
  readonly evtchnParam: number;
}

/** The place of a service; undefined if the domain was built without it. */
export function findServicePage(
  vcpu: Vcpu,
  { mfn, evtchn, pfnParam, evtchnParam }: ServiceFields,
): ServicePlace | undefined {
  const abi = vcpu.domain.abi as AbiName;
  if (ABI_CONSTANTS[abi].XEN_HAVE_PV_GUEST_ENTRY !== 1) {
    const { hvm } = vcpu.hypercall;
    return place(hvm.getParam(pfnParam), hvm.getParam(evtchnParam));
  }
  const { fields } = layoutOf(abi, 'start_info');
  const read = (field: string): number =>
    vcpu.memory.read32(START_INFO_ADDRESS + (fields[field] as FieldLayout).offset);
  return place(read(mfn), read(evtchn));
}

function place(frame: number, port: number): ServicePlace | undefined {
  return frame === 0 ? undefined : { page: frame * FRAME_BYTES, port };
}
