/**
 * The timer hardware: one thread that sleeps until the next deadline of any timer, then lets the hypervisor expire
 * those that are due. A vCPU never polls the clock to find out that its own timer fired. The thread is started when the
 * first timer is armed: who arms it changes the plan and then tells the main thread.
 *
 * Ordering. The plan is one word: when the thread means to wake. This thread: (1) reads the sequence number,
 * (2) publishes the plan, (3) looks at all timers again, (4) sleeps while the sequence number is unchanged. A vCPU
 * that arms a timer: (a) stores the deadline, (b) reads the plan and, if its deadline is earlier, (c) puts it in
 * the plan's place, counts the sequence number up and notifies. If (b) reads the plan from before (2), then (a)
 * came before (3), which finds the deadline. If it reads the new plan and the deadline is earlier, (c) ends or
 * prevents the sleep of (4), because (1) came before (2). While the thread is awake its plan says so, and nobody
 * needs to poke it. "Earlier" is told in units of 65 µs: so late can a timer be.
 *
 * The thread keeps to the plan it was asked for even if it finds that timer stopped. A vCPU's periodic timer is stopped
 * whenever the vCPU sleeps and armed again for the same time when it goes on, thousands of times a second; one
 * poke serves them all.
 */
import { threadId } from 'node:worker_threads';
import { type MachineTask, MachineThread } from './machine-thread';

/** Waking this little too late is better than sleeping twice (ns). */
const SLACK_NS = 1000;

export type TimerTask = MachineTask;

/** Runs until the hardware is stopped. The task of a worker thread. */
export function runTimers(task: TimerTask): void {
  const { clock, control, hypervisor } = new MachineThread(task);
  control.markStarted(task.row, threadId);
  for (;;) {
    const wishNs = control.markTimerAwake();
    const sequence = control.timerSequence();
    if (control.hardwareStopped) return;
    const now = clock.now();
    const next = hypervisor.runExpiredTimers(now);
    const planNs = wishNs > now ? Math.min(wishNs, next) : next;
    control.planTimer(planNs);
    const deadlineNs = Math.min(planNs, hypervisor.nextDeadline());
    const sleepNs = deadlineNs - clock.now();
    if (sleepNs > SLACK_NS) control.sleepTimer(sequence, sleepNs);
  }
}
