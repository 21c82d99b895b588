/**
 * One line at the bottom of a terminal that tells how far a run is, redrawn in place. On anything but a terminal it
 * stays silent.
 */
import type { WriteStream } from 'node:tty';
import { fitTo } from './terminal';

const CLEAR_LINE = '\r\x1b[K';

export class ProgressLine {
  private shown = '';
  private readonly active: boolean;

  /** @param output - usually process.stderr */
  constructor(private readonly output: WriteStream) {
    this.active = output.isTTY === true && process.env.TERM !== 'dumb';
  }

  show(text: string): void {
    if (!this.active) return;
    // One column less than the terminal has: a full line would wrap and stay.
    this.shown = fitTo(this.output, `${text} `).trimEnd();
    this.output.write(CLEAR_LINE + this.shown);
  }

  /** Takes the line away, writes something with `write`, and puts the line back below it. */
  around(write: () => void): void {
    const { shown } = this;
    this.clear();
    write();
    if (shown !== '') this.show(shown);
  }

  clear(): void {
    if (this.shown !== '') this.output.write(CLEAR_LINE);
    this.shown = '';
  }
}
