/** A crash dump of an execution under a deterministic engine: the machine when it was done, and the last steps of its trace. */

import type { MachinePlan } from '../engine/machine-plan';
import { makeDump } from '../engine/snapshot/dump';
import type { Dump, LastAccesses } from '../engine/snapshot/dump-file';
import type { DomainSnapshot } from '../engine/snapshot/schema';
import type { Trace, TraceFailure, TraceStep } from './trace-format';

/** Steps of each vCPU that are told. */
const MOST_STEPS = 64;

/** What a failed execution left behind. */
export interface Remains {
  readonly plan: MachinePlan;
  readonly engine: string;
  readonly seed: number;
  readonly trace: Trace;
  readonly failure: Pick<TraceFailure, 'kind' | 'message'> & { readonly actor?: string };
  readonly domains: readonly DomainSnapshot[];
}

export function dumpOfTrace({ plan, engine, seed, trace, failure, domains }: Remains): Dump {
  const vcpus = vcpusOf(plan);
  const actor = failure.actor === undefined ? -1 : trace.actors.indexOf(failure.actor);
  const { kind, message } = failure;
  const result = { scenario: trace.scenario, engine, seed, failure: { kind, message, ...vcpus[actor] }, domains: [] };
  return makeDump({ result, systemTime: null, domains, lastAccesses: lastAccessesOf(plan, trace) });
}

/** The last steps of each vCPU, as a dump has them. */
export function lastAccessesOf(plan: MachinePlan, trace: Trace): LastAccesses[] {
  return vcpusOf(plan).map((vcpu, actor) => ({ ...vcpu, ...lastSteps(trace.steps, actor) }));
}

/** In the order of actors. */
function vcpusOf(plan: MachinePlan): Pick<LastAccesses, 'domain' | 'vcpu'>[] {
  return plan.domains.flatMap(({ name, config }) =>
    Array.from({ length: config.vcpus }, (_, vcpu) => ({ domain: name, vcpu })),
  );
}

function lastSteps(steps: readonly TraceStep[], actor: number): Pick<LastAccesses, 'missing' | 'accesses'> {
  const own = steps.flatMap((step, number) => (step.actor === actor ? [{ step, number }] : []));
  return {
    missing: Math.max(0, own.length - MOST_STEPS),
    accesses: own.slice(-MOST_STEPS).map(({ step, number }) => `step ${number + 1}: ${describe(step)}`),
  };
}

function describe({ op, name, before, after, result, location }: TraceStep): string {
  const value = before === undefined ? ` → ${result}` : `: ${before} → ${after}`;
  return `${op}${name === undefined ? '' : ` ${name}`}${value}${location === undefined ? '' : ` (${location})`}`;
}
