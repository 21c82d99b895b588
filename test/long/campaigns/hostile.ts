/**
 * Boots of a hostile domain beside a victim (scenarios/hostile.ts), under every ABI and both event-channel ABIs, until enough
 * hypercalls were made.
 */
import path from 'node:path';
import { ABI_NAMES } from '../../../lib/abi';
import type { DomainResult, RunResult } from '../../../lib/engine/run-result';
import { run } from '../../../lib/engine/threads';
import { EVENT_ABIS } from '../../../lib/guest/vcpu';
import type { Campaign, CampaignOptions, Figures } from '../campaign';

const SCENARIO = path.join(__dirname, '../scenarios/hostile.ts');
const CALLS = 10_000_000;
/** Of the victim's vCPU 0, to the hostile domain. */
const OPEN_PORTS = 4;
/** Of one boot. */
const SHORT_MS = 150;
const LONG_MS = 500;
/** A vCPU that is in one hypercall for longer hangs, however slow the machine. */
const WATCHDOG_MS = 30_000;
/** A victim that waits for a lost event waits for ever: devices keep the machine from being deadlocked. */
const PATIENCE_MS = 120_000;

/** How a hostile domain may end: by its own doing. Anything else is a defect of the hypervisor or the engine. */
const ENDINGS: readonly string[] = [
  'completed',
  'poweroff',
  'reboot',
  'suspend',
  'crash',
  'watchdog',
  'soft_reset',
  'deadlock',
];

interface VictimCounts {
  readonly turns: number;
  readonly handled: number;
  readonly foreign: number;
  /** How often a grant that can be written to was taken back. */
  readonly takenBack: number;
  /** How often it could not be, because the hostile domain was using it. */
  readonly foundInUse: number;
}

class Tally {
  boots = 0;
  calls = 0;
  turns = 0;
  foreign = 0;
  takenBack = 0;
  foundInUse = 0;

  /** @throws Error if anybody but the hostile domain has come to harm */
  add({ domains, failure }: RunResult): void {
    const [hostile, victim] = domains as [DomainResult, DomainResult];
    if (failure?.kind === 'device' || failure?.kind === 'check') throw new Error(failure.message);
    if (!ENDINGS.includes(hostile.exit.reason)) throw new Error(`the hostile domain: ${hostile.exit.message}`);
    if (victim.exit.reason !== 'completed') throw new Error(`the victim: ${victim.exit.message}`);
    for (const { events, id, result } of victim.vcpus) {
      const { foreign, foundInUse, handled, takenBack, turns } = result as VictimCounts;
      if (handled !== turns)
        throw new Error(`vCPU ${id} of the victim had ${turns} turns and handled ${handled} events`);
      // When it has ended, each port that is open to the hostile domain may take one more.
      const left = events - handled - foreign;
      if (left < 0 || left > (id === 0 ? OPEN_PORTS : 0)) {
        throw new Error(`vCPU ${id} of the victim was raised ${events} events and handled ${handled + foreign}`);
      }
      this.foreign += foreign;
      this.turns += turns;
      this.takenBack += takenBack;
      this.foundInUse += foundInUse;
    }
    this.boots++;
    this.calls += hostile.vcpus.reduce((sum, { hypercalls }) => sum + hypercalls, 0);
  }

  get figures(): Figures {
    const { boots, calls, foreign, foundInUse, takenBack, turns } = this;
    return {
      'hostile hypercalls': calls,
      boots,
      "victim's events": turns,
      'events from the hostile domain': foreign,
      'grants taken back': takenBack,
      'grants found in use': foundInUse,
    };
  }
}

export const campaign: Campaign = {
  name: 'hostile',
  describe: 'random hypercalls and random bytes, a victim beside: the hypervisor answers, the victim loses nothing',
  async run({ progress, scale, seconds, seed, signal }: CampaignOptions): Promise<Figures> {
    const tally = new Tally();
    const start = performance.now();
    const kinds = ABI_NAMES.flatMap((abi) => EVENT_ABIS.map((events) => ({ abi, events })));
    const enough = (): boolean => {
      if (scale === 'short') return tally.boots === kinds.length;
      return seconds === undefined ? tally.calls >= CALLS : performance.now() - start >= seconds * 1000;
    };
    while (!enough() && !signal.aborted) {
      const { abi, events } = kinds[tally.boots % kinds.length] as (typeof kinds)[number];
      const args = { ms: scale === 'short' ? SHORT_MS : LONG_MS, fifo: events === 'fifo' };
      const own = (seed + tally.boots) >>> 0;
      const patience = AbortSignal.timeout(PATIENCE_MS);
      const ended = AbortSignal.any([signal, patience]);
      const result = await run(SCENARIO, { abi, args, events, seed: own, signal: ended, watchdogMs: WATCHDOG_MS });
      if (signal.aborted) break;
      try {
        if (patience.aborted) throw new Error('the victim does not come to its end: an event of its own was lost');
        tally.add(result);
      } catch (error) {
        throw new Error(`${abi}, ${events}, seed ${own}: ${(error as Error).message}`);
      }
      progress(tally.figures);
    }
    return tally.figures;
  },
};
