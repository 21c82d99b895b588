/**
 * Puts together what the threads of a session report about a failed iteration: the conductor says that it failed, and which
 * domain ended badly first; the guest concerned has said how; what this thread found (deadlock, livelock) it knows.
 *
 * Reports of different threads arrive in any order. A failure is told when all of it is known, at the latest when the
 * session is over.
 */
import type { GuestExitError } from '../../errors';
import type { ErrorData } from '../../run-result';
import type { DomainSnapshot } from '../../snapshot/schema';
import { Cause, causeKind, causeVcpu, shutdownExit } from '../exits';
import type { MachineHost } from '../machine-host';
import type { StressFailure } from './options';
import { type GuestReport, type IterationReport, iterationSeed, type Report, type StressFailureKind } from './session';

/** What an iteration left behind. */
type Remains = Pick<StressFailure, 'logs' | 'domains'>;
/** A failure but for its place among the iterations. Domains that were seen earlier count. */
type Explanation = Omit<StressFailure, 'iteration' | 'seed' | 'threadsOnly' | keyof Remains> &
  Partial<Pick<Remains, 'domains'>>;

/** What the main thread finds of an iteration. */
interface Verdict {
  readonly kind: StressFailureKind;
  readonly message: string;
  readonly domains: readonly DomainSnapshot[];
}

/** The thread that knew more was lost. */
const UNTOLD: Explanation = { kind: 'crash', message: 'a guest failed' };

const EXIT: GuestExitError['name'] = 'GuestExitError';

export class Findings {
  readonly failures: StressFailure[] = [];
  /** Of guests and devices: `iteration/row`. */
  private readonly guests = new Map<string, GuestReport>();
  private readonly verdicts = new Map<number, Verdict>();
  /** Iterations that failed and cannot be explained yet. */
  private waiting: IterationReport[] = [];
  private lost: Explanation | undefined;

  constructor(
    private readonly host: MachineHost,
    private readonly seed: number,
  ) {}

  /** @param row - of the thread that reports */
  add(row: number, report: Report): void {
    if (report.type === 'guest') this.guests.set(`${report.iteration}/${row}`, report);
    else this.waiting.push(report);
    this.tell(false);
  }

  /** What the main thread finds of an iteration. */
  judge(iteration: number, verdict: () => Verdict): void {
    if (!this.verdicts.has(iteration)) this.verdicts.set(iteration, verdict());
  }

  /** A thread has ended by itself, or was ended. */
  threadLost(name: string, error: ErrorData): void {
    const outOfMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    const why = outOfMemory ? 'out of memory: it needs more heap than memoryLimitMb allows' : error.message;
    this.lost ??= { kind: 'crash', message: `${name}: ${why}`, ...this.stack(error) };
  }

  /** The session is over: no report is to come. */
  finish(): void {
    this.tell(true);
  }

  /**
   * The iteration in which a thread was lost. What ended it comes before the loss, which may have followed from it.
   * Its conductor may have come to an end of it all the same.
   */
  addLost(report: IterationReport): void {
    const { iteration, ended } = report;
    if (this.failures.some((failure) => failure.iteration === iteration)) return;
    const found = this.verdicts.get(iteration) ?? (ended && this.explain(report)) ?? this.lost ?? UNTOLD;
    this.push(iteration, found, report, true);
  }

  private tell(atLast: boolean): void {
    this.waiting = this.waiting.filter((report) => {
      const found = this.explain(report) ?? (atLast ? UNTOLD : undefined);
      const exits = [...this.guests.values()].some(({ error }) => error.name === EXIT);
      if (found !== undefined) this.push(report.iteration, found, report, exits);
      return found === undefined;
    });
  }

  private push(iteration: number, found: Explanation, { logs, domains }: Remains, threadsOnly: boolean): void {
    const seed = iterationSeed(this.seed, iteration);
    this.failures.push({ iteration, logs, domains, ...found, seed, threadsOnly });
  }

  private explain({ ended, kind = 'crash', error, iteration }: IterationReport): Explanation | undefined {
    if (ended === undefined) return { kind, message: error?.message ?? kind, ...this.stack(error) };
    const { cause } = ended;
    const domain = this.host.domains[ended.domain];
    const place = this.host.domains.length > 1 ? { domain: domain?.name } : {};
    switch (causeKind(cause)) {
      case Cause.SHUTDOWN:
        return { kind: 'crash', message: shutdownExit(cause).message ?? 'crash', ...place };
      case Cause.HANG:
      case Cause.DEADLOCK:
        return this.verdicts.get(iteration);
      case Cause.GUEST: {
        const vcpu = causeVcpu(cause);
        const report = this.guests.get(`${iteration}/${domain?.slot(vcpu)}`);
        return report && { ...this.told(report), ...place, vcpu };
      }
      default:
        return this.deviceFailure(iteration);
    }
  }

  private told({ kind, error }: GuestReport): Explanation {
    return { kind, message: error.message, ...this.stack(error) };
  }

  private deviceFailure(iteration: number): Explanation | undefined {
    const { vcpus, deviceNames } = this.host;
    for (const [index, name] of deviceNames.entries()) {
      const report = this.guests.get(`${iteration}/${vcpus + 1 + index}`);
      if (report !== undefined) return { ...this.told(report), message: `device '${name}': ${report.error.message}` };
    }
    return undefined;
  }

  private stack(error: ErrorData | undefined): { readonly stack?: string } {
    return error?.stack === undefined ? {} : { stack: this.host.mapStack(error.stack) };
  }
}
