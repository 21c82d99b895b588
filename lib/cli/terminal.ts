/**
 * What a command has to know about where its output goes: whether colours are welcome, how wide it is, and that a
 * reader may go away early.
 */
import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import { type ChartOptions, DEFAULT_WIDTH } from '../report/chart';

type Output = NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>;
type Style = Parameters<typeof styleText>[0];

/** True where escape sequences belong: on a terminal, unless NO_COLOR is set or the terminal cannot. */
export function wantsColour(output: Output): boolean {
  return output.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

/** A function that styles text for an output, or leaves it alone. */
export function painter(output: Output): (style: Style, text: string) => string {
  return wantsColour(output)
    ? (style, text) => styleText(style, text, { validateStream: false })
    : (_style, text) => text;
}

/** Cuts a line to the width of a terminal; other outputs get it whole. Call before styling. */
export function fitTo(output: Output, line: string): string {
  const width = output.isTTY === true ? (output.columns ?? 80) : Number.POSITIVE_INFINITY;
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

/** Characters of a line; where nobody knows, as for a chart. */
export function widthOf(output: Output): number {
  return (output.isTTY === true ? output.columns : undefined) ?? DEFAULT_WIDTH;
}

/** How a chart is drawn for an output: as wide as the terminal, with its colours. */
export function chartOptions(output: Output, verbose = false): ChartOptions {
  const width = output.isTTY === true ? output.columns : undefined;
  return { ...(width === undefined ? {} : { width }), paint: painter(output), verbose };
}

/** Ends the process quietly when nobody reads its output any more (`upcall layout | head`). */
export function exitOnClosedPipe(): void {
  for (const output of [process.stdout, process.stderr]) {
    output.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit();
      throw error;
    });
  }
}
