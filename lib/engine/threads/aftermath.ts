/**
 * What has to be done on the main thread when a thread has gone without finishing its task: its locks are released, what they
 * guard made whole, its events announced, and its domain closed off. See the hypervisor's `recovery.ts` for the why, and
 * `lock-words.ts` for locks held for reading, which take until all other threads were seen without them.
 *
 * The main thread's own hypervisor gives up on a lock that is not to be had in time: its holder may be dead, and the news of that
 * waits for this very thread. So whatever it does goes through {@link Aftermath.attempt} or {@link Aftermath.soon}: what it
 * leaves behind when it gives up is cleared away as if its own thread had died there.
 */
import type { HvDomain } from '../../hypervisor/machine';
import { beginMending, endMending, LOCKS_PER_BUFFER } from '../../memory/lock-words';
import type { LockableMemory } from '../../memory/memory';
import { StuckLockError } from '../../memory/patient-memory';
import { holderOf, type MachineThread } from './machine-thread';

/** Between two looks at what living threads hold (ms). */
const LOOK_AGAIN_MS = 1;
/** Attempts at what is left when no thread is. */
const MOST_ROUNDS = 10;

/** A lock that dead threads may hold for reading. */
interface Mending {
  /** As threads note it. */
  readonly note: number;
  readonly memory: LockableMemory;
  readonly address: number;
  /** Rows of threads that have not been seen without it. */
  readonly waitsFor: Set<number>;
}

/** What has been looked after. */
export interface AftermathFigures {
  /** Threads that ended without finishing their task. */
  threads: number;
  /** Locks that were taken away from them. */
  locks: number;
  /** Domains whose channels were closed, since one of their threads ended inside the hypervisor. */
  closedOff: number;
}

export class Aftermath {
  readonly figures: AftermathFigures = { threads: 0, locks: 0, closedOff: 0 };
  private readonly gone = new Set<number>();
  /** Domains whose thread ended inside the hypervisor, by index. */
  private readonly broken = new Set<number>();
  private readonly mending: Mending[] = [];
  /** Releases of locks that are held for writing: whatever else is done may wait for these. */
  private readonly releases: (() => void)[] = [];
  /** The rest. It may wait for locks that are being mended. */
  private readonly jobs: (() => void)[] = [];
  private timer: NodeJS.Timeout | undefined;

  /**
   * @param ownRow - of this thread
   * @param living - the domains that have not ended
   */
  constructor(
    private readonly machine: MachineThread,
    private readonly ownRow: number,
    private readonly living: () => readonly HvDomain[],
  ) {}

  /**
   * A thread has gone, and makes no further access.
   * @param domain - index of the domain whose vCPU it ran, if it was one's
   */
  threadGone(row: number, domain?: number): void {
    this.gone.add(row);
    this.figures.threads++;
    this.releases.push(() => {
      const released = this.releaseWritersLocks(row) > 0;
      const noted = this.mendNotes(row);
      if (domain === undefined) return;
      if (released || noted || this.machine.control.inHypervisor(row)) this.broken.add(domain);
    });
    this.soon(() => this.announceAgain());
  }

  /** A domain has ended, all its vCPUs have stopped. */
  domainEnded(domain: HvDomain): void {
    this.soon(() => {
      if (!this.broken.has(domain.index)) return;
      this.machine.hypervisor.recovery.closeOff(domain);
      this.broken.delete(domain.index);
      this.figures.closedOff++;
    });
  }

  /** Does work that takes locks of the hypervisor, now or as soon as they can be had; after all that waits already. */
  soon(job: () => void): void {
    this.jobs.push(job);
    this.go();
  }

  /**
   * Does work that takes locks of the hypervisor.
   * @returns false if one of them was not to be had: the work was given up half-way
   */
  attempt(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (!(error instanceof StuckLockError)) throw error;
      this.clearOwn();
      return false;
    }
  }

  /** No thread of the machine is left: does what is. */
  finish(): void {
    for (let round = 0; round < MOST_ROUNDS && !this.settled; round++) this.go();
    clearTimeout(this.timer);
    if (!this.settled) throw new Error('a lock of the hypervisor is held, and no thread is left that could hold it');
  }

  private get settled(): boolean {
    return this.mending.length === 0 && this.releases.length === 0 && this.jobs.length === 0;
  }

  /** Goes on with what is to be done; tries again soon if something is left. */
  private go(): void {
    clearTimeout(this.timer);
    this.work(this.releases);
    this.settleNotes();
    if (this.mending.length === 0 && this.releases.length === 0) this.work(this.jobs);
    if (!this.settled) this.timer = setTimeout(() => this.go(), LOOK_AGAIN_MS).unref();
  }

  /** Does each of the jobs; those that are given up stay. */
  private work(jobs: (() => void)[]): void {
    for (const job of jobs.splice(0)) if (!this.attempt(job)) jobs.push(job);
  }

  private releaseWritersLocks(row: number): number {
    const locks = this.machine.hypervisor.recovery.releaseWritersLocks(holderOf(row));
    this.figures.locks += locks;
    return locks;
  }

  private announceAgain(): void {
    for (const domain of this.living()) this.machine.hypervisor.recovery.announceAgain(domain);
  }

  /** This thread has given up in the middle of something. */
  private clearOwn(): void {
    this.mendNotes(this.ownRow);
    this.machine.forgetNotes();
    this.releases.push(() => this.machine.hypervisor.recovery.releaseWritersLocks(holderOf(this.ownRow)));
    this.jobs.push(() => this.announceAgain());
    this.timer ??= setTimeout(() => this.go(), LOOK_AGAIN_MS).unref();
  }

  /** Begins to mend the locks that a row has noted. Returns whether there were any. */
  private mendNotes(row: number): boolean {
    const { control } = this.machine;
    const notes = control.notesOf(row);
    let found = false;
    for (const [at, note] of notes.entries()) {
      if (note === 0) continue;
      found = true;
      notes[at] = 0;
      const known = this.mending.find((each) => each.note === note);
      const mending = known ?? this.beginMending(note);
      for (let other = 0; other < control.rows; other++) {
        if (other !== this.ownRow && !this.gone.has(other)) mending.waitsFor.add(other);
      }
    }
    return found;
  }

  private beginMending(note: number): Mending {
    const buffer = Math.floor((note - 1) / LOCKS_PER_BUFFER);
    const address = ((note - 1) % LOCKS_PER_BUFFER) * 4;
    const { domains, machine } = this.machine.hypervisor;
    const memory = buffer === 0 ? machine.global : (domains[buffer - 1] as HvDomain).state;
    const mending = { note, memory, address, waitsFor: new Set<number>() };
    this.mending.push(mending);
    beginMending(memory, address);
    return mending;
  }

  /** Looks which threads still hold the locks that are being mended, and finishes with those that nobody does. */
  private settleNotes(): void {
    for (const each of [...this.mending]) {
      for (const row of each.waitsFor) {
        if (this.gone.has(row) || !this.machine.control.hasNote(row, each.note)) each.waitsFor.delete(row);
      }
      if (each.waitsFor.size > 0) continue;
      this.figures.locks += endMending(each.memory, each.address);
      this.mending.splice(this.mending.indexOf(each), 1);
    }
  }
}
