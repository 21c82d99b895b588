/** One campaign after the other, each bounded in time, and what came of them. */
import { toError } from '../../lib/engine/errors';
import { shutdownPool } from '../../lib/engine/threads';
import type { Campaign, CampaignOptions, Figures } from './campaign';

/** How long a campaign that was told to end may take to come to figures of its own. */
const GRACE_MS = 5000;
/** A campaign that takes this many times as long as it was given, and these seconds more, does not end. */
const PATIENCE_FACTOR = 10;
const PATIENCE_SECONDS = 600;

export interface CampaignResult {
  readonly name: string;
  readonly outcome: 'held' | 'broken' | 'interrupted';
  readonly seconds: number;
  readonly figures: Figures;
  /** Which invariant was broken, and how. */
  readonly message?: string;
}

export interface ConductOptions extends Pick<CampaignOptions, 'scale' | 'seconds' | 'seed' | 'signal'> {
  /** Told what is running, and how far it is. */
  readonly onProgress?: (name: string, figures: Figures) => void;
}

/** Runs the campaigns in turn. A broken one does not keep the others from running, an interruption does. */
export async function conduct(campaigns: readonly Campaign[], options: ConductOptions): Promise<CampaignResult[]> {
  const results: CampaignResult[] = [];
  for (const campaign of campaigns) {
    if (options.signal.aborted) break;
    results.push(await conductOne(campaign, options));
    // The next one starts with threads that have compiled nothing yet, and none too many.
    if (results.at(-1)?.outcome === 'held') await shutdownPool();
  }
  return results;
}

async function conductOne({ name, run }: Campaign, options: ConductOptions): Promise<CampaignResult> {
  const { onProgress, scale, seconds, seed, signal } = options;
  const start = performance.now();
  let figures: Figures = {};
  const progress = (known: Figures): void => {
    figures = known;
    onProgress?.(name, known);
  };
  progress({});
  const limit = limitOf(seconds, signal);
  const done = (outcome: CampaignResult['outcome'], message?: string): CampaignResult => {
    const taken = (performance.now() - start) / 1000;
    return { name, outcome, seconds: Number(taken.toFixed(1)), figures, ...(message && { message }) };
  };
  try {
    figures = await Promise.race([run({ seed, scale, signal, progress, ...(seconds && { seconds }) }), limit.reached]);
    return done(signal.aborted ? 'interrupted' : 'held');
  } catch (thrown) {
    if (thrown === limit && signal.aborted) return done('interrupted');
    return done('broken', thrown === limit ? 'it does not end' : toError(thrown).message);
  } finally {
    limit.dispose();
  }
}

/** A promise that is rejected with the limit itself when the campaign should have ended long ago. */
function limitOf(seconds: number | undefined, signal: AbortSignal) {
  const timers: NodeJS.Timeout[] = [];
  let stop = (): void => {};
  const limit = {
    reached: new Promise<never>((_, reject) => {
      const after = (ms: number) => timers.push(setTimeout(() => reject(limit), ms));
      stop = () => after(GRACE_MS);
      signal.addEventListener('abort', stop, { once: true });
      after((PATIENCE_SECONDS + PATIENCE_FACTOR * (seconds ?? 0)) * 1000);
    }),
    dispose(): void {
      signal.removeEventListener('abort', stop);
      for (const timer of timers) clearTimeout(timer);
    },
  };
  return limit;
}
