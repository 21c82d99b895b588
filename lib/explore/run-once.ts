/**
 * `run` under a deterministic engine: one execution, on the schedule with the fewest switches (each actor goes on until it has to
 * wait; choices come to 0), told in the shape of a free run. Times are of the virtual clock, which moves only when nothing else is left
 * to do. Events of domains that use the FIFO ABI are not counted.
 */
import { RUNSTATE_blocked, RUNSTATE_running } from '../abi';
import type { EngineFailure } from '../engine/inline/inline-engine';
import { InlineMachine, type MachineTracer } from '../engine/inline/inline-machine';
import { LOG_OPERAND, LOG_RESULT, LOG_TAG, RECORD } from '../engine/inline/operation-log';
import { ENGINE_BYTES, KIND_BITS, KIND_MASK, Op } from '../engine/inline/ops';
import type { ScenarioOptions } from '../engine/machine-plan';
import {
  type DomainExit,
  type DomainResult,
  type ExitReason,
  errorData,
  isBadExit,
  type RunFailure,
  type RunResult,
} from '../engine/run-result';
import type { Scenario } from '../engine/scenario';
import { mapStack } from '../engine/scenario-source';
import { makeDump } from '../engine/snapshot/dump';
import type { Dump } from '../engine/snapshot/dump-file';
import type { DomainSnapshot } from '../engine/snapshot/schema';
import { summarise } from '../engine/snapshot/summary';
import type { OutputLine } from '../engine/threads';
import { Cause, causeWord, shutdownExit } from '../engine/threads/exits';
import { readPair } from '../hypervisor/pairs';
import { CHANNEL, VCPU_RUNSTATE_TIME } from '../hypervisor/state-layout';
import { DEFAULT_WATCHDOG_MS, endless, OutOfTime, withinTime } from './guest-time';
import { stateOf } from './machine-state';
import { executeOnThreads } from './on-threads';
import { encodeToken, type Schedule } from './schedule';
import { recordSchedule, ScriptStrategy } from './script';
import { resolveSubject, type Subject } from './subject';
import { type Trace, traceSchedule } from './trace';

export const RUN_ONCE_ENGINES = ['inline', 'lockstep'] as const;

export interface RunOnceOptions extends ScenarioOptions {
  readonly engine: (typeof RUN_ONCE_ENGINES)[number];
  /** Of vcpu.random. Default 1. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Longest time (ms) the execution may take; 0: no limit. */
  readonly watchdogMs?: number;
  /** Called once if the run fails: the machine's state then. */
  readonly onDump?: (dump: Dump) => void;
  /** Called for each line of vcpu.log and of the console. */
  readonly onLog?: (line: OutputLine) => void;
}

/** Farther than exploration goes: this is one execution. */
const LIMITS = { maxSteps: 200_000, hardwareSteps: 1000 };
const NOTIFY_VCPU_ID = CHANNEL.fields.notify_vcpu_id?.offset as number;

/**
 * @param scenario - path of a scenario file, or what defineScenario returned
 * @throws ScenarioError if the scenario or an option cannot be used
 */
export async function runOnce(scenario: string | Scenario, options: RunOnceOptions): Promise<RunResult> {
  return (await executeOnce(scenario, options)).result;
}

/** As {@link runOnce}, with every step of it, and the token that replays it. */
export async function runOnceTraced(
  scenario: string | Scenario,
  options: RunOnceOptions,
): Promise<{ readonly result: RunResult; readonly trace: Trace; readonly token: string }> {
  const { result, subject, schedule } = await executeOnce(scenario, options);
  const { trace } = traceSchedule(subject, schedule, { ...LIMITS, watchdogMs: options.watchdogMs });
  return { result, trace, token: encodeToken(schedule, subject.fingerprint) };
}

async function executeOnce(scenario: string | Scenario, options: RunOnceOptions) {
  const subject = await resolveSubject(scenario, options);
  const startedMs = performance.now();
  const run = new SingleRun(subject, options);
  let failure = run.execute();
  const { seed = 1, signal } = options;
  const schedule: Schedule = { memoryModel: 'sc', seed, ...run.schedule };
  if (options.engine === 'lockstep' && !run.stuck) {
    ({ failure } = await executeOnThreads(subject, schedule, LIMITS, options, signal));
  }
  const result = run.result(failure, Math.round(performance.now() - startedMs));
  if (result.failure !== null) options.onDump?.(run.dump(result));
  return { result, subject, schedule };
}

class SingleRun implements MachineTracer {
  schedule: { readonly actors: readonly number[]; readonly choices: readonly number[] } = { actors: [], choices: [] };
  stuck = false;
  /** The machine's domains when it failed. */
  private state: readonly DomainSnapshot[] = [];
  private readonly machine: InlineMachine;
  private readonly vcpus;
  private readonly upcalls: number[] = [];
  private readonly hypercalls: number[] = [];
  private readonly events: number[] = [];

  constructor(
    private readonly subject: Subject,
    private readonly options: RunOnceOptions,
  ) {
    const { plan } = subject;
    this.machine = new InlineMachine(plan, { ...LIMITS, memoryModel: 'sc', seed: options.seed ?? 1, tracer: this });
    this.vcpus = plan.domains.flatMap(({ config, name }) =>
      Array.from({ length: config.vcpus }, (_, id) => ({
        id,
        domain: name,
        hv: this.machine.hypervisor.vcpu(config.id, id),
      })),
    );
  }

  execute(): EngineFailure | null {
    const { engine } = this.machine;
    const watcher = { before: () => {}, after: () => this.countEvents() };
    const strategy = new ScriptStrategy([], [], true, watcher);
    const { watchdogMs = DEFAULT_WATCHDOG_MS } = this.options;
    let failure: EngineFailure | null = null;
    const sink = {
      executionDone(found: EngineFailure | null): boolean {
        failure = found;
        return true;
      },
    };
    try {
      withinTime(() => engine.explore(strategy, sink), watchdogMs);
    } catch (error) {
      if (!(error instanceof OutOfTime)) throw error;
      this.stuck = true;
      const actor = engine.runningProgram;
      const who = actor < 0 ? "the scenario's check" : this.machine.actorName(actor);
      failure = { kind: 'livelock', message: endless(who, watchdogMs), actor };
    }
    this.schedule = recordSchedule(engine.state);
    if (failure !== null) this.state = stateOf(this.machine);
    return failure;
  }

  mark(actor: number, _position: number, kind: Parameters<MachineTracer['mark']>[2], text: string): void {
    if (kind === 'upcall') this.upcalls[actor] = (this.upcalls[actor] ?? 0) + 1;
    if (kind === 'hypercall') this.hypercalls[actor] = (this.hypercalls[actor] ?? 0) + 1;
    if (kind !== 'log') return;
    const vcpu = this.vcpus[actor];
    const speaker =
      vcpu === undefined
        ? { domain: this.machine.actorName(actor), domainId: 0 }
        : { domain: vcpu.domain, domainId: vcpu.hv.domainId, vcpu: vcpu.id };
    for (const line of text.replace(/\n$/, '').split('\n')) this.options.onLog?.({ ...speaker, text: line });
  }

  /** The newest event may have set a pending bit: an event for the vCPU that its channel notifies. */
  private countEvents(): void {
    const { engine, hypervisor, regions } = this.machine;
    const { state } = engine;
    const event = state.depth - 1;
    const log = state.logs[state.evActor[event] as number] as Int32Array;
    const at = (state.evFirst[event] as number) * RECORD;
    const tag = log[at + LOG_TAG] as number;
    // The hypervisor sets one bit, in its byte.
    if ((tag & KIND_MASK) !== Op.OR8) return;
    const address = (tag >>> KIND_BITS) - ENGINE_BYTES;
    const place = regions.find(({ base, bytes }) => address >= base && address < base + bytes);
    if (place?.region.kind !== 'guest') return;
    const domain = hypervisor.domain(place.region.domainId);
    const priv = regions.find(({ region }) => region.kind === 'private' && region.domainId === domain?.config.id);
    if (domain === undefined || priv === undefined) return;
    const bit = (log[at + LOG_OPERAND] as number) & ~(log[at + LOG_RESULT] as number) & 0xff;
    const port = (address - place.base - domain.pendingAddress) * 8 + 31 - Math.clz32(bit);
    if (bit === 0 || port < 0 || port >= domain.channelCapacity) return;
    const channel = ENGINE_BYTES + priv.base + domain.channelsAddress + port * CHANNEL.size;
    const target = engine.peek32(channel + NOTIFY_VCPU_ID);
    const actor = this.vcpus.findIndex(({ id, hv }) => hv.domain === domain && id === target);
    if (actor >= 0) this.events[actor] = (this.events[actor] ?? 0) + 1;
  }

  result(failure: EngineFailure | null, elapsedMs: number): RunResult {
    const { plan } = this.subject;
    const { engine, seed = 1 } = this.options;
    const domains = plan.domains.map(({ name, config }) => this.domainResult(name, config.id, failure));
    return {
      scenario: plan.scenario.name,
      engine,
      elapsedMs,
      seed,
      domains,
      failure: failure && this.runFailure(failure),
    };
  }

  dump(result: RunResult): Dump {
    return makeDump({ result, systemTime: null, domains: this.state, lastAccesses: null });
  }

  private domainResult(name: string, id: number, failure: EngineFailure | null): DomainResult {
    const { state } = this.machine.engine;
    const vcpus = this.vcpus.flatMap((vcpu, actor) => {
      if (vcpu.domain !== name) return [];
      const returned = ((state.done >>> actor) & 1) !== 0 && state.kind(actor) === Op.END;
      const result = returned ? state.endValue(actor) : undefined;
      const time = (runstate: number): number => {
        return readPair(vcpu.hv.domain.state, vcpu.hv.address + VCPU_RUNSTATE_TIME + runstate * 8);
      };
      return {
        id: vcpu.id,
        ...(result === undefined ? {} : { result }),
        upcalls: this.upcalls[actor] ?? 0,
        hypercalls: this.hypercalls[actor] ?? 0,
        events: this.events[actor] ?? 0,
        blockedNs: this.stuck ? 0 : time(RUNSTATE_blocked),
        runningNs: this.stuck ? 0 : time(RUNSTATE_running),
      };
    });
    const exit = this.exitOf(name, id, failure);
    const seen = isBadExit(exit) ? this.state.find((domain) => domain.id === id) : undefined;
    return { id, name, exit: seen === undefined ? exit : { ...exit, state: summarise(seen) }, vcpus };
  }

  private exitOf(name: string, id: number, failure: EngineFailure | null): DomainExit {
    const { hypervisor } = this.machine;
    const domain = hypervisor.domain(id);
    const code = domain === undefined || this.stuck ? undefined : hypervisor.sched.shutdownCodeOf(domain);
    if (code !== undefined) return shutdownExit(causeWord(Cause.SHUTDOWN, 0, code));
    if (failure === null || failure.kind === 'invariant')
      return { reason: this.wasStopped(name) ? 'stopped' : 'completed' };
    const vcpu = this.vcpus[failure.actor];
    if (vcpu === undefined && failure.kind === 'assertion') return { reason: 'completed' };
    if (vcpu !== undefined && vcpu.domain !== name) return { reason: 'aborted', message: 'another domain failed' };
    const exit = { reason: reasonOf(failure), message: failure.message };
    return vcpu === undefined ? exit : { ...exit, vcpu: vcpu.id };
  }

  /** Whether it is a daemon domain whose guests have not returned. */
  private wasStopped(name: string): boolean {
    const { programs, engine } = this.machine;
    return this.vcpus.some(({ domain }, actor) => {
      return domain === name && programs[actor]?.daemon !== undefined && ((engine.state.done >>> actor) & 1) === 0;
    });
  }

  private runFailure(failure: EngineFailure): RunFailure {
    const { kind, message, actor, error } = failure;
    const vcpu = this.vcpus[actor];
    const { source } = this.subject;
    const map = source && ((stack: string) => mapStack(source, stack));
    return {
      kind:
        kind === 'invariant' ? 'invariant' : kind === 'assertion' && vcpu === undefined ? 'check' : reasonOf(failure),
      message,
      ...(vcpu === undefined ? {} : { domain: vcpu.domain, vcpu: vcpu.id }),
      ...(error instanceof Error ? { cause: errorData(error, map) } : {}),
    };
  }
}

/** A crash is the guest's exception, or what ends a domain on hardware too. The error may come from another thread: its name tells. */
function reasonOf({ kind, error }: EngineFailure): ExitReason {
  return kind === 'crash' && error instanceof Error && error.name === 'GuestCrashError' ? 'crash' : REASONS[kind];
}

const REASONS: Readonly<Record<EngineFailure['kind'], ExitReason>> = {
  deadlock: 'deadlock',
  livelock: 'hang',
  assertion: 'assertion',
  crash: 'exception',
  invariant: 'internal-error',
  'data-race': 'internal-error',
  nondeterminism: 'internal-error',
};
