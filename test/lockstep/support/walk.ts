/** Random schedules of different tempers: from one actor at a time to a switch at every step. */
import type { MachineState } from '../../../lib/engine/inline/machine-state';
import type { Strategy } from '../../../lib/engine/inline/strategy';
import { Random } from '../../../lib/engine/rng';

/** Chances, of 16, to leave an actor that could go on; executions take turns with them. */
const TEMPERS = [16, 8, 2, 1];

export class Walk implements Strategy {
  readonly name = 'walk';
  /** As under a script: what a program does next is known as soon as its last step is done. */
  readonly eager = true;
  readonly blocked = 0;
  private readonly rng: Random;
  private state!: MachineState;
  private execution = 0;
  /** Per event of the current execution: who could have made it. */
  enabled: number[] = [];

  constructor(seed: number) {
    this.rng = new Random(seed);
  }

  attach(state: MachineState): void {
    this.state = state;
  }

  begin(): void {
    this.execution++;
    this.enabled = [];
  }

  choose(enabled: number): number {
    const { state, rng } = this;
    this.enabled[state.depth] = enabled;
    const last = state.depth > 0 ? (state.evActor[state.depth - 1] as number) : -1;
    const temper = TEMPERS[this.execution % TEMPERS.length] as number;
    if (last >= 0 && ((enabled >>> last) & 1) !== 0 && rng.below(16) >= temper) return last;
    const actors: number[] = [];
    for (let actor = 0; actor < state.actors; actor++) if (((enabled >>> actor) & 1) !== 0) actors.push(actor);
    return actors[rng.below(actors.length)] as number;
  }

  chooseValue(_actor: number, count: number): number {
    return this.rng.below(count);
  }

  executed(): void {}

  end(): void {}

  next(): number {
    return 0;
  }
}
