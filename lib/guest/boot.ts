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
 * Gives a vCPU without a vcpu_info (none of the slots in shared_info is its own: on x86 from number 32 on, on Arm
 * from 1) one in its kernel block. The hypervisor could not tell it of any event otherwise.
 *
 * Registering marks every selector bit, so an upcall with nothing behind it follows.
 * @throws HypercallError EBUSY: it was registered before
 */
export function placeVcpuInfo(vcpu: Vcpu, id: number = vcpu.id): void {
  const address = kernelBlock(vcpu, id) + VCPU_INFO;
  vcpu.hypercall.vcpu.registerVcpuInfo(id, Math.floor(address / FRAME_BYTES), address % FRAME_BYTES);
}

/**
 * Starts a vCPU that is down, with a vcpu_info if it needs one.
 * @param id - 1 .. domain.vcpus - 1
 * @throws HypercallError EEXIST: it was started before; ENOENT: no such vCPU; EINVAL on Arm
 */
export function bringUp(vcpu: Vcpu, id: number): void {
  if (id >= ABI_CONSTANTS[vcpu.domain.abi as AbiName].XEN_LEGACY_MAX_VCPUS) placeVcpuInfo(vcpu, id);
  vcpu.hypercall.vcpu.initialise(id);
  vcpu.hypercall.vcpu.up(id);
}
