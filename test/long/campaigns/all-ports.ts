/** All 131,071 ports of a domain under the FIFO ABI: bound, raised at random, closed. See scenarios/all-ports.ts. */
import path from 'node:path';
import type { DomainResult, VcpuResult } from '../../../lib/engine/run-result';
import { run } from '../../../lib/engine/threads';
import type { Campaign, Figures } from '../campaign';
import type { StormCounts } from '../scenarios/tally';
import { addUp } from '../storm';

const DEFAULT_SECONDS = 60;
const SECONDS_TO_BOOT = 60;

interface Server extends StormCounts {
  readonly ports: number;
  readonly bindNs: number;
  readonly closeNs: number;
}

export const campaign: Campaign = {
  name: 'all-ports',
  describe: 'random sends to 131,071 ports under the FIFO ABI: each edge is handled once, no send is lost',
  async run({ scale, seed, seconds = DEFAULT_SECONDS, signal }): Promise<Figures> {
    const result = await run(path.join(__dirname, '../scenarios/all-ports.ts'), {
      seed,
      signal,
      watchdogMs: (seconds + SECONDS_TO_BOOT) * 1000,
      ...(scale === 'long' ? { args: { sends: 0, seconds } } : {}),
    });
    if (signal.aborted) return {};
    const { edges, handled, sends } = addUp(result, 'fifo');
    const [server] = (result.domains[0] as DomainResult).vcpus;
    const { bindNs, closeNs, ports } = (server as VcpuResult).result as Server;
    return {
      ports,
      sends,
      edges,
      deliveries: handled,
      coalesced: sends - edges,
      'bind all, ms': Math.round(bindNs / 1e6),
      'close all, ms': Math.round(closeNs / 1e6),
    };
  },
};
