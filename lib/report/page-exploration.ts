/** What an exploration came to, as a page shows it. */
import type { ExploreReport } from '../explore/result';
import type { PageExploration } from './page-data';

/** Of the outcomes the most frequent. */
const MOST_OUTCOMES = 100;

/** @param command - replays a token; undefined if nothing was gathered */
export function pageExploration(
  report: ExploreReport,
  command: (token: string) => string,
): PageExploration | undefined {
  const { coverage, outcomes, unlisted, strategy, memoryModel, seed, executions, blocked, steps, elapsedMs } = report;
  if (coverage === undefined) return undefined;
  const listed = outcomes.slice(0, MOST_OUTCOMES);
  const left = outcomes.slice(MOST_OUTCOMES).reduce((sum, { count }) => sum + count, unlisted);
  return {
    coverage,
    search: { strategy, memoryModel, seed, executions, blocked, steps, elapsedMs },
    verdict: report.failure === null ? (report.complete ? 'holds in every interleaving' : 'held so far') : 'failed',
    incomplete: report.incomplete,
    outcomes: listed.map(({ results, count, token }) => ({
      results: results.map((result) => textOf(result)).join(', '),
      count,
      command: command(token),
    })),
    unlisted: left,
    covered: report.covered,
    uncovered: report.uncovered,
  };
}

function textOf(value: unknown): string {
  if (value === undefined) return '-';
  return (
    JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? `${each}n` : each)) ?? String(value)
  );
}
