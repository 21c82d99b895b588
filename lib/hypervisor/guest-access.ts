/**
 * Reading and writing guest structures at any alignment, as copy_from_guest and copy_to_guest do. Callers have checked
 * the address. Each byte is accessed once, plainly: what a guest changes meanwhile may be seen in part, never twice.
 */
import type { Memory } from '../memory/memory';
import { readPair, writePair } from './pairs';

const TWO_TO_32 = 0x1_0000_0000;

export function getUint16(memory: Memory, address: number): number {
  return memory.read8(address) | (memory.read8(address + 1) << 8);
}

export function getUint32(memory: Memory, address: number): number {
  if ((address & 3) === 0) return memory.read32(address) >>> 0;
  return (getUint16(memory, address) | (getUint16(memory, address + 2) << 16)) >>> 0;
}

/** Values from 2^53 on are rounded. */
export function getUint64(memory: Memory, address: number): number {
  if ((address & 3) === 0) return readPair(memory, address);
  return getUint32(memory, address) + getUint32(memory, address + 4) * TWO_TO_32;
}

export function putUint16(memory: Memory, address: number, value: number): void {
  memory.write8(address, value & 0xff);
  memory.write8(address + 1, (value >>> 8) & 0xff);
}

export function putUint32(memory: Memory, address: number, value: number): void {
  if ((address & 3) === 0) {
    memory.write32(address, value);
  } else {
    putUint16(memory, address, value);
    putUint16(memory, address + 2, value >>> 16);
  }
}

export function putUint64(memory: Memory, address: number, value: number): void {
  if ((address & 3) === 0) {
    writePair(memory, address, value);
  } else {
    putUint32(memory, address, value | 0);
    putUint32(memory, address + 4, Math.floor(value / TWO_TO_32) | 0);
  }
}

export function putBytes(memory: Memory, address: number, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) memory.write8(address + i, bytes[i] as number);
}

export function getBytes(memory: Memory, address: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = memory.read8(address + i);
  return bytes;
}
