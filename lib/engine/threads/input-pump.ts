/**
 * Feeds console input to the hypervisor, no faster than its buffer is emptied: the console itself drops what arrives
 * while the buffer is full.
 */
import { Readable } from 'node:stream';
import type { Hypervisor } from '../../hypervisor/hypervisor';
import { CONSOLE_INPUT_BYTES, MACHINE_SERIAL_RX_CONS, MACHINE_SERIAL_RX_PROD } from '../../hypervisor/state-layout';
import type { ConsoleInput } from './run-options';

/** How long to wait for the guest to make room (ms). */
const RETRY_MS = 5;

export class InputPump {
  private readonly encoder = new TextEncoder();
  private readonly iterator: AsyncIterator<string | Uint8Array>;
  private stopped = false;
  private done = false;
  private cancelWait: (() => void) | undefined;

  constructor(
    private readonly hypervisor: Hypervisor,
    private readonly input: ConsoleInput = '',
  ) {
    this.iterator = chunksOf(input)[Symbol.asyncIterator]();
  }

  /** No more input will come. */
  get finished(): boolean {
    return this.done;
  }

  /** Begins to feed; resolves when the source has ended or was stopped. A source that fails counts as ended. */
  async run(): Promise<void> {
    try {
      while (!this.stopped) {
        const next = await this.iterator.next();
        if (next.done) break;
        await this.feed(typeof next.value === 'string' ? this.encoder.encode(next.value) : next.value);
      }
    } finally {
      this.done = true;
    }
  }

  /** Gives the source up, so that it keeps nothing alive. */
  stop(): void {
    this.stopped = true;
    this.cancelWait?.();
    // A stream's iterator that waits for data would return only with the next.
    if (this.input instanceof Readable) this.input.destroy();
    else void this.iterator.return?.().catch(() => {});
  }

  private async feed(bytes: Uint8Array): Promise<void> {
    let start = 0;
    while (start < bytes.length && !this.stopped) {
      const end = start + inputRoom(this.hypervisor);
      this.hypervisor.console.input(bytes.subarray(start, end));
      start = Math.min(end, bytes.length);
      if (start < bytes.length) await this.wait();
    }
  }

  private wait(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, RETRY_MS);
      this.cancelWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function chunksOf(input: ConsoleInput): AsyncIterable<string | Uint8Array> {
  return typeof input === 'string' || input instanceof Uint8Array ? Readable.from([input]) : input;
}

/** Characters the console's buffer has room for. The guest can only make more. */
function inputRoom({ machine: { global } }: Hypervisor): number {
  const waiting = global.load32(MACHINE_SERIAL_RX_PROD) - global.load32(MACHINE_SERIAL_RX_CONS);
  return CONSOLE_INPUT_BYTES - (waiting | 0);
}
