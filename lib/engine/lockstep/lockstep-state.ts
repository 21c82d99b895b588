/** The state of a machine under the lockstep engine, as every thread of it sees it: the same words, its own views. */
import type { RegionPlace } from '../inline/regions';
import { Guards } from './guards';
import { RegionMemory } from './region-memory';
import { type LockstepBuffers, SharedWords } from './shared-words';
import { StepExecutor } from './step-executor';
import { StoreBuffers } from './store-buffers';

export class LockstepState {
  readonly words: SharedWords;
  readonly memory: RegionMemory;
  readonly guards: Guards;
  readonly executor: StepExecutor;

  constructor(
    buffers: LockstepBuffers,
    places: readonly RegionPlace[],
    readonly tso: boolean,
  ) {
    this.words = new SharedWords(buffers);
    this.memory = new RegionMemory(places);
    const stores = new StoreBuffers(this.words);
    this.guards = new Guards(this.words, this.memory, stores, tso);
    this.executor = new StepExecutor(this.words, this.memory, stores, this.guards, tso);
  }
}
