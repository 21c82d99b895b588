/**
 * Campaigns that count: a scenario whose vCPUs send to each other, run under each event ABI. The guests count sends and runs of
 * handlers, the hypervisor counts edges. A send either makes an edge or finds one that nobody has taken yet (it coalesces); each
 * edge is handled once; and what was sent is found by some handler.
 */
import path from 'node:path';
import type { RunResult } from '../../lib/engine/run-result';
import { run } from '../../lib/engine/threads';
import { EVENT_ABIS, type EventAbi } from '../../lib/guest/vcpu';
import type { Campaign, CampaignOptions, Figures } from './campaign';
import type { StormCounts } from './scenarios/tally';

/** More than there are slots in shared_info: the others have a vcpu_info that they registered. */
const SHORT_VCPUS = 40;
const LONG_VCPUS = 128;
const DEFAULT_SECONDS = 120;
const SECONDS_TO_BOOT = 60;

interface Counts extends StormCounts {
  readonly edges: number;
}

const NOTHING: Counts = { sends: 0, edges: 0, handled: 0, taken: 0 };

/** @param scenario - a file of scenarios/ whose guests return StormCounts */
export function stormCampaign(scenario: string, describe: string): Campaign {
  return {
    name: scenario,
    describe,
    async run(options) {
      const figures: Figures = { vCPUs: options.scale === 'short' ? SHORT_VCPUS : LONG_VCPUS };
      for (const events of EVENT_ABIS) {
        const start = performance.now();
        const counts = await storm(scenario, events, options);
        if (options.signal.aborted) break;
        const { edges, handled, sends } = counts;
        figures[`${events}: sends`] = sends;
        figures[`${events}: edges`] = edges;
        figures[`${events}: deliveries`] = handled;
        figures[`${events}: coalesced`] = sends - edges;
        figures[`${events}: sends/s`] = Math.round((sends / (performance.now() - start)) * 1000);
        options.progress(figures);
      }
      return figures;
    },
  };
}

/** Runs it once. @throws Error unless everything adds up */
async function storm(scenario: string, events: EventAbi, options: CampaignOptions): Promise<Counts> {
  const { scale, seed, seconds = DEFAULT_SECONDS, signal } = options;
  const long = scale === 'long';
  const result = await run(path.join(__dirname, 'scenarios', `${scenario}.ts`), {
    events,
    seed,
    signal,
    vcpus: long ? LONG_VCPUS : SHORT_VCPUS,
    watchdogMs: (seconds + SECONDS_TO_BOOT) * 1000,
    ...(long ? { args: { seconds: seconds / EVENT_ABIS.length } } : {}),
  });
  return signal.aborted ? NOTHING : addUp(result, events);
}

/** The counts of all vCPUs of the only domain. @throws Error unless everything adds up */
export function addUp({ domains, failure }: RunResult, events: EventAbi): Counts {
  if (failure !== null) throw new Error(`${events}: ${failure.message}`);
  let total = NOTHING;
  for (const { id, events: edges, result } of domains[0]?.vcpus ?? []) {
    const counts = { ...(result as StormCounts), edges };
    if (counts.handled !== edges) {
      throw new Error(`${events}: vCPU ${id} was raised ${edges} events and handled ${counts.handled}`);
    }
    total = sum(total, counts);
  }
  if (total.taken !== total.sends) throw new Error(`${events}: ${total.sends} sent, ${total.taken} found by handlers`);
  if (total.edges > total.sends) throw new Error(`${events}: ${total.edges} edges of ${total.sends} sends`);
  if (total.sends === 0) throw new Error(`${events}: nothing was sent`);
  return total;
}

function sum(a: Counts, b: Counts): Counts {
  return {
    sends: a.sends + b.sends,
    edges: a.edges + b.edges,
    handled: a.handled + b.handled,
    taken: a.taken + b.taken,
  };
}
