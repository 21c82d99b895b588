/**
 * What leads to what in a trace: a send to the upcall it causes, a step to the sleeper it wakes, a buffered store to its
 * flush, and the two accesses of a data race to each other.
 */
import type { Trace, TraceStep } from '../../explore/trace-format';
import { WordHistory } from './word-history';

export type LinkKind = 'upcall' | 'wake' | 'flush' | 'race';

export interface Link {
  readonly kind: LinkKind;
  /** Indices of steps, and who is concerned at each end. */
  readonly from: number;
  readonly to: number;
  readonly fromActor: number;
  readonly toActor: number;
}

/** All links, by the step they begin at. */
export function linksOf(trace: Trace, history = new WordHistory(trace)): Link[] {
  const links = [...upcalls(trace, history), ...wakes(trace), ...flushes(trace), ...races(trace)];
  return links.sort((a, b) => a.from - b.from);
}

/** From the step that sets evtchn_upcall_pending to the next upcall of that vCPU. */
function upcalls({ steps, memory }: Trace, history: WordHistory): Link[] {
  const links: Link[] = [];
  /** By actor: the step that made an upcall due. */
  const due = new Map<number, number>();
  steps.forEach((step, index) => {
    if (step.marks.some(({ kind }) => kind === 'upcall')) {
      const from = due.get(step.actor);
      if (from !== undefined) {
        links.push({
          kind: 'upcall',
          from,
          to: index,
          fromActor: (steps[from] as TraceStep).actor,
          toActor: step.actor,
        });
      }
      due.delete(step.actor);
    }
    if (!raises(step)) return;
    for (const { base, actors, infoPointers } of memory?.domains ?? []) {
      infoPointers.forEach((pointer, vcpu) => {
        const info = history.wordAt(pointer, index);
        if (info !== 0 && step.address === base + info) due.set(actors[vcpu] as number, index);
      });
    }
  });
  return links;
}

function raises({ before, after }: TraceStep): boolean {
  return before !== undefined && after !== undefined && (before & 0xff) === 0 && (after & 0xff) !== 0;
}

function wakes({ steps, recorded }: Trace): Link[] {
  return steps.flatMap(({ actor, turns = [] }, index) =>
    turns
      .filter((turn) => turn.kind === 'wake')
      .flatMap((turn): Link[] => {
        // Told with the step that wakes; of a recorded run with one that comes later, or with any if nobody knows who did it.
        const from = turn.cause ?? index;
        const fromActor = turn.cause === undefined ? actor : (steps[turn.cause]?.actor ?? actor);
        if (fromActor === turn.actor || (recorded !== undefined && turn.cause === undefined)) return [];
        return [{ kind: 'wake', from, to: index, fromActor, toActor: turn.actor }];
      }),
  );
}

function flushes({ steps }: Trace): Link[] {
  return steps.flatMap(({ actor, stored }, to): Link[] =>
    stored === undefined
      ? []
      : [{ kind: 'flush', from: stored, to, fromActor: steps[stored]?.actor ?? actor, toActor: actor }],
  );
}

function races({ steps, failure }: Trace): Link[] {
  if (failure?.race === undefined) return [];
  const [from, to] = failure.race;
  const ends = [steps[from]?.actor, steps[to]?.actor];
  const [fromActor, toActor] = ends;
  return fromActor === undefined || toActor === undefined ? [] : [{ kind: 'race', from, to, fromActor, toActor }];
}
