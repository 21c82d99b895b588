/**
 * A domain's memory as the hypervisor and a vCPU's guest reach it under the inline engine.
 */
import { describeFault, inWindow, mappingAllows, windowPage } from '../../memory/grant-window';
import { GuestCrashError } from '../errors';
import { InlineMemory } from './inline-memory';
import { ACCESS, Op, READS } from './ops';
import { mappedPlace } from './regions';

/**
 * Guest memory as the hypervisor reaches it. A bit operation whose operand changes one byte only is a step on that byte, so
 * that operations on bits of different bytes (two ports, evtchn_upcall_pending and evtchn_upcall_mask) commute.
 *
 * DIFFERS: the other bytes of the result are those of no particular moment: zero. Xen's bit operations tell the
 * old value of their own bit alone, and so do the hypervisor's.
 */
export class HypervisorMemory extends InlineMemory {
  override or32(address: number, value: number): number {
    const byte = onlyByte(value);
    if (byte < 0) return super.or32(address, value);
    return this.or8(address + byte, value >>> (byte * 8)) << (byte * 8);
  }

  override and32(address: number, value: number): number {
    const byte = onlyByte(~value);
    if (byte < 0) return super.and32(address, value);
    return this.and8(address + byte, (value >>> (byte * 8)) & 0xff) << (byte * 8);
  }
}

/** The byte (0..3) that holds all bits of a word that are set; -1 if there are none or they lie in several bytes. */
function onlyByte(bits: number): number {
  const byte = (31 - Math.clz32(bits)) >> 3;
  return bits !== 0 && (bits & ~(0xff << (byte * 8))) === 0 ? byte : -1;
}

/**
 * The processor's look at evtchn_upcall_pending: reading the first byte of a vcpu_info tells whether an upcall could be
 * taken there, pending byte and mask byte looked at in one step. While upcalls are masked the step does not depend on
 * the pending byte, so that handlers are not explored once per moment at which another event might arrive.
 */
export class UpcallLook extends InlineMemory {
  override read8(address: number): number {
    return this.window(address);
  }
}

/** Whether an access needs a page that is writable: a compare-exchange does even if it fails. */
function changes(kind: number): boolean {
  return (ACCESS[kind] as number) !== READS;
}

/** What a domain has mapped of others'. */
export interface MappedPages {
  /** Of its window. */
  readonly pages: number;
  /** The word for a page: a step of its own, before the access. */
  wordFor(page: number): number;
  /** Where the domains' memories begin in the engine's address space. */
  readonly bases: readonly number[];
  /** Ends the domain. */
  fault(error: Error): never;
}

/**
 * A guest's memory: a window for upcalls opens before each access. An access through a mapping is two steps: the look at the
 * word of the page, and the access to the other domain's memory.
 */
export class WindowMemory extends InlineMemory {
  /** Where vcpu_info lies. */
  infoAddress = 0;
  mapped: MappedPages | undefined;
  private onPending: () => void = () => {};

  /** Sets what happens in a window in which an upcall can be taken. */
  whenPending(take: () => void): void {
    this.onPending = take;
  }

  /** True for addresses of the window too, whatever is mapped there. */
  override contains(address: number, length: number): boolean {
    return super.contains(address, length) || inWindow(address, length, this.mapped?.pages ?? 0);
  }

  protected override beyond(address: number, width: number, kind: number): number {
    const { mapped } = this;
    const reachable = kind <= Op.CAS32 && address % width === 0 && inWindow(address, width, mapped?.pages ?? 0);
    if (mapped === undefined || !reachable) return super.beyond(address, width, kind);
    const word = mapped.wordFor(windowPage(address));
    const writes = changes(kind);
    if (!mappingAllows(word, writes)) mapped.fault(new GuestCrashError(describeFault(address, writes, word)));
    return mappedPlace(mapped.bases, word, address);
  }

  private open(): void {
    if (this.window(this.infoAddress) !== 0) this.onPending();
  }

  override read8(address: number): number {
    this.open();
    return super.read8(address);
  }

  override write8(address: number, value: number): void {
    this.open();
    super.write8(address, value);
  }

  override read32(address: number): number {
    this.open();
    return super.read32(address);
  }

  override write32(address: number, value: number): void {
    this.open();
    super.write32(address, value);
  }

  override load8(address: number): number {
    this.open();
    return super.load8(address);
  }

  override store8(address: number, value: number): void {
    this.open();
    super.store8(address, value);
  }

  override add8(address: number, value: number): number {
    this.open();
    return super.add8(address, value);
  }

  override and8(address: number, value: number): number {
    this.open();
    return super.and8(address, value);
  }

  override or8(address: number, value: number): number {
    this.open();
    return super.or8(address, value);
  }

  override xor8(address: number, value: number): number {
    this.open();
    return super.xor8(address, value);
  }

  override exchange8(address: number, value: number): number {
    this.open();
    return super.exchange8(address, value);
  }

  override compareExchange8(address: number, expected: number, replacement: number): number {
    this.open();
    return super.compareExchange8(address, expected, replacement);
  }

  override load32(address: number): number {
    this.open();
    return super.load32(address);
  }

  override store32(address: number, value: number): void {
    this.open();
    super.store32(address, value);
  }

  override add32(address: number, value: number): number {
    this.open();
    return super.add32(address, value);
  }

  override and32(address: number, value: number): number {
    this.open();
    return super.and32(address, value);
  }

  override or32(address: number, value: number): number {
    this.open();
    return super.or32(address, value);
  }

  override xor32(address: number, value: number): number {
    this.open();
    return super.xor32(address, value);
  }

  override exchange32(address: number, value: number): number {
    this.open();
    return super.exchange32(address, value);
  }

  override compareExchange32(address: number, expected: number, replacement: number): number {
    this.open();
    return super.compareExchange32(address, expected, replacement);
  }

  override fence(): void {
    this.open();
    super.fence();
  }

  /** DIFFERS: an upcall that arrives during the wait is taken after it. */
  override wait32(address: number, expected: number, timeoutNs?: number): 'ok' | 'not-equal' | 'timed-out' {
    this.open();
    return super.wait32(address, expected, timeoutNs);
  }

  override notify32(address: number, count?: number): number {
    this.open();
    return super.notify32(address, count);
  }
}
