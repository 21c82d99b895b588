/** A crash dump: what a machine was like when a domain of it ended badly. As data, and as the text of a file. */
import type { DomainExit, DomainResult, RunFailure, RunResult } from '../run-result';
import type { Dump, DumpedDomain, LastAccesses } from './dump-file';
import type { DomainSnapshot } from './schema';

export const DUMP_FORMAT = 'upcall-dump';
export const DUMP_VERSION = 1;

/** What a dump is made of. */
export interface DumpParts {
  /** Of what failed: a run, an iteration, an execution. */
  readonly result: Pick<RunResult, 'scenario' | 'engine' | 'seed'> & {
    readonly failure: (Omit<RunFailure, 'kind'> & { readonly kind: string }) | null;
    readonly domains: readonly Pick<DomainResult, 'id' | 'exit'>[];
  };
  readonly systemTime: number | null;
  readonly domains: readonly DomainSnapshot[];
  readonly lastAccesses: readonly LastAccesses[] | null;
}

export function makeDump({ result, systemTime, domains, lastAccesses }: DumpParts): Dump {
  const { scenario, engine, seed, failure } = result;
  const { kind = 'internal-error', message = '', domain, vcpu, cause } = failure ?? {};
  return {
    format: DUMP_FORMAT,
    version: DUMP_VERSION,
    scenario,
    engine,
    seed,
    systemTime,
    failure: {
      kind,
      message,
      ...(domain === undefined ? {} : { domain }),
      ...(vcpu === undefined ? {} : { vcpu }),
      ...(cause?.stack === undefined ? {} : { stack: cause.stack }),
    },
    domains: domains.map((each) => {
      const exit = result.domains.find(({ id }) => id === each.id)?.exit;
      return { ...each, ...(exit === undefined ? {} : { exit: shortExit(exit) }) };
    }),
    lastAccesses: lastAccesses === null ? null : [...lastAccesses],
  };
}

function shortExit({ reason, message }: DomainExit): DumpedDomain['exit'] {
  return { reason, ...(message === undefined ? {} : { message }) };
}

export function formatDump(dump: Dump): string {
  return `${JSON.stringify(dump)}\n`;
}
