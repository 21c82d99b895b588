/**
 * Finds programs that compute without ever making a step: under this engine nothing else could hold an execution up.
 * Time counts only while the main thread looks, as with the watchdog of the free-running engine.
 */
import { Op } from '../inline/ops';
import { ARRIVED, type SharedWords } from './shared-words';

/** The most that one look can add to a silence. */
const MAX_STEP_MS = 200;

export class StallWatch {
  /** Programs found out so far. */
  readonly culprits = new Set<number>();
  private silentMs = 0;
  private lastLookMs = performance.now();
  private progress = -1;

  constructor(
    private readonly words: SharedWords,
    private readonly limitMs: number,
  ) {}

  /** To be called regularly. Returns those newly found. */
  look(): readonly number[] {
    const { words } = this;
    const nowMs = performance.now();
    const progress = words.depth + Atomics.load(words.words, ARRIVED);
    if (progress === this.progress && this.allStarted()) {
      this.silentMs += Math.min(nowMs - this.lastLookMs, MAX_STEP_MS);
    } else {
      this.silentMs = 0;
    }
    this.progress = progress;
    this.lastLookMs = nowMs;
    if (this.silentMs <= this.limitMs || this.culprits.size > 0) return [];
    for (const actor of this.busy()) this.culprits.add(actor);
    return [...this.culprits];
  }

  private allStarted(): boolean {
    for (let actor = 0; actor < this.words.programs; actor++) if (this.words.threadOf(actor) === 0) return false;
    return true;
  }

  /** Those that everybody waits for: whoever has not come to its first step, else the holder of the baton. */
  private busy(): number[] {
    const { holder, programs } = this.words;
    if (holder >= 0) return [holder];
    return Array.from({ length: programs }, (_, actor) => actor).filter(
      (actor) => this.words.pendingKind(actor) === Op.NONE,
    );
  }
}
