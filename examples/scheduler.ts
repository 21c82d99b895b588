/**
 * A small SMP scheduler with one run queue, tasks that work and sleep, and reschedule IPIs.
 *
 * Teaches: what must happen under the run-queue lock (and with upcalls disabled, since timer handlers take it too),
 * how a vCPU goes idle without missing work that is queued at that moment, and whom to wake.
 *
 * A task is an explicit state machine in shared memory, as there is no stack to switch: a vCPU runs it for one slice,
 * then decides whether it is ready again, sleeps, or is done. Any vCPU may run the next slice.
 *
 *     npx upcall run examples/scheduler.ts --vcpus 4 --args '{"tasks": 8, "slices": 50, "napUs": 200}'
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { Events, irqDisable, irqEnable, Spinlock, systemTimeNs, type Timer, Timers, type Vcpu } from 'upcall/guest';

const MAX_TASKS = 12;
const MAX_VCPUS = 32;

const READY = 1;
const RUNNING = 2;
const SLEEPING = 3;
const DONE = 4;

/** The run queue as one vCPU sees it. The queue itself is a ring of task numbers in the domain's memory. */
class RunQueue {
  private readonly lock: Spinlock;

  constructor(private readonly vcpu: Vcpu) {
    this.lock = new Spinlock(vcpu, vcpu.words.lock);
  }

  /** Queues a task and wakes an idle vCPU for it. Called by tasks and by timer handlers. */
  enqueue(task: number): void {
    const { queue, tail, idle, state, ports } = this.vcpu.words;
    const flags = this.lock.lockIrqSave();
    state[task].write(READY);
    queue[tail.read() % MAX_TASKS].write(task);
    tail.write(tail.read() + 1);
    const sleeper = this.takeIdle(idle.read());
    this.lock.unlockIrqRestore(flags);
    // After the unlock: the woken vCPU would only spin on the lock.
    if (sleeper >= 0) this.vcpu.hypercall.evtchn.send(ports[sleeper].load());
  }

  /**
   * The next task; -1 if there is none, and then this vCPU counts as idle. Both are one step under the lock: whoever
   * queues a task after this look finds the vCPU idle and sends it an IPI, which is pending even if the vCPU has not
   * gone to sleep yet. Marked idle outside the lock, it could be missed by a task queued in between.
   */
  dequeue(): number {
    const { queue, head, tail, idle, state } = this.vcpu.words;
    const me = 1 << this.vcpu.id;
    const flags = this.lock.lockIrqSave();
    let task = -1;
    if (head.read() === tail.read()) {
      idle.write(idle.read() | me);
    } else {
      idle.write(idle.read() & ~me);
      task = queue[head.read() % MAX_TASKS].read();
      head.write(head.read() + 1);
      this.vcpu.assert(state[task].read() === READY, `task ${task} was queued, but is not ready`);
      state[task].write(RUNNING);
    }
    this.lock.unlockIrqRestore(flags);
    return task;
  }

  /** Takes one vCPU out of the idle set, so that the next task wakes another; -1 if none is in it. */
  private takeIdle(set: number): number {
    if (set === 0) return -1;
    const id = 31 - Math.clz32(set & -set);
    this.vcpu.words.idle.write(set & ~(1 << id));
    return id;
  }
}

export default defineScenario({
  name: 'scheduler',
  description: 'an SMP run queue, sleeping tasks, reschedule IPIs',
  vcpus: 2,
  words: {
    lock: 0,
    // Guarded by the lock.
    queue: new Array(MAX_TASKS).fill(0),
    head: 0,
    tail: 0,
    idle: 0,
    state: new Array(MAX_TASKS).fill(0),
    // A task's own: only the vCPU that runs it touches them.
    slicesDone: new Array(MAX_TASKS).fill(0),
    // Atomic.
    unfinished: 0,
    ready: 0,
    ports: new Array(MAX_VCPUS).fill(0),
  },
  args: { tasks: 6, slices: 10, napUs: 100 },

  setup({ domain, args }) {
    domain.words.unfinished.write(args.tasks);
  },

  guest(vcpu) {
    const { tasks, slices, napUs } = vcpu.domain.args;
    if (tasks > MAX_TASKS) throw new RangeError(`at most ${MAX_TASKS} tasks: each vCPU has a timer for each of them`);
    if (vcpu.domain.vcpus > MAX_VCPUS) throw new RangeError(`at most ${MAX_VCPUS} vCPUs: the idle set is one word`);
    const { ports, ready, slicesDone, state, unfinished } = vcpu.words;
    const events = new Events(vcpu);
    const timers = new Timers(events);
    const runQueue = new RunQueue(vcpu);
    const alarms: Timer[] = Array.from({ length: tasks }, (_, task) => timers.create(() => runQueue.enqueue(task)));
    let slicesRun = 0;

    // Being interrupted is all the reschedule IPI is for: the idle loop looks at the queue again.
    ports[vcpu.id]!.store(events.bindIpi(() => {}));
    ready.add(1);
    while (ready.load() < vcpu.domain.vcpus) vcpu.relax();

    if (vcpu.id === 0) {
      for (let task = 0; task < tasks; task++) runQueue.enqueue(task);
    }

    /** One slice of a task. */
    const run = (task: number) => {
      const done = slicesDone[task]!.read() + 1;
      slicesDone[task]!.write(done);
      slicesRun++;
      if (done === slices) {
        state[task]!.write(DONE);
        // The last one wakes everybody, to find nothing left to do.
        if (unfinished.add(-1) === 1) {
          for (let id = 0; id < vcpu.domain.vcpus; id++) vcpu.hypercall.evtchn.send(ports[id]!.load());
        }
      } else if (done % 3 === 0) {
        // State before alarm: once it is set, the task may be running on another vCPU.
        state[task]!.write(SLEEPING);
        alarms[task]!.startAt(systemTimeNs(vcpu) + napUs * 1000);
      } else {
        runQueue.enqueue(task);
      }
    };

    for (;;) {
      irqDisable(vcpu);
      const task = runQueue.dequeue();
      if (task >= 0) {
        irqEnable(vcpu);
        run(task);
      } else if (unfinished.load() === 0) {
        irqEnable(vcpu);
        return { slicesRun };
      } else {
        // Upcalls have been disabled since before the look at the queue. block() enables them and sleeps only if none
        // is due.
        vcpu.block();
      }
    }
  },

  check({ words, results, args }) {
    for (let task = 0; task < args.tasks; task++) {
      assert.equal(words.state[task]!.read(), DONE, `task ${task} finished`);
      assert.equal(words.slicesDone[task]!.read(), args.slices, `task ${task} ran its slices, each once`);
    }
    const total = results.reduce<number>((sum, result) => sum + (result as { slicesRun: number }).slicesRun, 0);
    assert.equal(total, args.tasks * args.slices, 'the vCPUs ran all slices, each once');
  },
});
