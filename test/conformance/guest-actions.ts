/**
 * What a guest does to its own memory between hypercalls: plain writes, and a 2-level event handler.
 */
import type { HvDomain, HvVcpu } from '../../lib/hypervisor/machine';
import { FIRST_GFN_FRAME, type VectorMachine } from './vector-machine';

const PAGE_BYTES = 4096;

/** Address of the byte with the port's bit in a bitmap. */
function byteOf(bitmap: number, port: number): number {
  return bitmap + (port >>> 3);
}

function testBit(domain: HvDomain, bitmap: number, port: number): boolean {
  return (domain.guest.read8(byteOf(bitmap, port)) & (1 << (port & 7))) !== 0;
}

export function setBit(domain: HvDomain, bitmap: number, port: number): void {
  const address = byteOf(bitmap, port);
  domain.guest.write8(address, domain.guest.read8(address) | (1 << (port & 7)));
}

export function clearBit(domain: HvDomain, bitmap: number, port: number): void {
  const address = byteOf(bitmap, port);
  domain.guest.write8(address, domain.guest.read8(address) & ~(1 << (port & 7)));
}

/** Fills a guest page with a 32-bit value. */
export function fillPage(domain: HvDomain, gfn: number, value: number): void {
  const page = (FIRST_GFN_FRAME + gfn) * PAGE_BYTES;
  for (let offset = 0; offset < PAGE_BYTES; offset += 4) domain.guest.write32(page + offset, value);
}

/** Reads the selector, one bit per entry, and clears it. */
function takeSelector(vcpu: HvVcpu, info: number): number[] {
  const { domain } = vcpu;
  const words: number[] = [];
  const width = 1 << domain.evtchnWordShift;
  for (let bit = 0; bit < width; bit += 32) {
    const address = info + domain.selectorOffset + bit / 8;
    const half = domain.guest.read32(address);
    domain.guest.write32(address, 0);
    for (let i = 0; i < 32; i++) if ((half & (1 << i)) !== 0) words.push(bit + i);
  }
  return words;
}

/** The recorder's 2-level handler; returns the ports it served, in order. */
export function handleUpcall(machine: VectorMachine, vcpu: HvVcpu): number[] {
  const { domain } = vcpu;
  const info = machine.hypervisor.vcpuInfoAddress(vcpu);
  const ports: number[] = [];
  domain.guest.write8(info, 0);
  const width = 1 << domain.evtchnWordShift;
  for (const word of takeSelector(vcpu, info)) {
    for (let port = word * width; port < (word + 1) * width; port++) {
      if (!testBit(domain, domain.pendingAddress, port) || testBit(domain, domain.maskAddress, port)) continue;
      clearBit(domain, domain.pendingAddress, port);
      ports.push(port);
    }
  }
  return ports;
}

export function clearSelector(machine: VectorMachine, vcpu: HvVcpu): void {
  takeSelector(vcpu, machine.hypervisor.vcpuInfoAddress(vcpu));
}
