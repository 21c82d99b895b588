/**
 * The locks of AtomicsMemory, and what is done about holders that die, under the deterministic engine: the very code, with
 * each access of it a step, and a holder that may die before each of its accesses. All interleavings, all deaths.
 */
import { expect } from 'chai';
import type { InlineEngine } from '../../lib/engine/inline/inline-engine';
import type { InlineMemory } from '../../lib/engine/inline/inline-memory';
import { DporStrategy } from '../../lib/explore/dpor';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import {
  beginMending,
  endMending,
  LockHolder,
  NOTES,
  takeFromWriter,
  WRITER_WAITS,
  writerOf,
} from '../../lib/memory/lock-words';
import { at, type Bare, type BareResult, exploreBare } from '../explore/support/bare';

const LOCK = at(0);
/** Written together under the lock. */
const FIRST = at(1);
const SECOND = at(2);
/** What the mortal has noted, and the others. */
const NOTE = [at(3), at(4), at(5)] as const;
/** 1: the mortal has gone. */
const GONE = at(6);
/** Its id; others have the next ones. */
const MORTAL = 1;

type Role = 'reader' | 'writer' | 'trying reader';

/** Unwinds the mortal. */
class Death extends Error {}

/** The locks of AtomicsMemory over explored memory, notes in a word. A thread holds one lock at most here. */
class ExploredLocks extends AtomicsMemory {
  constructor(
    private readonly words: InlineMemory,
    private readonly engine: InlineEngine,
    private readonly id: number,
    /** Before each access. */
    private readonly step: () => void = () => {},
  ) {
    super(new SharedArrayBuffer(64), new LockHolder(id, new Int32Array(NOTES)));
  }

  override load32(address: number): number {
    this.step();
    return this.words.load32(address);
  }

  override compareExchange32(address: number, expected: number, replacement: number): number {
    this.step();
    return this.words.compareExchange32(address, expected, replacement);
  }

  override add32(address: number, value: number): number {
    this.step();
    return this.words.add32(address, value);
  }

  override and32(address: number, value: number): number {
    this.step();
    return this.words.and32(address, value);
  }

  override or32(address: number, value: number): number {
    this.step();
    return this.words.or32(address, value);
  }

  // Plain stores, as on hosts that keep them in order.

  override write32(address: number, value: number): void {
    this.step();
    this.words.write32(address, value);
  }

  override read32(address: number): number {
    this.step();
    return this.words.read32(address);
  }

  protected override note(): void {
    this.write32(this.ownNote, 1);
  }

  protected override crossOut(): void {
    this.write32(this.ownNote, 0);
  }

  protected override hasNoted(): boolean {
    return true;
  }

  protected override backOff(): void {
    this.engine.relax();
  }

  private get ownNote(): number {
    return NOTE[this.id - MORTAL] as number;
  }
}

/** Takes the lock once and does what it is for. */
function useLock(locks: ExploredLocks, role: Role): void {
  if (role === 'writer') {
    locks.writeLock(LOCK);
    locks.write32(FIRST, locks.read32(FIRST) + 1);
    locks.write32(SECOND, locks.read32(SECOND) + 1);
    locks.writeUnlock(LOCK);
    return;
  }
  if (role === 'reader') locks.readLock(LOCK);
  else if (!locks.readTrylock(LOCK)) return;
  const first = locks.read32(FIRST);
  const second = locks.read32(SECOND);
  if (first !== second) throw new Error(`a reader sees a change half done: ${first}, ${second}`);
  locks.readUnlock(LOCK);
}

function mortal(role: Role): Bare {
  return (memory, engine) => {
    const mayDie = (): void => {
      if (engine.choose(2) === 1) throw new Death();
    };
    try {
      useLock(new ExploredLocks(memory, engine, MORTAL, mayDie), role);
    } catch (thrown) {
      if (!(thrown instanceof Death)) throw thrown;
    }
    // As the operating system tells: nothing of the thread is under way any more.
    memory.fence();
    memory.store32(GONE, 1);
  };
}

function survivor(id: number, role: Role): Bare {
  return (memory, engine) => useLock(new ExploredLocks(memory, engine, id), role);
}

/** What is done about the mortal when it has gone, and for what is left out the whole falls apart. */
type Neglect = 'nothing' | 'waiting for the living' | 'the mark of a waiting writer' | 'readers' | 'writers';

function undertaker(living: number, neglect: Neglect): Bare {
  return (memory, engine) => {
    while (memory.load32(GONE) === 0) engine.relax();
    if (writerOf(memory.load32(LOCK)) === MORTAL && neglect !== 'writers') {
      memory.write32(SECOND, memory.read32(FIRST));
      takeFromWriter(memory, LOCK);
    }
    if (neglect !== 'the mark of a waiting writer') memory.and32(LOCK, ~WRITER_WAITS);
    if (memory.load32(NOTE[0]) === 0 || neglect === 'readers') return;
    beginMending(memory, LOCK);
    for (const note of NOTE.slice(1, 1 + living)) {
      while (neglect !== 'waiting for the living' && memory.load32(note) !== 0) engine.relax();
    }
    endMending(memory, LOCK);
  };
}

function explore(dying: Role, living: readonly Role[], neglect: Neglect = 'nothing', memoryModel?: 'tso'): BareResult {
  const others = living.map((role, index) => survivor(MORTAL + 1 + index, role));
  return exploreBare([mortal(dying), ...others, undertaker(living.length, neglect)], new DporStrategy(), {
    memoryModel,
    check(memory) {
      if (memory.load32(LOCK) !== 0) throw new Error(`the lock is left at ${memory.load32(LOCK) >>> 0}`);
    },
  });
}

describe('a lock whose holder dies', () => {
  for (const dying of ['reader', 'trying reader', 'writer'] as const) {
    for (const living of ['reader', 'trying reader', 'writer'] as const) {
      for (const memoryModel of [undefined, 'tso'] as const) {
        it(`is free again and was never shared wrongly: a ${dying} dies beside a ${living} (${memoryModel ?? 'sc'})`, () => {
          const { complete, executions, failure } = explore(dying, [living], 'nothing', memoryModel);
          expect(failure).to.equal(null);
          expect(complete).to.equal(true);
          expect(executions).to.be.greaterThan(10);
        });
      }
    }
  }

  for (const [neglect, dying, living, message] of [
    ['waiting for the living', 'reader', 'reader', /the lock is left at|a reader sees/],
    ['the mark of a waiting writer', 'writer', 'writer', /the lock is left at 1073741824/],
    ['readers', 'reader', 'writer', /./],
    ['writers', 'writer', 'reader', /./],
  ] as const) {
    it(`falls apart without ${neglect}`, () => {
      expect(explore(dying, [living], neglect).failure?.message).to.match(message);
    });
  }
});
