/**
 * A terminal taken over as a whole, and given back as it was however the process ends: by a key, a signal, an exception or
 * Ctrl-Z. Of a picture only the lines that have changed are written, all at once, so that nothing flickers.
 */
import { emitKeypressEvents, type Key } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import { onExit } from 'signal-exit';

/** Escape sequences by name. A module that can only be imported, hence handed in. */
export type Escapes = typeof import('ansi-escapes').default;

export class FullScreen {
  private shown: readonly string[] = [];
  private taken = false;
  private readonly forget: () => void;

  /**
   * Takes the terminal.
   * @param onKey - name of a key such as `q`, `up`, `pagedown`; ctrl-C is `ctrl-c`
   * @param onResize - draw again
   */
  constructor(
    private readonly escapes: Escapes,
    private readonly input: ReadStream,
    private readonly output: WriteStream,
    private readonly onKey: (name: string) => void,
    private readonly onResize: () => void,
  ) {
    this.forget = onExit(() => this.giveBack());
    if (input.isTTY) {
      emitKeypressEvents(input);
      input.on('keypress', this.keypress);
    }
    output.on('resize', this.redraw);
    process.on('SIGCONT', this.resume);
    this.take();
  }

  get width(): number {
    return this.output.columns;
  }

  get height(): number {
    return this.output.rows;
  }

  /** @param lines - at most {@link height} of them, each at most {@link width} wide, styles not counted */
  draw(lines: readonly string[]): void {
    if (!this.taken) return;
    const { beginSynchronizedOutput, endSynchronizedOutput, cursorTo, eraseEndLine } = this.escapes;
    const changed = Array.from({ length: this.height }, (_, row) => row)
      .filter((row) => (lines[row] ?? '') !== (this.shown[row] ?? ''))
      .map((row) => cursorTo(0, row) + (lines[row] ?? '') + eraseEndLine);
    this.shown = [...lines];
    if (changed.length > 0) this.output.write(beginSynchronizedOutput + changed.join('') + endSynchronizedOutput);
  }

  /** Gives the terminal back for good. */
  close(): void {
    this.giveBack();
    this.forget();
    this.input.off('keypress', this.keypress);
    this.input.pause();
    this.output.off('resize', this.redraw);
    process.off('SIGCONT', this.resume);
  }

  private take(): void {
    if (this.taken) return;
    this.taken = true;
    this.shown = [];
    if (this.input.isTTY) {
      this.input.setRawMode(true);
      this.input.resume();
    }
    const { enterAlternativeScreen, cursorHide, eraseScreen } = this.escapes;
    this.output.write(enterAlternativeScreen + cursorHide + eraseScreen);
  }

  private giveBack(): void {
    if (!this.taken) return;
    this.taken = false;
    const { cursorShow, exitAlternativeScreen } = this.escapes;
    this.output.write(cursorShow + exitAlternativeScreen);
    if (this.input.isTTY) this.input.setRawMode(false);
  }

  private readonly keypress = (_text: string | undefined, { name = '', ctrl = false, sequence }: Key): void => {
    if (ctrl && name === 'z') this.suspend();
    else this.onKey(`${ctrl ? 'ctrl-' : ''}${name || (sequence ?? '')}`);
  };

  /** The shell gets the terminal, and with SIGCONT we get it again. */
  private suspend(): void {
    this.giveBack();
    process.kill(process.pid, 'SIGSTOP');
  }

  private readonly resume = (): void => {
    this.take();
    this.onResize();
  };

  private readonly redraw = (): void => {
    this.shown = [];
    this.output.write(this.escapes.eraseScreen);
    this.onResize();
  };
}
