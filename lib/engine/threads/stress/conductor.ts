/**
 * Leads the iterations of a stress session, on the thread of the first vCPU that is no daemon's: puts the machine back to its start of day,
 * lets all threads run, waits until they are through, and looks at what came of it: the first domain that ended badly,
 * else the scenario's invariants, else its check.
 */
import type { HvDomain, Hypervisor } from '../../../hypervisor/hypervisor';
import { AtomicsMemory } from '../../../memory/atomics-memory';
import { toError } from '../../errors';
import { type MachinePlan, planMachine } from '../../machine-plan';
import { errorData } from '../../run-result';
import type { ToolstackDomain } from '../../scenario';
import { evaluateScenario } from '../../scenario-source';
import { checkContext, describeDomains, toolstackDomains } from '../../toolstack';
import { monotonicNs } from '../clock';
import { areAsleep, type WatchedDomain } from '../deadlock';
import { Cause, causeWord } from '../exits';
import { MachineOnlooker } from '../onlooking';
import { readAccessLogs } from '../record/access-log';
import { RestingInvariants } from '../resting-invariants';
import { threadEntryPoints } from '../thread-entry-points';
import { Results } from './results';
import type { ConductorTask, IterationReport, StressMachine, StressVcpuTask } from './session';
import { StartOfDay } from './start-of-day';
import type { StressVcpu } from './stress-vcpu';

/** How long daemons may take to finish what they have been asked. */
const DAEMON_GRACE_MS = 200;
/** Looks whether they have, and how long to sleep between later ones (ms). */
const DAEMON_SPINS = 1000;
const DAEMON_SLEEP_MS = 0.05;

type Finding = Pick<IterationReport, 'ended' | 'kind' | 'error'>;

export class Conductor {
  private readonly machine: StressMachine;
  private readonly startOfDay: StartOfDay;
  private readonly plan: MachinePlan;
  private readonly views: Readonly<Record<string, ToolstackDomain>>;
  private readonly invariants: RestingInvariants;
  private readonly results: Results;
  private readonly daemons: readonly WatchedDomain[];
  /** This thread alone sleeps on it. */
  private readonly bench = new Int32Array(new SharedArrayBuffer(4));
  private failures = 0;

  constructor(
    private readonly vcpu: StressVcpu,
    private readonly task: StressVcpuTask,
    private readonly own: ConductorTask,
  ) {
    this.machine = vcpu.machine;
    // The main thread has set the machine up.
    this.startOfDay = new StartOfDay(task.image);
    const scenario = evaluateScenario(task.source, { index: task.scenarioIndex, entryPoints: threadEntryPoints });
    this.plan = planMachine(scenario, own.options);
    const { hypervisor } = this.machine;
    this.views = toolstackDomains(hypervisor, describeDomains(this.plan), (id) => memoryOf(hypervisor, id));
    this.invariants = new RestingInvariants(this.plan, hypervisor);
    this.results = new Results(task.stress.results);
    this.daemons = this.plan.domains
      .map((plan, index) => ({ plan, index, domain: hypervisor.domains[index] as HvDomain }))
      .filter(({ plan }) => plan.daemon);
  }

  /** Runs iterations until there are enough of them, or of failures, or the main thread says so. */
  run(): void {
    const { words } = this.machine;
    const { iterations, failures, otherVcpus, daemons, devices } = this.own;
    const { alone } = this.task.stress;
    if (!words.takeGate()) return;
    for (let iteration = 1; iteration <= iterations; iteration++) {
      if (iteration > 1) this.startOfDay.restore();
      this.machine.control.restart();
      if (!words.go(iteration, monotonicNs())) break;
      words.leaveGate();
      this.vcpu.execute(iteration);
      if (!words.awaitVcpus(otherVcpus, alone)) return;
      if (daemons > 0) {
        this.stopDaemons();
        if (!words.awaitDaemons(daemons, alone)) return;
      }
      if (devices > 0) {
        this.machine.control.stopDevices();
        if (!words.awaitDevices(devices, alone)) return;
      }
      if (!words.takeGate()) return;
      const finding = this.look();
      if (finding !== undefined) this.report(iteration, finding);
      // Only now: a check that does not come to an end belongs to an iteration that is not over.
      words.countCompleted();
      if (this.failures >= failures || words.stopRequested) break;
    }
    words.end();
    words.leaveGate();
  }

  /** Gives the daemons time to finish what they have been asked, and stops them. */
  private stopDaemons(): void {
    const { machine, bench } = this;
    const untilMs = performance.now() + DAEMON_GRACE_MS;
    for (let look = 0; !areAsleep(machine, this.daemons) && machine.words.failedFirst < 0; look++) {
      if (look < DAEMON_SPINS) continue;
      if (performance.now() > untilMs) break;
      Atomics.wait(bench, 0, 0, DAEMON_SLEEP_MS);
    }
    for (const { index } of this.daemons) machine.endDomain(index, causeWord(Cause.STOPPED));
  }

  private look(): Finding | undefined {
    const { failedFirst } = this.machine.words;
    if (failedFirst >= 0) {
      return { ended: { domain: failedFirst, cause: this.machine.control.exitCause(failedFirst) } };
    }
    const broken = this.invariants.broken('end');
    if (broken !== undefined) return { kind: 'invariant', error: { name: 'Error', message: broken } };
    return this.check();
  }

  private check(): Finding | undefined {
    const { scenario, args, domains } = this.plan;
    if (scenario.check === undefined) return undefined;
    const resultsOf = Object.fromEntries(
      domains.map(({ name, config }, index) => [
        name,
        Array.from({ length: config.vcpus }, (_, vcpu) => this.results.take(this.machine.slotOf(index, vcpu))),
      ]),
    );
    try {
      scenario.check(checkContext(this.views, args, resultsOf));
      return undefined;
    } catch (thrown) {
      return { kind: 'assertion', error: errorData(toError(thrown)) };
    }
  }

  private report(iteration: number, finding: Finding): void {
    this.failures++;
    const { stress, port } = this.task;
    const logs = readAccessLogs(stress.log);
    const domains = new MachineOnlooker(this.plan, this.machine).all();
    const report: IterationReport = {
      type: 'iteration',
      iteration: stress.before + iteration,
      ...finding,
      logs,
      domains,
    };
    port.postMessage(report);
  }
}

/** A domain's memory as the check sees it: without the delays of chaos. */
function memoryOf(hypervisor: Hypervisor, domainId: number): AtomicsMemory {
  const image = hypervisor.image.domains.find(({ config }) => config.id === domainId);
  if (image === undefined) throw new RangeError(`no domain ${domainId}`);
  return new AtomicsMemory(image.guest);
}
