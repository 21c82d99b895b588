/** Feeds input to a console, no faster than the guest takes it. */
import { Readable } from 'node:stream';
import type { ConsoleInput } from './run-options';

/** How long to wait for the guest to make room (ms). */
const RETRY_MS = 5;

/** Where the input goes. */
export interface InputSink {
  /** Bytes that can be taken at once. The guest can only make more room. */
  room(): number;
  /** @param bytes - no more than there is room for */
  put(bytes: Uint8Array): void;
}

export class InputPump {
  private readonly encoder = new TextEncoder();
  private readonly iterator: AsyncIterator<string | Uint8Array>;
  private stopped = false;
  private done = false;
  private cancelWait: (() => void) | undefined;

  /**
   * @param attempt - does work that takes locks of the hypervisor; what was given up half-way is not repeated
   * @param ifSilent - fed instead if the input ends without a byte
   */
  constructor(
    private readonly sink: InputSink,
    private readonly attempt: (work: () => void) => boolean,
    private readonly input: ConsoleInput = '',
    private readonly ifSilent = '',
  ) {
    this.iterator = chunksOf(input)[Symbol.asyncIterator]();
  }

  /** No more input will come. */
  get finished(): boolean {
    return this.done;
  }

  /** Begins to feed; resolves when the source has ended or was stopped. A source that fails counts as ended. */
  async run(): Promise<void> {
    let silent = true;
    try {
      while (!this.stopped) {
        const next = await this.iterator.next();
        if (next.done) break;
        silent &&= next.value.length === 0;
        await this.feed(typeof next.value === 'string' ? this.encoder.encode(next.value) : next.value);
      }
      if (silent) await this.feed(this.encoder.encode(this.ifSilent));
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
      const end = Math.min(start + this.sink.room(), bytes.length);
      const portion = bytes.subarray(start, end);
      if (portion.length > 0) this.attempt(() => this.sink.put(portion));
      start = end;
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
