/**
 * A guided tour of a small kernel on four vCPUs, with everything at once.
 *
 * vCPU 0 boots alone and brings up the others. Then, until the time is up, a token goes round by IPI as fast as it
 * can, and every vCPU reports on the console by its own periodic timer and adds to one counter under a paravirtual
 * spinlock.
 *
 * Teaches: how the pieces of `upcall/guest` fit together. The other examples take them one by one.
 *
 *     npm start
 *     npx upcall run examples/tour.ts --vcpus 8 --args '{"seconds": 3, "reportMs": 250}'
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import {
  bringUp,
  Completion,
  Events,
  irqDisable,
  PvSpinlock,
  printk,
  readWallclock,
  systemTimeNs,
  Timers,
  type Vcpu,
} from 'upcall/guest';

const MAX_VCPUS = 128;
const NS_PER_MS = 1_000_000;
const DEFAULTS = { seconds: 10, reportMs: 1000 };

function settings(args: object): typeof DEFAULTS {
  return { ...DEFAULTS, ...args };
}

/** The time of day as on a clock. */
function timeOfDay(vcpu: Vcpu): string {
  const wallclock = { seconds: 0, ns: 0 };
  readWallclock(vcpu, wallclock);
  return new Date(wallclock.seconds * 1000 + wallclock.ns / NS_PER_MS).toISOString().slice(11, 23);
}

/** Takes the token and passes it on: a handler, so it happens whatever this vCPU is doing. Returns its port. */
function joinTokenRing(vcpu: Vcpu, events: Events): number {
  const { passed, ports } = vcpu.words;
  const next = (vcpu.id + 1) % vcpu.domain.vcpus;
  return events.bindIpi(() => {
    passed[vcpu.id].write(passed[vcpu.id].read() + 1);
    vcpu.hypercall.evtchn.send(ports[next].load());
  });
}

/** Reports at a fixed period. Returns a function that tells how many reports there were. */
function startReports(vcpu: Vcpu, timers: Timers): () => number {
  const { lock, passed, reports } = vcpu.words;
  const reportsLock = new PvSpinlock(vcpu, lock);
  const { reportMs } = settings(vcpu.domain.args);
  let count = 0;
  const report = timers.create(() => {
    count++;
    // Timer callbacks run with upcalls disabled on every vCPU, and nobody else takes this lock: no handler can
    // interrupt its holder and wait for it.
    reportsLock.lock();
    const total = reports.read() + 1;
    reports.write(total);
    reportsLock.unlock();
    printk(vcpu, `${timeOfDay(vcpu)} UTC, report ${total}, had the token ${passed[vcpu.id].read()} times`);
  });
  report.startEvery(reportMs * NS_PER_MS);
  return () => count;
}

export default defineScenario({
  name: 'tour',
  description: 'a four-vCPU kernel with timers, IPIs, a lock and a console, for some seconds',
  vcpus: 4,
  start: 'boot',
  words: {
    running: 0,
    finished: 0,
    lock: 0,
    reports: 0,
    ports: new Array(MAX_VCPUS).fill(0),
    passed: new Array(MAX_VCPUS).fill(0),
  },
  args: DEFAULTS,

  guest(vcpu) {
    const { finished, passed, ports, running } = vcpu.words;
    const { vcpus, args } = vcpu.domain;
    const { seconds, reportMs } = settings(args);
    const started = systemTimeNs(vcpu);
    const events = new Events(vcpu);
    if (vcpu.id === 0) events.maskAll();
    const allRunning = new Completion(events, running);
    const timeIsUp = new Completion(events, finished);

    if (vcpu.id === 0) {
      printk(vcpu, `booting ${vcpus} vCPUs`);
      for (let id = 1; id < vcpus; id++) bringUp(vcpu, id);
    } else {
      printk(vcpu, 'up');
    }

    const timers = new Timers(events);
    // The port is known to the neighbour before this vCPU counts as running, and the token starts when all do.
    ports[vcpu.id]!.store(joinTokenRing(vcpu, events));
    if (vcpu.id === 0) {
      for (let id = 1; id < vcpus; id++) allRunning.wait();
      printk(vcpu, 'all vCPUs are running, the token starts');
      vcpu.hypercall.evtchn.send(ports[0]!.load());
    } else {
      allRunning.complete();
      // Reports one after the other rather than all at once.
      timers.sleep((vcpu.id * reportMs * NS_PER_MS) / vcpus);
    }

    const reports = startReports(vcpu, timers);
    if (vcpu.id === 0) {
      timers.sleepUntil(started + seconds * 1000 * NS_PER_MS);
      timeIsUp.completeAll();
    } else {
      timeIsUp.wait();
    }
    printk(vcpu, 'done');
    // A report between the two reads below would be in the counter and not in the result.
    irqDisable(vcpu);
    return { reports: reports(), passed: passed[vcpu.id]!.read() };
  },

  check({ domain, words, results }) {
    const each = results as { reports: number; passed: number }[];
    const reports = each.reduce((sum, result) => sum + result.reports, 0);
    assert.equal(words.reports.read(), reports, 'no addition to the counter was lost');
    const passed = words.passed.slice(0, domain.vcpus).map((word) => word.read());
    const [first = 0] = passed;
    assert.ok(first > 0, 'the token went round');
    passed.forEach((times, id) => {
      const before = passed[id - 1] ?? times;
      assert.ok(times === before || times === before - 1, 'no vCPU had the token out of turn');
      assert.ok(first - times <= 1, 'there was one token');
    });
  },
});
