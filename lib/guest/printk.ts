/**
 * Lines on the hypervisor's console, stamped with system time and vCPU.
 *
 * One CONSOLEIO_write for a line: the hypervisor writes a buffer out as a whole, so lines of different vCPUs do not
 * mix, and the text takes one hypercall instead of one for each piece.
 *
 * @source Xen, xen/drivers/char/console.c; Mini-OS, console/console.c
 */
import { systemTimeNs } from './clock';
import type { Vcpu } from './vcpu';

/**
 * Writes `[    1.234567] vcpu0: text`, and so on for each further line of the text.
 * @param text - without the newline at its end
 * @throws HypercallError EPERM: the domain may not use the console
 */
export function printk(vcpu: Vcpu, text: string): void {
  const microseconds = Math.floor(systemTimeNs(vcpu) / 1000);
  const seconds = String(Math.floor(microseconds / 1_000_000)).padStart(5);
  const stamp = `[${seconds}.${String(microseconds % 1_000_000).padStart(6, '0')}] vcpu${vcpu.id}: `;
  for (const line of text.split('\n')) vcpu.hypercall.console.write(`${stamp}${line}\n`);
}
