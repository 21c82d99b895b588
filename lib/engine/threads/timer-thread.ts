/**
 * The timer hardware: one thread that sleeps until the next deadline of any timer, then lets the hypervisor expire
 * those that are due. A vCPU never polls the clock to find out that its own timer fired.
 *
 * Ordering. The plan is one word: when the thread means to wake. This thread: (1) reads the sequence number,
 * (2) publishes the plan, (3) looks at all timers again, (4) sleeps while the sequence number is unchanged. A vCPU
 * that arms a timer: (a) stores the deadline, (b) reads the plan and, if its deadline is not later, (c) counts the
 * sequence number up and notifies. If (b) reads the plan from before (2), then (a) came before (3), which finds
 * the deadline. If it reads the new plan and the deadline is earlier, (c) ends or prevents the sleep of (4),
 * because (1) came before (2). While the thread is awake its plan says so, and nobody needs to poke it.
 *
 * A vCPU's periodic timer runs only while the vCPU does, so with vCPUs that sleep and wake often, timers are armed
 * thousands of times a second and hardly one of them expires. So before it sleeps without limit, or for long, the
 * thread takes one short sleep, planned as such: what is armed meanwhile is later than that plan and pokes nobody.
 */
import { type MachineTask, MachineThread } from './machine-thread';

/** Length of the short sleep: Xen's default period. */
const LINGER_NS = 10_000_000;
/** Waking this little too late is better than sleeping twice (ns). */
const SLACK_NS = 1000;

export type TimerTask = MachineTask;

/** Runs until the hardware is stopped. The task of a worker thread. */
export function runTimers(task: TimerTask): void {
  const { clock, control, hypervisor } = new MachineThread(task);
  control.markTimerRuns();
  let lingered = false;
  for (let seen = control.timerSequence(); ; ) {
    control.markTimerAwake();
    const sequence = control.timerSequence();
    if (control.hardwareStopped) return;
    const now = clock.now();
    const next = hypervisor.runExpiredTimers(now);
    if (sequence !== seen) lingered = false;
    seen = sequence;
    const planNs: number = lingered ? next : Math.min(next, now + LINGER_NS);
    lingered = planNs !== next;
    control.planTimer(planNs);
    const deadlineNs = Math.min(planNs, hypervisor.nextDeadline());
    const sleepNs = deadlineNs - clock.now();
    if (sleepNs > SLACK_NS) control.sleepTimer(sequence, sleepNs);
  }
}
