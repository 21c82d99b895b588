/** The threads of a stress session: their tasks, from start to end. */
import { type MessagePort, threadId } from 'node:worker_threads';
import { deviceFunction, deviceOutcome, ThreadDevice } from '../device-thread';
import { Conductor } from './conductor';
import {
  type GuestReport,
  type LastReport,
  type StressDeviceTask,
  StressMachine,
  type StressTimerTask,
  type StressVcpuTask,
} from './session';
import { StressVcpu } from './stress-vcpu';

/** All reports of this thread have been sent. The main thread closes the port: this one may not turn to events again. */
function sayGoodbye(port: MessagePort): void {
  const last: LastReport = { type: 'last' };
  port.postMessage(last);
}

/** A vCPU, in every iteration of the session. */
export function runStressVcpu(task: StressVcpuTask): void {
  const vcpu = new StressVcpu(task);
  const { words } = vcpu.machine;
  const restore = vcpu.guardExit();
  try {
    if (task.conductor !== undefined) new Conductor(vcpu, task, task.conductor).run();
    else {
      for (let last = 0, next: number | undefined; ; last = next) {
        next = words.awaitGo(last, task.stress.alone);
        if (next === undefined) return;
        vcpu.execute(next);
        if (task.daemon) words.daemonArrives();
        else words.arrive();
      }
    }
  } finally {
    restore();
    sayGoodbye(task.port);
  }
}

/** A device, in every iteration of the session. */
export function runStressDevice(task: StressDeviceTask): void {
  const { stress, port, row } = task;
  const machine = new StressMachine(task);
  const run = deviceFunction(task);
  const { clock, control, words } = machine;
  control.markStarted(row, threadId);
  for (let last = 0, next: number | undefined; ; last = next) {
    next = words.awaitGo(last, stress.alone);
    if (next === undefined) break;
    clock.restart(words.originNs);
    const outcome = deviceOutcome(() => run(new ThreadDevice(task, machine)));
    control.markFinished(row);
    if (outcome.kind === 'failed') {
      const report: GuestReport = {
        type: 'guest',
        iteration: stress.before + next,
        kind: 'crash',
        error: outcome.error,
      };
      port.postMessage(report);
      machine.failDevice();
    }
    words.deviceArrives();
  }
  sayGoodbye(port);
}

/**
 * The timer hardware, for as long as the session lasts. It looks at the machine with the gate taken. Its plan is in the
 * time of the iteration it was made in; a later iteration began later, so what the plan says in its time is sooner
 * than that iteration would need.
 * @see ../timer-thread.ts for the order of plans and pokes
 */
export function runStressTimers(task: StressTimerTask): void {
  const { clock, control, hypervisor, words } = new StressMachine(task);
  control.markStarted(task.row, threadId);
  while (!words.over) {
    control.markTimerAwake();
    const sequence = control.timerSequence();
    if (!words.takeGate()) break;
    clock.restart(words.originNs);
    const next = words.iteration > 0 ? hypervisor.runExpiredTimers(clock.now()) : Number.POSITIVE_INFINITY;
    control.planTimer(next);
    const deadlineNs = words.iteration > 0 ? Math.min(next, hypervisor.nextDeadline()) : next;
    words.leaveGate();
    const sleepNs = deadlineNs - clock.now();
    if (sleepNs > 0 && !words.over) control.sleepTimer(sequence, sleepNs);
  }
  sayGoodbye(task.port);
}
