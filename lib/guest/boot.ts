/**
 * Bringing up the other vCPUs of a domain whose boot vCPU is the only one that runs at the start.
 *
 * @source Linux, arch/x86/xen/smp_pv.c, enlighten.c (xen_vcpu_setup)
 */
import { ABI_CONSTANTS, type AbiName } from '../abi';
import { kernelBlock, VCPU_INFO } from './kernel-area';
import type { Vcpu } from './vcpu';

const FRAME_BYTES = 4096;

/**
 * Starts a vCPU that is down. One that has no vcpu_info in shared_info (on x86 from number 32 on) gets one in its
 * kernel block first: without it the hypervisor could not tell it of any event, and refuses to initialise it.
 * @param id - 1 .. domain.vcpus - 1
 * @throws HypercallError EEXIST: it was started before; ENOENT: no such vCPU
 */
export function bringUp(vcpu: Vcpu, id: number): void {
  if (id >= ABI_CONSTANTS[vcpu.domain.abi as AbiName].XEN_LEGACY_MAX_VCPUS) {
    const address = kernelBlock(vcpu, id) + VCPU_INFO;
    vcpu.hypercall.vcpu.registerVcpuInfo(id, Math.floor(address / FRAME_BYTES), address % FRAME_BYTES);
  }
  vcpu.hypercall.vcpu.initialise(id);
  vcpu.hypercall.vcpu.up(id);
}
