/**
 * Views of the structures a guest shares with the hypervisor. Make one per memory and address and keep it; a
 * vcpu_info that moves (VCPUOP_register_vcpu_info) needs a new one.
 */
import { type AbiName, layoutOf, type StructName } from '../abi';
import { StructView, type ViewOf } from './layout-view';
import type { Memory } from './memory';

/**
 * Makes views of one structure.
 * @throws RangeError if the structure would not lie in memory
 */
export type ViewClass<N extends StructName> = new (memory: Memory, abi: AbiName, address: number) => ViewOf<N>;

/** The views of a structure of Xen's; Error from its constructor if the ABI does not have the structure. */
export function viewClass<N extends StructName>(name: N): ViewClass<N> {
  const View = class extends StructView {
    constructor(memory: Memory, abi: AbiName, address: number) {
      super(memory, address, layoutOf(abi, name));
    }
  };
  return View as unknown as ViewClass<N>;
}

export type SharedInfoView = ViewOf<'shared_info'>;
export const SharedInfoView = viewClass('shared_info');

export type VcpuInfoView = ViewOf<'vcpu_info'>;
export const VcpuInfoView = viewClass('vcpu_info');

export type VcpuTimeInfoView = ViewOf<'vcpu_time_info'>;
export const VcpuTimeInfoView = viewClass('vcpu_time_info');

export type VcpuRunstateInfoView = ViewOf<'vcpu_runstate_info'>;
export const VcpuRunstateInfoView = viewClass('vcpu_runstate_info');

export type StartInfoView = ViewOf<'start_info'>;
export const StartInfoView = viewClass('start_info');
