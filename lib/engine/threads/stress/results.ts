/**
 * What guests return, on its way to the thread that runs the scenario's check: a place in shared memory for each vCPU.
 * Numbers and undefined, which most guests return, go as they are; anything else serialised.
 */
import { deserialize, serialize } from 'node:v8';

const KIND_BYTES = 16;
/** Longest serialised result. */
const MOST_BYTES = 1 << 14;
const PLACE_BYTES = KIND_BYTES + MOST_BYTES;

// What a place holds.
const NOTHING = 0;
const NUMBER = 1;
/** A serialised value of so many bytes less two. */
const SERIALISED = 2;

export function createResults(vcpus: number): SharedArrayBuffer {
  return new SharedArrayBuffer(vcpus * PLACE_BYTES);
}

export class Results {
  private readonly words: Int32Array;
  private readonly numbers: Float64Array;
  private readonly bytes: Uint8Array;

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
    this.numbers = new Float64Array(buffer);
    this.bytes = new Uint8Array(buffer);
  }

  /** @throws Error if the value is too large or cannot be sent to another thread */
  put(slot: number, value: unknown): void {
    const at = slot * PLACE_BYTES;
    if (value === undefined) {
      this.words[at / 4] = NOTHING;
    } else if (typeof value === 'number') {
      this.words[at / 4] = NUMBER;
      this.numbers[at / 8 + 1] = value;
    } else {
      const data = serialize(value);
      if (data.length > MOST_BYTES) throw new RangeError(`a result may have ${MOST_BYTES} bytes, not ${data.length}`);
      this.words[at / 4] = SERIALISED + data.length;
      this.bytes.set(data, at + KIND_BYTES);
    }
  }

  /** After the vCPU's thread has arrived. */
  take(slot: number): unknown {
    const at = slot * PLACE_BYTES;
    const kind = this.words[at / 4] as number;
    if (kind === NOTHING) return undefined;
    if (kind === NUMBER) return this.numbers[at / 8 + 1];
    return deserialize(this.bytes.slice(at + KIND_BYTES, at + KIND_BYTES + kind - SERIALISED));
  }
}
