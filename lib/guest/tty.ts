/**
 * Line discipline over a console: lines in, with echo and editing, lines out, with the carriage returns a terminal wants.
 *
 * Understands what a terminal in raw mode sends: Enter (CR or LF), Backspace (DEL or BS), ctrl-U (kill the line), ctrl-C
 * (give the line up), ctrl-D (end of input at the start of a line), and skips escape sequences such as those of the arrow
 * keys. The line being edited lives in this object: one vCPU reads.
 *
 * Leaves out: a history, word-wise editing, flow control by ctrl-S, switching echo off.
 *
 * @source Linux, drivers/tty/n_tty.c
 */
import type { PvConsole } from './pv-console';

const CTRL_C = 3;
const CTRL_D = 4;
const BACKSPACE = 8;
const NEWLINE = 10;
const RETURN = 13;
const CTRL_U = 21;
const ESCAPE = 27;
const DELETE = 127;

/** Bytes a line may have; further ones are refused with a bell. */
const LINE_BYTES = 512;
const READ_BYTES = 64;

const ERASE = '\b \b';
const BELL = '\x07';

/** Where an escape sequence has got to: none, after ESC, after ESC [ or ESC O. */
type EscapeState = 'none' | 'begun' | 'parameters';

export class Tty {
  private readonly input = new Uint8Array(READ_BYTES);
  /** Part of {@link input} that has not been looked at. */
  private next = 0;
  private end = 0;
  private readonly line = new Uint8Array(LINE_BYTES);
  private length = 0;
  private escape: EscapeState = 'none';
  private afterReturn = false;
  private readonly decoder = new TextDecoder();

  constructor(private readonly console: PvConsole) {}

  /**
   * Writes text; each newline becomes carriage return and newline.
   * @returns as {@link PvConsole.write}
   */
  write(text: string): number {
    return this.console.write(text.replace(/\r?\n/g, '\r\n'));
  }

  /**
   * Reads a line, asleep until Enter. ctrl-C gives the line up and returns ''.
   * @param prompt - written first
   * @returns the line without its end; undefined at the end of input: ctrl-D at the start of a line, or a corrupt ring
   */
  readLine(prompt = ''): string | undefined {
    this.write(prompt);
    this.length = 0;
    for (;;) {
      const byte = this.nextByte();
      if (byte === undefined) return undefined;
      if (this.skipsEscape(byte) || this.skipsNewline(byte)) continue;
      switch (byte) {
        case RETURN:
        case NEWLINE:
          this.write('\n');
          return this.decoder.decode(this.line.subarray(0, this.length));
        case CTRL_C:
          this.write('^C\n');
          return '';
        case CTRL_D:
          if (this.length > 0) break;
          this.write('\n');
          return undefined;
        default:
          this.edit(byte);
      }
    }
  }

  private edit(byte: number): void {
    if (byte === BACKSPACE || byte === DELETE) {
      if (this.eraseCharacter()) this.console.write(ERASE);
    } else if (byte === CTRL_U) {
      let erased = '';
      while (this.eraseCharacter()) erased += ERASE;
      this.console.write(erased);
    } else if (byte >= 0x20) {
      this.append(byte);
    }
  }

  private append(byte: number): void {
    if (this.length === LINE_BYTES) {
      this.console.write(BELL);
      return;
    }
    this.line[this.length++] = byte;
    this.console.write(this.line.slice(this.length - 1, this.length));
  }

  /** Takes the last character off, all bytes of it; false if there is none. */
  private eraseCharacter(): boolean {
    if (this.length === 0) return false;
    do this.length--;
    while (this.length > 0 && isContinuation(this.line[this.length] as number));
    return true;
  }

  /** Enter is CR from a terminal, LF from a file, both from some: that is one line end. */
  private skipsNewline(byte: number): boolean {
    const skips = byte === NEWLINE && this.afterReturn;
    this.afterReturn = byte === RETURN;
    return skips;
  }

  private skipsEscape(byte: number): boolean {
    switch (this.escape) {
      case 'none':
        if (byte !== ESCAPE) return false;
        this.escape = 'begun';
        return true;
      case 'begun':
        this.escape = byte === 0x5b || byte === 0x4f ? 'parameters' : 'none';
        return true;
      case 'parameters':
        if (byte >= 0x40 && byte <= 0x7e) this.escape = 'none';
        return true;
    }
  }

  private nextByte(): number | undefined {
    if (this.next === this.end) {
      const taken = this.console.read(this.input);
      if (taken < 0) return undefined;
      this.next = 0;
      this.end = taken;
    }
    return this.input[this.next++];
  }
}

/** Second and further bytes of a character in UTF-8. */
function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
