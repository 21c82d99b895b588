/**
 * A parallel search without threads: several engines, one execution at a time of whichever the die names, each giving work away
 * when the die says so, with their messages on the way for as long as it likes.
 */
import { type EngineOptions, InlineEngine } from '../../../lib/engine/inline/inline-engine';
import type { InlineMemory } from '../../../lib/engine/inline/inline-memory';
import type { Strategy } from '../../../lib/engine/inline/strategy';
import type { Random } from '../../../lib/engine/rng';
import type { Board, Share } from '../../../lib/explore/parallel/board';
import type { Bare } from './bare';

export interface SharedSearchOptions<Job, News, Answer> extends EngineOptions {
  readonly workers: number;
  readonly rng: Random;
  /** One in how many executions is followed by an attempt to share. */
  readonly shareEvery: number;
  readonly board: Board<Job, News, Answer>;
  makeShare(worker: number, send: (news: News) => void): Strategy & Share<Job, Answer>;
  onEnd?(engine: InlineEngine): void;
}

export interface SharedSearchResult {
  executions: number;
  blocked: number;
  jobs: number;
  steps: number;
}

interface Worker<Job, News, Answer> {
  readonly engine: InlineEngine;
  readonly share: Strategy & Share<Job, Answer>;
  readonly outbox: (News | 'done')[];
  readonly inbox: Answer[];
  busy: boolean;
}

export function searchShared<Job, News, Answer>(
  programs: readonly Bare[],
  options: SharedSearchOptions<Job, News, Answer>,
): SharedSearchResult {
  const { board, rng, shareEvery, onEnd, makeShare, workers: count, ...engineOptions } = options;
  const result: SharedSearchResult = { executions: 0, blocked: 0, jobs: 0, steps: 0 };
  const workers = Array.from({ length: count }, (_, index): Worker<Job, News, Answer> => {
    const outbox: (News | 'done')[] = [];
    const share = makeShare(index, (news) => outbox.push(structuredClone(news)));
    return { engine: makeEngine(programs, engineOptions), share, outbox, inbox: [], busy: false };
  });
  const deliver = (index: number): void => {
    const worker = workers[index] as (typeof workers)[number];
    const news = worker.outbox.shift();
    if (news === undefined) return;
    if (news === 'done') {
      board.done(index);
      worker.busy = false;
      return;
    }
    const answer = board.receive(index, news);
    if (answer !== undefined) worker.inbox.push(structuredClone(answer));
  };
  const execute = (worker: (typeof workers)[number]): boolean => {
    const { engine, share } = worker;
    engine.explore(share, {
      executionDone(_failure, blocked) {
        if (blocked) result.blocked++;
        else {
          result.executions++;
          onEnd?.(engine);
        }
        if (rng.below(shareEvery) === 0) share.share();
        return true;
      },
    });
    const depth = share.next();
    if (depth >= 0) engine.resume(depth);
    return depth >= 0;
  };
  while (!board.finished) {
    const index = rng.below(count);
    const worker = workers[index] as (typeof workers)[number];
    if (rng.below(3) === 0) deliver(index);
    else if (!worker.busy) {
      const job = board.take(index);
      if (job === undefined) continue;
      result.jobs++;
      while (worker.inbox.length > 0) worker.share.receive(worker.inbox.shift() as Answer);
      worker.busy = true;
      worker.engine.attach(worker.share);
      worker.engine.resume(worker.share.load(structuredClone(job)));
    } else if (!worker.outbox.includes('done')) {
      if (worker.inbox.length > 0 && rng.below(2) === 0) worker.share.receive(worker.inbox.shift() as Answer);
      if (!execute(worker)) worker.outbox.push('done');
    }
  }
  for (const { engine, share } of workers) result.steps += engine.steps - share.replayed;
  return result;
}

function makeEngine(programs: readonly Bare[], options: EngineOptions): InlineEngine {
  let memory: InlineMemory;
  const engine: InlineEngine = new InlineEngine(
    64,
    programs.map((program, index) => ({ name: `p${index}`, run: () => program(memory, engine) })),
    options,
  );
  memory = engine.region(0, 64);
  return engine;
}
