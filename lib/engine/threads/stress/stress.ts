/** `stress` on worker threads: session after session until something fails, the time is up, or there were enough. */
import { type MachinePlan, planMachine } from '../../machine-plan';
import { MonitorServer, type ReportSource } from '../../monitor/server';
import type { ScenarioSource } from '../../scenario-source';
import { WorkerPool } from '../pool';
import type { CheckedStressOptions, StressFailure, StressProgress, StressRunResult } from './options';
import { StressSession } from './stress-session';

const PROGRESS_INTERVAL_MS = 500;

/**
 * Runs a scenario over and over. Failures of guests are part of the result.
 *
 * @throws ScenarioError if the scenario cannot be used; what a callback of the user's throws
 */
export async function stressPlan(
  plan: MachinePlan,
  source: ScenarioSource,
  options: CheckedStressOptions,
): Promise<StressRunResult> {
  return await new Stress(plan, source, options).run();
}

/** @throws ScenarioError if an option does not suit the scenario */
export function planStress(subject: Parameters<typeof planMachine>[0], options: CheckedStressOptions): MachinePlan {
  const { vcpus, abi, events, args } = options;
  return planMachine(subject, { vcpus, abi, events, args });
}

class Stress {
  private readonly startMs = performance.now();
  private readonly failures: StressFailure[] = [];
  private iterations = 0;
  private session: StressSession | undefined;
  private stopped = false;
  private monitor: MonitorServer | undefined;
  private newest: ReportSource | undefined;
  private callbackError: { readonly thrown: unknown } | undefined;

  constructor(
    private readonly plan: MachinePlan,
    private readonly source: ScenarioSource,
    private readonly options: CheckedStressOptions,
  ) {}

  async run(): Promise<StressRunResult> {
    const { options } = this;
    const stop = (): void => this.stop();
    const progress = setInterval(() => this.report(), PROGRESS_INTERVAL_MS);
    const time = Number.isFinite(options.durationMs) ? setTimeout(stop, options.durationMs) : undefined;
    options.signal?.addEventListener('abort', stop, { once: true });
    if (options.signal?.aborted) stop();
    try {
      while (!this.enough()) await this.runSession();
    } finally {
      await this.monitor?.close(`${this.iterations} iterations, ${this.failures.length} failed`);
      clearInterval(progress);
      clearTimeout(time);
      options.signal?.removeEventListener('abort', stop);
    }
    if (this.callbackError !== undefined) throw this.callbackError.thrown;
    return this.result();
  }

  private async runSession(): Promise<void> {
    const pool = WorkerPool.withLimits({ maxOldGenerationSizeMb: this.options.memoryLimitMb });
    const earlier = { iterations: this.iterations, failures: this.failures.length };
    const session = new StressSession(this.plan, this.source, pool, this.options, earlier);
    this.session = session;
    try {
      await this.serveControl(session);
      await session.run();
    } finally {
      this.session = undefined;
      this.iterations += session.iterations;
      this.failures.push(...session.failures);
    }
  }

  /** The socket outlives its sessions, and tells of the newest one. */
  private async serveControl(session: StressSession): Promise<void> {
    const { control } = this.options;
    if (control === undefined) return;
    const first = session.reportSource();
    this.newest = first;
    this.monitor ??= await MonitorServer.listen(control, (channels) => (this.newest ?? first)(channels));
  }

  private enough(): boolean {
    const { iterations, maxFailures } = this.options;
    return this.stopped || this.iterations >= iterations || this.failures.length >= maxFailures;
  }

  private stop(): void {
    this.stopped = true;
    this.session?.stop();
  }

  private progress(): StressProgress {
    const iterations = this.iterations + (this.session?.iterations ?? 0);
    const elapsedMs = performance.now() - this.startMs;
    const failures = this.failures.length + (this.session?.failures.length ?? 0);
    return { iterations, elapsedMs, iterationsPerSecond: perSecond(iterations, elapsedMs), failures };
  }

  /** An error in the callback ends the stress and is what it rejects with. */
  private report(): void {
    try {
      this.options.onProgress?.(this.progress());
    } catch (thrown) {
      this.callbackError ??= { thrown };
      this.stop();
    }
  }

  private result(): StressRunResult {
    const { seed, chaos, signal } = this.options;
    const { iterations, elapsedMs, iterationsPerSecond } = this.progress();
    return {
      scenario: this.plan.scenario.name,
      seed,
      chaos,
      iterations,
      elapsedMs: Math.round(elapsedMs),
      iterationsPerSecond,
      interrupted: signal?.aborted === true,
      failures: this.failures,
    };
  }
}

function perSecond(count: number, elapsedMs: number): number {
  return Math.round((count / Math.max(elapsedMs, 1)) * 1000);
}
