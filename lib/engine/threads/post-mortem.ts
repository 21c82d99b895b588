/**
 * The state of a run's domains when one of them ends badly.
 *
 * When the main thread finds the reason itself (deadlock, hang, abort) it looks before the vCPUs are told to leave; when a thread
 * was lost, before what it has left behind is cleared away; else when all have left, which changes nothing but runstates.
 */
import { isBadExit, type RunResult } from '../run-result';
import { makeDump } from '../snapshot/dump';
import type { Dump } from '../snapshot/dump-file';
import type { DomainSnapshot } from '../snapshot/schema';
import { type DomainState, summarise } from '../snapshot/summary';
import type { DomainRun } from './domain-run';
import type { MachineHost } from './machine-host';
import { MachineOnlooker } from './onlooking';

export class PostMortem {
  private readonly onlooker: MachineOnlooker;
  /** Of each domain, when its own end was seen. */
  private readonly states: (DomainState | undefined)[] = [];
  /** All of them, when the first bad end was. */
  private first: { readonly systemTime: number; readonly domains: readonly DomainSnapshot[] } | undefined;

  constructor(private readonly host: MachineHost) {
    this.onlooker = new MachineOnlooker(host.plan, host.machine);
  }

  /** The domain is about to be ended by this thread, for a bad reason. The first look counts. */
  look(domain: DomainRun): void {
    const { index } = domain;
    if (this.states[index] !== undefined) return;
    const seen = this.first === undefined ? this.lookAtAll()[index] : undefined;
    this.states[index] = summarise(seen ?? this.onlooker.domain(index));
  }

  /** One of the domain's threads has gone, or all have. */
  threadGone(domain: DomainRun): void {
    if (isBadExit(domain.exit())) this.look(domain);
  }

  /** How the domain was; undefined if it ended well. */
  stateOf(domain: DomainRun): DomainState | undefined {
    return this.states[domain.index];
  }

  /**
   * The machine as it was at its first bad end; if there was none, as it is.
   * @param result - of a run that failed
   */
  dump(result: RunResult): Dump {
    const { systemTime, domains } = this.first ?? {
      systemTime: this.host.machine.clock.now(),
      domains: this.onlooker.all(),
    };
    return makeDump({ result, systemTime, domains, lastAccesses: null });
  }

  private lookAtAll(): readonly DomainSnapshot[] {
    const domains = this.onlooker.all();
    this.first = { systemTime: this.host.machine.clock.now(), domains };
    return domains;
  }
}
