/**
 * One domain's console as the console daemon serves it: output from the domain's ring to the host, what was typed from the
 * host into the domain's ring.
 *
 * The page is the domain's: whatever stands in it can end this console, and no other. Typed bytes wait with the host
 * until the domain makes room, so a domain that does not read holds up nobody.
 *
 * @source tools/console/daemon/io.c (buffer_append, handle_tty_read)
 */
import { XENCONSOLE } from '../../abi';
import { type ByteRing, RING_CORRUPT } from '../../guest/byte-ring';
import type { ConsolePage } from '../../guest/console-page';

/** Bytes moved at once: no ring holds more. */
const PORTION_BYTES = 2048;

export interface ServedConsoleParts {
  /** The domain's, as mapped by the daemon. */
  readonly page: ConsolePage;
  /** From the host. */
  readonly typed: ByteRing;
  /** Sends an event to the domain. */
  notify(): void;
  /** Passes output on to the host. @param bytes - borrowed until it returns */
  emit(bytes: Uint8Array): void;
  /** The ring was found corrupt. */
  cutOff(): void;
}

export class ServedConsole {
  private readonly portion = new Uint8Array(PORTION_BYTES);
  private corrupt = false;

  constructor(private readonly parts: ServedConsoleParts) {}

  /** Tells the domain that somebody listens. */
  connect(): void {
    this.parts.page.setConnection(XENCONSOLE.XENCONSOLE_CONNECTED);
    this.parts.notify();
  }

  /** False once the ring was found corrupt: the console is out of service for good. */
  get inService(): boolean {
    return !this.corrupt;
  }

  /**
   * Moves what there is, at most a ring full in each direction. Once per event is enough: the domain sends another when it has
   * written more, and when it has made room for more.
   */
  serve(): void {
    if (this.corrupt) return;
    const { parts, portion } = this;
    const taken = parts.page.out.take(portion);
    if (taken > 0) parts.emit(portion.subarray(0, taken));
    const brought = taken === RING_CORRUPT ? RING_CORRUPT : this.feed();
    if (taken === RING_CORRUPT || brought === RING_CORRUPT) this.disconnect();
    else if (taken > 0 || brought > 0) parts.notify();
  }

  /** The room cannot shrink while we fill it; should the domain pretend so, what does not fit is its loss. */
  private feed(): number {
    const { portion } = this;
    const { page, typed } = this.parts;
    const room = page.in.room();
    if (room <= 0) return room;
    const count = typed.take(portion.subarray(0, room));
    return count <= 0 ? 0 : page.in.put(portion.subarray(0, count));
  }

  private disconnect(): void {
    this.corrupt = true;
    this.parts.cutOff();
    this.parts.page.setConnection(XENCONSOLE.XENCONSOLE_DISCONNECTED);
  }
}
