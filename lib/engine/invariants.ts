/**
 * Invariants that a scenario switches on by name: what must hold of event channels, records and rings, whatever the
 * guest is for. They look; none of them changes anything.
 *
 * name                    holds      needs
 * no-dead-port            at rest
 * no-dead-upcall          at rest
 * delivery                always     history, the guest's word
 * no-overlap              always     history, the guest's word
 * no-sleeper-with-work    at rest
 * bit-conservation        always     history
 * snapshot                always     history; of readers the guest's words too
 * ring                    always     history; at rest without
 * ownership               at rest; with `runs` always, from the history
 * bounded-steps           always     the engine's brackets
 *
 * What an engine does:
 * 1. once per machine, `prepareInvariants(plan, hypervisor)`. Undefined: the scenario has none, and nothing is to be
 *    done;
 * 2. when an execution stops, `checkInvariants(prepared, when, view, history)`, with `when`
 *    - 'end': every guest has returned, or its domain was shut down;
 *    - 'quiescence': some vCPUs sleep and nobody is left to wake them. What it returns says why;
 *    - 'cut-off': anything else that ends an execution before its time, such as the bound on steps.
 *    `view` reads memory as it is then, making no step. `history` is what happened; an engine that does not record it
 *    leaves it out, and what needs it is not checked. A sentence that is returned names what is broken: a failure of
 *    kind 'invariant', or at quiescence the better half of the message of a deadlock;
 * 3. if `prepared.stepLimits` is defined, a StepBudget for each run of a guest function, see
 *    `invariants/step-budget.ts`.
 *
 * There is no check after each step. What holds always is read from the history: a state between two steps depends on
 * how independent steps happen to be ordered, and an exploration that executes one of many equivalent orders would see
 * one of many such states.
 *
 * Leaves out: what a ring transports, and rings whose indices lie in different domains; upper halves of times; handlers
 * whose runs no word tells of. Assertions of the guest are the place for these.
 */
import type { HvDomain, HvVcpu, Hypervisor } from '../hypervisor/hypervisor';
import {
  noDeadPort,
  noDeadUpcall,
  noSleeperDespite,
  noSleeperWithWork,
  ringIsServed,
  tableNamesOwners,
} from './invariants/at-rest';
import { delivery, noOverlap, noRunAfterClose, type WordRef } from './invariants/handler-runs';
import type { History } from './invariants/history';
import type { MachineView } from './invariants/machine-view';
import {
  bitConservation,
  bitmapsOf,
  changesUnderVersion,
  copiesWerePublished,
  ringIndicesInRange,
  runstatesAddUp,
  timeRecordOf,
  upcallWordsOf,
  wallclockOf,
} from './invariants/shared-records';
import { DEFAULT_STEP_LIMIT, type InvariantName, type InvariantSpec, type SnapshotSpec } from './invariants/specs';
import type { StepLimits } from './invariants/step-budget';
import type { DomainPlan, MachinePlan } from './machine-plan';

export type { Access, History } from './invariants/history';
export type { Peek } from './invariants/machine-view';
export type { InvariantName, InvariantSpec } from './invariants/specs';
export type { StepLimits } from './invariants/step-budget';

/** Why an execution stops. */
export type Moment = 'end' | 'quiescence' | 'cut-off';

interface Check {
  readonly name: InvariantName;
  /** Of a machine at rest. */
  readonly atRest?: (view: MachineView) => string | undefined;
  readonly inHistory?: (view: MachineView, history: History) => string | undefined;
}

export interface PreparedInvariants {
  readonly checks: readonly Check[];
  /** Whether any check makes use of a history. */
  readonly usesHistory: boolean;
  readonly stepLimits?: StepLimits;
}

/** The invariants of a scenario, its words looked up; undefined if it has none. */
export function prepareInvariants(plan: MachinePlan, hypervisor: Hypervisor): PreparedInvariants | undefined {
  const specs = plan.scenario.invariants ?? [];
  if (specs.length === 0) return undefined;
  const checks = specs.flatMap((spec) => checksOf(spec, plan, hypervisor));
  const limits = specs.flatMap(stepLimitsOf)[0];
  const usesHistory = checks.some(({ inHistory }) => inHistory !== undefined);
  return { checks, usesHistory, ...(limits === undefined ? {} : { stepLimits: limits }) };
}

/**
 * Looks whether the invariants hold when an execution stops.
 * @returns undefined, or a sentence that begins with the name of the invariant that does not
 */
export function checkInvariants(
  { checks }: PreparedInvariants,
  when: Moment,
  view: MachineView,
  history?: History,
): string | undefined {
  for (const { name, atRest, inHistory } of checks) {
    const broken =
      (when === 'cut-off' ? undefined : atRest?.(view)) ??
      (history === undefined ? undefined : inHistory?.(view, history));
    if (broken !== undefined) return `${name}: ${broken}`;
  }
  return undefined;
}

function stepLimitsOf(spec: InvariantSpec): StepLimits[] {
  if (spec === 'bounded-steps') return [{ upcall: DEFAULT_STEP_LIMIT, hypercall: DEFAULT_STEP_LIMIT }];
  if (typeof spec === 'string' || spec.name !== 'bounded-steps') return [];
  return [{ upcall: spec.upcall ?? DEFAULT_STEP_LIMIT, hypercall: spec.hypercall ?? DEFAULT_STEP_LIMIT }];
}

/** Words and vCPUs of the domain that a spec names. */
class Names {
  private readonly plan: DomainPlan;
  readonly domain: HvDomain;

  constructor(plan: MachinePlan, hypervisor: Hypervisor, name: string | undefined) {
    this.plan = (plan.domains.find((each) => each.name === name) ?? plan.domains[0]) as DomainPlan;
    this.domain = hypervisor.domain(this.plan.config.id) as HvDomain;
  }

  /** `prod`, or `slots[2]`. */
  word(name: string): WordRef {
    const [base = '', index] = name.split(/[[\]]/);
    const place = this.plan.words.table[base];
    const address = typeof place === 'number' ? place : place?.[Number(index)];
    if (address === undefined) throw new Error(`invariants: there is no word ${name}`);
    return { name, domainId: this.domain.id, address };
  }

  array(name: string): readonly WordRef[] {
    const places = this.plan.words.table[name] as readonly number[];
    return places.map((address, index) => ({ name: `${name}[${index}]`, domainId: this.domain.id, address }));
  }

  /** vCPU 0 if the domain has fewer. */
  vcpu(id = 0): HvVcpu {
    return (this.domain.vcpus[id] ?? this.domain.vcpus[0]) as HvVcpu;
  }
}

function checksOf(spec: InvariantSpec, plan: MachinePlan, hypervisor: Hypervisor): Check[] {
  if (typeof spec === 'string') return plainChecks(spec, hypervisor);
  const { name } = spec;
  const names = new Names(plan, hypervisor, name === 'bounded-steps' ? undefined : spec.domain);
  const { domain } = names;
  switch (name) {
    case 'delivery': {
      const runs = names.word(spec.runs);
      return [{ name, inHistory: (view, history) => delivery(view, history, domain, spec.port, runs) }];
    }
    case 'no-overlap': {
      const running = names.word(spec.running);
      return [{ name, inHistory: (view, history) => noOverlap(view, history, running) }];
    }
    case 'no-sleeper-with-work': {
      const runnable = { word: spec.runnable, address: names.word(spec.runnable).address };
      const vcpu = names.vcpu(spec.vcpu);
      return [
        { name, atRest: (view) => noSleeperWithWork(view) },
        { name, atRest: (view) => noSleeperDespite(view, vcpu, runnable) },
      ];
    }
    case 'bit-conservation': {
      const ranges = spec.words.map((word) => ({ ...names.word(word), bytes: 4 }));
      return [
        ...plainChecks(name, hypervisor),
        { name, inHistory: (_, history) => bitConservation(history, ranges, 1) },
      ];
    }
    case 'snapshot':
      return [...plainChecks(name, hypervisor), { name, inHistory: copyCheck(spec, names) }];
    case 'ring': {
      const prod = names.word(spec.prod);
      const cons = names.word(spec.cons);
      const ring = { prod: prod.name, prodAddress: prod.address, consAddress: cons.address };
      const consumer = spec.consumer === undefined ? undefined : names.vcpu(spec.consumer);
      return [
        { name, inHistory: (view, history) => ringIndicesInRange(view, history, prod, cons, spec.size) },
        ...(consumer === undefined
          ? []
          : [{ name, atRest: (view: MachineView) => ringIsServed(view, consumer, ring) }]),
      ];
    }
    case 'ownership': {
      const entries = names.array(spec.table).map(({ address }) => address);
      const runs = spec.runs === undefined ? [] : names.array(spec.runs);
      return [
        { name, atRest: (view) => tableNamesOwners(view, domain, spec.table, entries) },
        ...runs.map((word, port) => ({
          name,
          inHistory: (view: MachineView, history: History) => noRunAfterClose(view, history, domain, port, word),
        })),
      ];
    }
    default:
      return [];
  }
}

function copyCheck(spec: SnapshotSpec, names: Names): Check['inHistory'] {
  const copy = spec.copy.map((word) => names.word(word));
  if (spec.record === 'runstate') return (view, history) => runstatesAddUp(view, history, copy);
  if (spec.record === 'wallclock') {
    return (view, history) => copiesWerePublished(view, history, wallclockOf(names.domain), copy);
  }
  return (view, history) => {
    const record = timeRecordOf(view, names.vcpu(spec.vcpu));
    return record && copiesWerePublished(view, history, record, copy);
  };
}

/** The checks behind a name alone, for all domains. */
function plainChecks(name: InvariantName, { domains }: Hypervisor): Check[] {
  switch (name) {
    case 'no-dead-port':
      return [{ name, atRest: noDeadPort }];
    case 'no-dead-upcall':
      return [{ name, atRest: noDeadUpcall }];
    case 'no-sleeper-with-work':
      return [{ name, atRest: noSleeperWithWork }];
    case 'bit-conservation':
      return domains.map((domain) => ({
        name,
        inHistory: (view, history) =>
          bitConservation(history, bitmapsOf(view, domain), 1) ??
          bitConservation(history, upcallWordsOf(view, domain), 4),
      }));
    case 'snapshot':
      return domains.map((domain) => ({
        name,
        inHistory: (view, history) => {
          const records = [wallclockOf(domain), ...domain.vcpus.map((vcpu) => timeRecordOf(view, vcpu))];
          return firstDefined(records, (record) => record && changesUnderVersion(view, history, record));
        },
      }));
    default:
      return [];
  }
}

function firstDefined<T>(list: readonly T[], find: (each: T) => string | undefined): string | undefined {
  for (const each of list) {
    const found = find(each);
    if (found !== undefined) return found;
  }
  return undefined;
}
