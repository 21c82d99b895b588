/**
 * The terminal's side of an attached console: what is typed goes to the guest byte by byte, what the guest writes appears,
 * and ctrl-] ends it. The terminal is in raw mode meanwhile, so that ctrl-C and the like reach the guest; it gets its mode
 * back however the session ends, as long as the process can still do anything.
 *
 * Input that is no terminal (a pipe, a file) is passed on as it is, ctrl-] included; its end is the end of the input, not
 * of the guest.
 *
 * @source tools/console/client/main.c (console_loop, the escape character)
 */
import { Readable } from 'node:stream';

/** ctrl-]. */
const ESCAPE_BYTE = 0x1d;

/** The three streams; process.stdin, stdout and stderr, or a test's own. */
export interface TerminalEnds {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  readonly output: NodeJS.WritableStream;
  /** For what is not the guest's. */
  readonly status: NodeJS.WritableStream;
}

export class ConsoleSession {
  /** What is typed, for the guest. Ends with the input, or when the user detaches. */
  readonly typed: Readable;
  private readonly detaching = new AbortController();
  private readonly interactive: boolean;
  private attached = false;
  private ended = false;

  constructor(private readonly ends: TerminalEnds) {
    this.interactive = ends.input.isTTY === true;
    this.typed = new Readable({ read: () => void ends.input.resume() });
  }

  /** Aborted when the user detaches. */
  get detached(): AbortSignal {
    return this.detaching.signal;
  }

  /** No more can be typed. */
  get inputEnded(): boolean {
    return this.ended;
  }

  /** Takes the terminal over. @param domain - whose console it is */
  attach(domain: string): void {
    const { input, status } = this.ends;
    this.attached = true;
    process.on('exit', this.release);
    if (this.interactive) {
      status.write(`Connected to ${domain}. Escape character is ^]\n`);
      input.setRawMode?.(true);
    }
    input.on('data', this.take);
    input.on('end', this.endInput);
    input.on('error', this.endInput);
  }

  /** Output of the guest, as it is. */
  readonly write = (bytes: Uint8Array): void => {
    this.ends.output.write(Buffer.from(bytes));
  };

  /** Gives the terminal back. May be called twice. */
  readonly release = (): void => {
    if (!this.attached) return;
    this.attached = false;
    const { input } = this.ends;
    process.off('exit', this.release);
    input.off('data', this.take);
    input.off('end', this.endInput);
    input.off('error', this.endInput);
    this.typed.destroy();
    // A stream that is being read keeps the process alive.
    input.pause();
    if (this.interactive) input.setRawMode?.(false);
  };

  private readonly take = (chunk: Buffer | string): void => {
    const bytes = Buffer.from(chunk as string);
    const escapeAt = this.interactive ? bytes.indexOf(ESCAPE_BYTE) : -1;
    const forGuest = escapeAt < 0 ? bytes : bytes.subarray(0, escapeAt);
    if (forGuest.length > 0 && !this.typed.push(forGuest)) this.ends.input.pause();
    if (escapeAt < 0) return;
    this.endInput();
    this.detaching.abort();
  };

  private readonly endInput = (): void => {
    if (!this.ended && !this.typed.destroyed) this.typed.push(null);
    this.ended = true;
    this.ends.input.off('data', this.take);
  };
}
