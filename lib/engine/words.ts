/**
 * A scenario's named words: where they lie in the domain's memory, and the objects a guest accesses them
 * through. Each word has a cache line of its own, so that two of them never share one by accident.
 */
import type { Word, Words } from '../guest/vcpu';
import type { Memory } from '../memory/memory';
import type { WordsSpec } from './scenario';

/** First byte after start_info's frame: where words begin unless services have pages there. */
export const WORDS_ADDRESS = 0x3000;
export const WORD_SPACING_BYTES = 64;

/** Addresses by name; plain data. */
export type WordTable = Readonly<Record<string, number | readonly number[]>>;

export interface WordLayout {
  readonly table: WordTable;
  readonly startAddress: number;
  /** First address after the last word. */
  readonly endAddress: number;
  /** Words whose initial value is not 0. */
  readonly initial: readonly { readonly address: number; readonly value: number }[];
}

/** Lays the words out in the order of the specification. */
export function layOutWords(spec: WordsSpec | undefined, start: number = WORDS_ADDRESS): WordLayout {
  const table: Record<string, number | readonly number[]> = {};
  const initial: { address: number; value: number }[] = [];
  let next = start;
  const place = (value: number): number => {
    const address = next;
    next += WORD_SPACING_BYTES;
    if (value !== 0) initial.push({ address, value });
    return address;
  };
  for (const [name, value] of Object.entries(spec ?? {})) {
    table[name] = typeof value === 'number' ? place(value) : value.map(place);
  }
  return { table, startAddress: start, endAddress: next, initial };
}

class MemoryWord implements Word {
  constructor(
    private readonly memory: Memory,
    readonly address: number,
  ) {}

  read(): number {
    return this.memory.read32(this.address);
  }

  write(value: number): void {
    this.memory.write32(this.address, value);
  }

  load(): number {
    return this.memory.load32(this.address);
  }

  store(value: number): void {
    this.memory.store32(this.address, value);
  }

  add(value: number): number {
    return this.memory.add32(this.address, value);
  }

  and(value: number): number {
    return this.memory.and32(this.address, value);
  }

  or(value: number): number {
    return this.memory.or32(this.address, value);
  }

  xor(value: number): number {
    return this.memory.xor32(this.address, value);
  }

  exchange(value: number): number {
    return this.memory.exchange32(this.address, value);
  }

  compareExchange(expected: number, replacement: number): number {
    return this.memory.compareExchange32(this.address, expected, replacement);
  }
}

/** The words as objects over `memory`, frozen. */
export function bindWords(memory: Memory, table: WordTable): Words {
  const words: Record<string, Word | readonly Word[]> = {};
  for (const [name, address] of Object.entries(table)) {
    words[name] =
      typeof address === 'number'
        ? new MemoryWord(memory, address)
        : Object.freeze(address.map((each) => new MemoryWord(memory, each)));
  }
  return Object.freeze(words);
}

/** Writes the initial values; the rest of the memory is zero. */
export function initialiseWords(memory: Memory, layout: WordLayout): void {
  for (const { address, value } of layout.initial) memory.write32(address, value);
}

/**
 * The scenario's name of the word at an address, for traces: `rounds`, `slots[3]`, or undefined where no word
 * begins.
 */
export function wordName(table: WordTable, address: number): string | undefined {
  for (const [name, at] of Object.entries(table)) {
    if (typeof at === 'number') {
      if (at === address) return name;
    } else {
      const index = at.indexOf(address);
      if (index >= 0) return `${name}[${index}]`;
    }
  }
  return undefined;
}
