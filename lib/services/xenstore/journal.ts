/**
 * What the toolstack has done to the store before the machine starts, on its way to xenstored: the requests that change
 * something, one after the other, in Domain-0's memory. xenstored executes them before it serves anybody.
 */
import { decodeHeader, encodeMessage, HEADER_BYTES } from '../../guest/xenstore-page';
import type { Memory } from '../../memory/memory';
import type { Request } from './client';
import { toBytes, toText } from './errors';

const FRAME_BYTES = 4096;
const JOURNAL_FRAMES = 32;
const WORD_BYTES = 4;
const MOST_BYTES = JOURNAL_FRAMES * FRAME_BYTES - WORD_BYTES;

/** Where it lies: below Domain-0's last frame. @param frames - of Domain-0 */
export function journalAddress(frames: number): number {
  return (frames - 1 - JOURNAL_FRAMES) * FRAME_BYTES;
}

/**
 * Appends a request.
 * @throws RangeError when there is no room
 */
export function appendToJournal(memory: Memory, journal: number, type: number, payload: string): void {
  const used = memory.read32(journal);
  const message = encodeMessage(type, 0, 0, toBytes(payload));
  if (used + message.length > MOST_BYTES)
    throw new RangeError(`xenstore: set-up may write ${MOST_BYTES} bytes, no more`);
  for (let i = 0; i < message.length; i += WORD_BYTES) {
    const [a = 0, b = 0, c = 0, d = 0] = message.subarray(i, i + WORD_BYTES);
    memory.write32(journal + WORD_BYTES + used + i, a | (b << 8) | (c << 16) | (d << 24));
  }
  memory.write32(journal, (used + message.length + WORD_BYTES - 1) & -WORD_BYTES);
}

/** All requests, in order. One access if there are none. */
export function readJournal(memory: Memory, journal: number): Request[] {
  const used = memory.read32(journal);
  const bytes = new Uint8Array(used);
  for (let i = 0; i < used; i += WORD_BYTES) {
    const word = memory.read32(journal + WORD_BYTES + i);
    for (let byte = 0; byte < WORD_BYTES; byte++) bytes[i + byte] = word >>> (byte * 8);
  }
  const requests: Request[] = [];
  for (let at = 0; at < used; ) {
    const { length, ...header } = decodeHeader(bytes.subarray(at));
    const start = at + HEADER_BYTES;
    requests.push({ ...header, payload: toText(bytes, start, start + length) });
    at = (start + length + WORD_BYTES - 1) & -WORD_BYTES;
  }
  return requests;
}
