/** What an exploration has covered, with the names of actors, steps and words. */
import { InlineMachine } from '../engine/inline/inline-machine';
import { opName } from '../engine/inline/ops';
import { type Coverage, siteOf } from './coverage';
import type { AccessPair, ExploreCoverage } from './coverage-format';
import { MachineNames } from './machine-names';
import type { CheckedOptions } from './options';
import { setupOf } from './search';
import type { Subject } from './subject';

/** Rows of each table. */
const MOST = 500;

export function describeCoverage({ plan }: Subject, options: CheckedOptions, coverage: Coverage): ExploreCoverage {
  const machine = new InlineMachine(plan, setupOf(options));
  const names = new MachineNames(plan, machine);
  const place = (address: number): string => (address === 0 ? '' : names.describe(address, 0));
  const doing = (code: number): string => {
    const { actor, kind } = siteOf(code);
    return `${machine.actorName(actor)}: ${opName(kind)}`;
  };
  const preemptions = [...coverage.preemptions]
    .sort(([, a], [, b]) => b - a)
    .slice(0, MOST)
    .map(([code, count]) => {
      const { actor, kind, address } = siteOf(code);
      return { actor: machine.actorName(actor), step: `${opName(kind)} ${place(address)}`.trim(), count };
    });
  const pairs: AccessPair[] = [];
  for (const [first, seconds] of coverage.orders) {
    for (const [second, firstBefore] of seconds) {
      const secondBefore = coverage.orders.get(second)?.get(first) ?? 0;
      // A pair that was seen both ways is told once.
      if (secondBefore > 0 && second < first) continue;
      const word = place(siteOf(first).address & ~3);
      pairs.push({ word, first: doing(first), second: doing(second), firstBefore, secondBefore });
    }
  }
  pairs.sort((a, b) => (a.word < b.word ? -1 : a.word > b.word ? 1 : 0));
  const last = [coverage.executions, coverage.traces.size] as const;
  const growth = [...coverage.growth.filter(([executions]) => executions < last[0]), last];
  return {
    traces: coverage.traces.size,
    tracesAtLeast: coverage.full,
    growth,
    preemptions,
    pairs: pairs.slice(0, MOST),
  };
}
