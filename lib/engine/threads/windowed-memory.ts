/**
 * A guest's memory on its own thread: {@link AtomicsMemory} with a window for upcalls before each access, as on
 * hardware between any two instructions.
 *
 * The window is one look at evtchn_upcall_pending and a branch. Where that byte lies is read from the vCPU's
 * private record each time, so a vcpu_info that another vCPU moves is followed at once; with no vcpu_info the
 * record says 0, and the first byte of the reserved frame 0 is looked at instead. The mask is looked at only when
 * the byte is set. Plain reads do: the byte is set by others, and a set byte that is seen late is an upcall
 * taken an instruction later.
 *
 * Addresses beyond the domain's own lead to the frames it has mapped of others.
 */
import { AtomicsMemory } from '../../memory/atomics-memory';
import { describeFault, mappedAddress, mappedDomainIndex, mappingAllows } from '../../memory/grant-window';
import { GuestCrashError } from '../errors';
import type { MappedFrames } from './mapped-frames';

/** The guest waits on words of its own in slices of this, so that upcalls and the end of the run reach it (ms). */
const WAIT_SLICE_MS = 5;

export class WindowedMemory extends AtomicsMemory {
  private readonly pointers: Int32Array;
  private readonly infoPointer: number;
  /** Of the domain whose memory the last access through the window went to. */
  protected $domainIndex = 0;
  private onPending: () => void = () => {};
  private onFault: (error: Error) => never = (error) => {
    throw error;
  };

  /**
   * @param buffer - the domain's memory
   * @param state - the domain's private memory
   * @param infoPointerAddress - in it, of the word with the guest address of this vCPU's vcpu_info
   * @param mapped - what the domain has mapped; absent: it has no window for that
   */
  constructor(
    buffer: SharedArrayBuffer,
    state: SharedArrayBuffer,
    infoPointerAddress: number,
    private readonly mapped?: MappedFrames,
  ) {
    super(buffer);
    this.pointers = new Int32Array(state);
    this.infoPointer = infoPointerAddress >> 2;
  }

  /** Sets what happens in a window that finds evtchn_upcall_pending set. It looks at the mask itself. */
  whenPending(take: () => void): void {
    this.onPending = take;
  }

  /** Sets what ends the domain when the guest uses a page of the window at which nothing is mapped. */
  whenFault(end: (error: Error) => never): void {
    this.onFault = end;
  }

  /** True for addresses of the window too, whatever is mapped there. */
  override contains(address: number, length: number): boolean {
    return super.contains(address, length) || (this.mapped?.contains(address, length) ?? false);
  }

  protected override beyond(address: number, width: number, writes: boolean): AtomicsMemory {
    const { mapped } = this;
    if (mapped === undefined || address % width !== 0 || !mapped.contains(address, width)) {
      return super.beyond(address, width, writes);
    }
    const word = mapped.wordFor(address);
    if (!mappingAllows(word, writes)) this.onFault(new GuestCrashError(describeFault(address, writes, word)));
    this.$domainIndex = mappedDomainIndex(word);
    this.$there = mappedAddress(word, address);
    return mapped.memoryOf(word);
  }

  /** @throws RangeError for an address a guest cannot sleep on */
  protected requireOwn(address: number): void {
    if (!super.contains(address, 4))
      throw new RangeError(`no sleeping on address ${address}: it is not of the domain's own memory`);
  }

  /** The look: evtchn_upcall_pending is set. */
  upcallPending(): boolean {
    return this.u8[this.pointers[this.infoPointer] as number] !== 0;
  }

  /**
   * Looks up to so many times, one after the other; true as soon as evtchn_upcall_pending is set. Atomic loads, which no
   * compiler may take out of the loop.
   */
  watchUpcall(looks: number): boolean {
    const at = this.pointers[this.infoPointer] as number;
    for (let left = looks; left > 0; left--) if (Atomics.load(this.u8, at) !== 0) return true;
    return false;
  }

  protected window(): void {
    if (this.upcallPending()) this.onPending();
  }

  override read8(address: number): number {
    this.window();
    return super.read8(address);
  }

  override write8(address: number, value: number): void {
    this.window();
    super.write8(address, value);
  }

  override read32(address: number): number {
    this.window();
    return super.read32(address);
  }

  override write32(address: number, value: number): void {
    this.window();
    super.write32(address, value);
  }

  override load8(address: number): number {
    this.window();
    return super.load8(address);
  }

  override store8(address: number, value: number): void {
    this.window();
    super.store8(address, value);
  }

  override add8(address: number, value: number): number {
    this.window();
    return super.add8(address, value);
  }

  override and8(address: number, value: number): number {
    this.window();
    return super.and8(address, value);
  }

  override or8(address: number, value: number): number {
    this.window();
    return super.or8(address, value);
  }

  override xor8(address: number, value: number): number {
    this.window();
    return super.xor8(address, value);
  }

  override exchange8(address: number, value: number): number {
    this.window();
    return super.exchange8(address, value);
  }

  override compareExchange8(address: number, expected: number, replacement: number): number {
    this.window();
    return super.compareExchange8(address, expected, replacement);
  }

  override load32(address: number): number {
    this.window();
    return super.load32(address);
  }

  override store32(address: number, value: number): void {
    this.window();
    super.store32(address, value);
  }

  override add32(address: number, value: number): number {
    this.window();
    return super.add32(address, value);
  }

  override and32(address: number, value: number): number {
    this.window();
    return super.and32(address, value);
  }

  override or32(address: number, value: number): number {
    this.window();
    return super.or32(address, value);
  }

  override xor32(address: number, value: number): number {
    this.window();
    return super.xor32(address, value);
  }

  override exchange32(address: number, value: number): number {
    this.window();
    return super.exchange32(address, value);
  }

  override compareExchange32(address: number, expected: number, replacement: number): number {
    this.window();
    return super.compareExchange32(address, expected, replacement);
  }

  override fence(): void {
    this.window();
    super.fence();
  }

  /** Sleeps in slices, between which a window opens. */
  override wait32(
    address: number,
    expected: number,
    timeoutNs = Number.POSITIVE_INFINITY,
  ): 'ok' | 'not-equal' | 'timed-out' {
    const endMs = performance.now() + timeoutNs / 1e6;
    for (;;) {
      this.window();
      const leftMs = endMs - performance.now();
      const result = super.wait32(address, expected, Math.min(leftMs, WAIT_SLICE_MS) * 1e6);
      if (result !== 'timed-out' || leftMs <= WAIT_SLICE_MS) return result;
    }
  }

  override notify32(address: number, count?: number): number {
    this.window();
    return super.notify32(address, count);
  }
}
