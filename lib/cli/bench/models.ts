/**
 * The models that exploration tools are compared on, twice: as programs over a Memory, and by hand as generators, the least
 * that a scheduler in JavaScript can do with them. A yield of the generators is a scheduling point before an access.
 */
import { at, type Bare } from '../../explore/bare';

/** A model in both forms. `words` is what it needs of memory. */
export interface Model {
  readonly name: string;
  readonly words: number;
  readonly programs: readonly Bare[];
  /** Fresh generators over fresh memory. */
  generators(words: Int32Array): Generator<void, unknown, void>[];
}

function repeat<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/** `actors` programs, each `adds` atomic adds on one word; the old values are kept. */
export function counter(actors: number, adds: number): Model {
  return {
    name: `counter ${actors}×${adds}`,
    words: 1,
    programs: repeat(actors, () => (memory) => {
      let seen = 0;
      for (let add = 0; add < adds; add++) seen = seen * 31 + memory.add32(at(0), 1);
      return seen;
    }),
    generators: (words) =>
      repeat(actors, function* () {
        let seen = 0;
        for (let add = 0; add < adds; add++) {
          yield;
          seen = seen * 31 + Atomics.add(words, 0, 1);
        }
        return seen;
      }),
  };
}

/** One writer and `count` readers of a word. */
export function readers(count: number): Model {
  return {
    name: `readers ${count}`,
    words: 1,
    programs: [(memory) => memory.write32(at(0), 1), ...repeat<Bare>(count, () => (memory) => memory.read32(at(0)))],
    generators: (words) => [
      (function* () {
        yield;
        words[0] = 1;
      })(),
      ...repeat(count, function* () {
        yield;
        return words[0];
      }),
    ],
  };
}

/** a[0..writers]: writer j sets a[j] = a[j-1] + 1; a reader scans from the end down to the first zero. */
export function lastZero(writers: number): Model {
  return {
    name: `lastzero ${writers}`,
    words: writers + 1,
    programs: [
      (memory) => {
        let index = writers;
        while (memory.read32(at(index)) !== 0) index--;
        return index;
      },
      ...repeat<Bare>(writers, (j) => (memory) => memory.write32(at(j + 1), memory.read32(at(j)) + 1)),
    ],
    generators: (words) => [
      (function* () {
        for (let index = writers; ; index--) {
          yield;
          if (words[index] === 0) return index;
        }
      })(),
      ...repeat(writers, function* (j) {
        yield;
        const before = words[j] as number;
        yield;
        words[j + 1] = before + 1;
      }),
    ],
  };
}

const PENDING = 0;
const MASK = 1;
const SEL = 2;
const UPCALL = 3;

/**
 * Delivery of one event: a sender (pending.or; if it was clear and not masked, sel.or and, if that was clear, upcall = 1)
 * against a guest doing rounds of (upcall.exchange 0, sel.exchange 0 and, if it was set, read and clear pending, mask.or,
 * mask.and). The buggy guest does not look at pending after unmasking; the fixed one does, and re-raises.
 */
export function evtchn(fixed: boolean, rounds = 3, sends = 1): Model {
  const guest: Bare = (memory) => {
    let handled = 0;
    for (let round = 0; round < rounds; round++) {
      memory.exchange32(at(UPCALL), 0);
      if (memory.exchange32(at(SEL), 0) !== 0 && memory.load32(at(PENDING)) !== 0) {
        memory.and32(at(PENDING), 0);
        handled++;
      }
      memory.or32(at(MASK), 1);
      memory.and32(at(MASK), 0);
      if (fixed && memory.load32(at(PENDING)) !== 0 && memory.or32(at(SEL), 1) === 0) memory.store32(at(UPCALL), 1);
    }
    return handled;
  };
  const sender: Bare = (memory) => {
    for (let send = 0; send < sends; send++) {
      if (memory.or32(at(PENDING), 1) !== 0) continue;
      if (memory.load32(at(MASK)) !== 0) continue;
      if (memory.or32(at(SEL), 1) === 0) memory.store32(at(UPCALL), 1);
    }
  };
  return {
    name: `evtchn ${fixed ? 'fixed' : 'buggy'}, ${sends} ${sends === 1 ? 'send' : 'sends'}, ${rounds} rounds`,
    words: 4,
    programs: [guest, sender],
    generators: (words) => [evtchnGuest(words, fixed, rounds), evtchnSender(words, sends)],
  };
}

function* evtchnGuest(words: Int32Array, fixed: boolean, rounds: number): Generator<void, number, void> {
  let handled = 0;
  for (let round = 0; round < rounds; round++) {
    yield;
    Atomics.exchange(words, UPCALL, 0);
    yield;
    if (Atomics.exchange(words, SEL, 0) !== 0) {
      yield;
      if (Atomics.load(words, PENDING) !== 0) {
        yield;
        Atomics.and(words, PENDING, 0);
        handled++;
      }
    }
    yield;
    Atomics.or(words, MASK, 1);
    yield;
    Atomics.and(words, MASK, 0);
    if (!fixed) continue;
    yield;
    if (Atomics.load(words, PENDING) === 0) continue;
    yield;
    if (Atomics.or(words, SEL, 1) !== 0) continue;
    yield;
    Atomics.store(words, UPCALL, 1);
  }
  return handled;
}

function* evtchnSender(words: Int32Array, sends: number): Generator<void, void, void> {
  for (let send = 0; send < sends; send++) {
    yield;
    if (Atomics.or(words, PENDING, 1) !== 0) continue;
    yield;
    if (Atomics.load(words, MASK) !== 0) continue;
    yield;
    if (Atomics.or(words, SEL, 1) !== 0) continue;
    yield;
    Atomics.store(words, UPCALL, 1);
  }
}

/** What has to hold after both programs of {@link evtchn}: pending implies masked or announced. */
export function announced(memory: { load32(address: number): number }): boolean {
  return memory.load32(at(PENDING)) === 0 || memory.load32(at(MASK)) !== 0 || memory.load32(at(SEL)) !== 0;
}

/** Two programs of 50 atomic adds each, over four words. */
export function raw(accesses = 50): Model {
  return {
    name: `raw 2×${accesses}`,
    words: 4,
    programs: repeat(2, () => (memory) => {
      let seen = 0;
      for (let i = 0; i < accesses; i++) seen = (seen * 31 + memory.add32(at(i & 3), 1)) | 0;
      return seen;
    }),
    generators: (words) =>
      repeat(2, function* () {
        let seen = 0;
        for (let i = 0; i < accesses; i++) {
          yield;
          seen = (seen * 31 + Atomics.add(words, i & 3, 1)) | 0;
        }
        return seen;
      }),
  };
}
