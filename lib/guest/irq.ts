/**
 * Disabling and enabling upcalls on the own vCPU, and sleeping without losing a wake-up.
 *
 * It stands for the virtual interrupt flag of a PV kernel: the byte evtchn_upcall_mask. Only the owner writes it (and
 * the hypervisor in the owner's context), so plain byte stores do. It shares a 32-bit word with
 * evtchn_upcall_pending, which other threads set: nothing wider than a byte may be written here. On Arm, where the
 * processor's own flag does this, the view offers the byte under the same name.
 *
 * @source Linux, arch/x86/xen/irq.c
 */
import type { Vcpu } from './vcpu';

/** Disables upcalls on this vCPU: from here on no handler runs between two of its accesses. */
export function irqDisable(vcpu: Vcpu): void {
  vcpu.info.evtchn_upcall_mask.write(1);
}

/**
 * Enables upcalls on this vCPU and takes those that came meanwhile.
 *
 * Clear the mask, then look: the hypervisor does not notice by itself that the mask was cleared. Program order is
 * enough, because both bytes are tested on this vCPU's own thread.
 */
export function irqEnable(vcpu: Vcpu): void {
  const { info } = vcpu;
  info.evtchn_upcall_mask.write(0);
  if (info.evtchn_upcall_pending.read() !== 0) forceUpcall(vcpu);
}

/** True while upcalls are enabled on this vCPU. */
export function irqEnabled(vcpu: Vcpu): boolean {
  return vcpu.info.evtchn_upcall_mask.read() === 0;
}

/** Disables upcalls; returns the mask as it was, for {@link irqRestore}. Pairs may nest. */
export function irqSave(vcpu: Vcpu): number {
  const { evtchn_upcall_mask } = vcpu.info;
  const flags = evtchn_upcall_mask.read();
  evtchn_upcall_mask.write(1);
  return flags;
}

/**
 * Puts the mask back as {@link irqSave} found it; if that enables upcalls, takes those that came meanwhile.
 * @param flags - what irqSave returned
 */
export function irqRestore(vcpu: Vcpu, flags: number): void {
  if (flags === 0) irqEnable(vcpu);
  else irqDisable(vcpu);
}

/**
 * Makes the hypervisor look at the upcall bytes, by a hypercall that does nothing else: needed when the guest itself
 * made an upcall deliverable.
 */
export function forceUpcall(vcpu: Vcpu): void {
  vcpu.hypercall.xenVersion();
}

/**
 * Sleeps until `condition` holds, looking again after each upcall; returns with upcalls enabled.
 *
 * The condition is evaluated with upcalls disabled, and SCHEDOP_block enables them as it puts the vCPU to sleep: a
 * handler that makes the condition true either ran before the look, or its event is still pending and the block
 * returns at once. Were upcalls enabled during the look, a handler could run between look and block, and the vCPU
 * would sleep while there is work.
 *
 * @param condition - whatever makes it true must be followed by an upcall of this vCPU
 */
export function haltUntil(vcpu: Vcpu, condition: () => boolean): void {
  irqDisable(vcpu);
  while (!condition()) {
    vcpu.block();
    irqDisable(vcpu);
  }
  irqEnable(vcpu);
}
