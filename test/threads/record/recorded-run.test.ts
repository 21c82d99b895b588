import path from 'node:path';
import { expect } from 'chai';
import { shutdownPool } from '../../../lib/engine/threads';
import { type RecordedRun, recordRun } from '../../../lib/explore/record-run';
import type { Trace, TraceStep } from '../../../lib/explore/trace-format';
import { runStatistics } from '../../../lib/report/statistics';
import { statisticsLines } from '../../../lib/report/statistics-text';
import { linksOf } from '../../../lib/report/timeline/links';
import { WordHistory } from '../../../lib/report/timeline/word-history';

const EXAMPLES = path.join(__dirname, '../../../examples');
const PING_PONG = path.join(EXAMPLES, 'ipi-ping-pong.ts');
const SCENARIOS = path.join(__dirname, '../scenarios');
const ROUNDS = 30;

function marks(trace: Trace, actor: number, kind: string): string[] {
  const own = trace.steps.filter((step) => step.actor === actor).flatMap((step) => step.marks);
  return [...own, ...(trace.lastMarks[actor] ?? [])].filter((mark) => mark.kind === kind).map(({ text }) => text);
}

/**
 * Of the accesses that tell what they found, how many found what the accesses before them left. A thread that is preempted between an access
 * and its stamp spoils a few: the bounds leave room for a busy machine, and are above what records one behind the other come to.
 */
function agreement(trace: Trace): number {
  const history = new WordHistory(trace);
  let [looks, agree] = [0, 0];
  trace.steps.forEach(({ op, address, result }, index) => {
    if (address === undefined || /^(write|store|wait|notify)/.test(op)) return;
    looks++;
    const found = op.endsWith('8') ? history.byteAt(address, index - 1) : history.wordAt(address, index - 1);
    if (found === result) agree++;
  });
  return agree / looks;
}

describe('a recorded run', function () {
  this.timeout(60_000);
  let pingPong: RecordedRun;

  before(async () => {
    pingPong = await recordRun(PING_PONG, { args: { rounds: ROUNDS } });
  });

  after(() => shutdownPool());

  it('comes to what it comes to without a record, with every hypercall and upcall in it', () => {
    const { result, trace } = pingPong;
    expect(result.failure).to.equal(null);
    expect(trace.recorded).to.deep.equal({ missing: [0, 0, 0, 0], timed: true });
    expect(trace.actorKinds).to.deep.equal(['vcpu', 'vcpu', 'timer', 'host']);
    for (const { id, upcalls, hypercalls } of result.domains[0]!.vcpus) {
      expect(marks(trace, id, 'upcall')).to.have.length(upcalls);
      expect(marks(trace, id, 'upcall-end')).to.have.length(upcalls);
      expect(marks(trace, id, 'hypercall')).to.have.length(hypercalls);
      expect(marks(trace, id, 'hypercall').filter((name) => name === 'EVTCHNOP_send')).to.have.length(ROUNDS);
    }
  });

  it('has times that rise on each thread, and an order in which nearly every access finds what those before it left', () => {
    const { trace } = pingPong;
    for (const actor of [0, 1]) {
      const times = trace.steps.filter((step) => step.actor === actor).map(({ timeNs }) => timeNs as number);
      expect(times.length).to.be.above(10 * ROUNDS);
      expect(times.every((time, i) => i === 0 || time >= (times[i - 1] as number))).to.equal(true);
    }
    expect(agreement(trace)).to.be.above(0.95);
    const { memory, steps } = trace;
    const history = new WordHistory(trace);
    const received = memory!.domains[0]!.words.filter(({ name }) => name.startsWith('received'));
    expect(received.map(({ address }) => history.wordAt(address, -1))).to.deep.equal([0, 0]);
    expect(received.map(({ address }) => history.wordAt(address, steps.length))).to.deep.equal([ROUNDS, ROUNDS]);
  });

  it('leads from each send to the upcall it causes, and from who wakes to the sleeper', () => {
    const { trace } = pingPong;
    const links = linksOf(trace);
    const upcalls = links.filter(({ kind }) => kind === 'upcall');
    expect(upcalls).to.have.length(2 * ROUNDS);
    for (const { from, to, fromActor, toActor } of upcalls) {
      expect(fromActor).to.equal(1 - toActor);
      expect(trace.steps[from]?.name).to.include(`vcpu_info[${toActor}].evtchn_upcall_pending`);
      expect((trace.steps[to] as TraceStep).marks.some(({ kind }) => kind === 'upcall')).to.equal(true);
    }
    for (const { from, to, fromActor, toActor } of links.filter(({ kind }) => kind === 'wake')) {
      expect(trace.steps[from]?.actor).to.equal(fromActor);
      expect(fromActor).to.equal(1 - toActor);
      expect(to).to.be.at.least(from);
    }
  });

  it('keeps the newest events, and says how many it does not keep', async () => {
    const { trace, recording } = await recordRun(PING_PONG, { args: { rounds: ROUNDS } }, 100);
    for (const { accesses, row } of recording.logs.slice(0, 2)) {
      expect(accesses).to.have.length(100);
      expect(trace.recorded?.missing[row]).to.be.above(200);
    }
    // What a guest finds is known from then on; what nobody looked at is not made up.
    expect(trace.steps.some((step) => step.after !== undefined && step.before === undefined)).to.equal(true);
    expect(agreement(trace)).to.be.above(0.8);
    expect(runStatistics(recording).missing).to.be.above(400);
  });

  it('has devices and the timer as actors, with their lines, sleeps and arrows', async () => {
    const { result, trace } = await recordRun(path.join(SCENARIOS, 'hardware.ts'));
    expect(result.failure).to.equal(null);
    expect(trace.actors).to.deep.equal(['vCPU 0', 'timer', 'device nic', 'device idler', 'host']);
    expect(marks(trace, 2, 'log')).to.deep.equal(['raise 0', 'raise 1', 'raise 2', 'raise 3', 'raise 4']);
    const fromNic = linksOf(trace).filter(({ kind, fromActor }) => kind === 'upcall' && fromActor === 2);
    expect(fromNic.length).to.be.at.least(1);
    const { trace: timed } = await recordRun(path.join(SCENARIOS, 'timers.ts'));
    const fromTimer = linksOf(timed).filter(({ kind, fromActor }) => kind === 'upcall' && fromActor !== 0);
    expect(fromTimer.map(({ fromActor }) => timed.actorKinds?.[fromActor])).to.include('timer');
  });

  it('of a guest that deadlocks shows who sleeps, and why the run failed', async () => {
    const { result, trace } = await recordRun(path.join(SCENARIOS, 'sleepers.ts'));
    expect(result.failure?.kind).to.equal('deadlock');
    expect(trace.failure?.kind).to.equal('deadlock');
    expect(trace.waits.length).to.be.above(0);
    for (const { text } of trace.waits) expect(text).to.match(/^asleep in SCHEDOP_/);
  });

  it('of the FIFO ABI names the words of the event array', async () => {
    const { result, trace } = await recordRun(PING_PONG, { args: { rounds: 3 }, events: 'fifo' });
    expect(result.failure).to.equal(null);
    expect(trace.steps.some(({ name }) => /^event_array\[\d+\]/.test(name ?? ''))).to.equal(true);
    expect(linksOf(trace).filter(({ kind }) => kind === 'upcall').length).to.be.at.least(4);
  });

  it('refuses to keep no events', async () => {
    const error = await recordRun(PING_PONG, {}, 0).catch((thrown: Error) => thrown);
    expect(error).to.include({ name: 'ScenarioError', code: 'SCENARIO_OPTION' });
  });
});

describe('the statistics of a recorded run', () => {
  after(() => shutdownPool());

  it('account for all of the time, count the events, and tell the latency of every upcall', async () => {
    const { recording, result } = await recordRun(PING_PONG, { args: { rounds: ROUNDS } });
    const statistics = runStatistics(recording);
    const { vcpus, fromNs, toNs, overTime, latency, missing } = statistics;
    expect(missing).to.equal(0);
    for (const [row, { ns, events, upcalls }] of vcpus.entries()) {
      const total = Object.values(ns).reduce((sum, each) => sum + each, 0);
      const { accesses } = recording.logs[row]!;
      const ownNs = accesses.at(-1)!.timeNs - accesses[0]!.timeNs;
      // Each thread's record begins and ends with its own first and last event.
      expect(total).to.be.within(0.999 * ownNs, toNs - fromNs);
      expect([events, upcalls]).to.deep.equal([ROUNDS, ROUNDS]);
      expect(ns.upcall).to.be.above(0);
      expect(ns.hypercall).to.be.above(0);
    }
    expect(vcpus.map(({ upcalls }) => upcalls)).to.deep.equal(result.domains[0]!.vcpus.map(({ upcalls }) => upcalls));
    expect(overTime.events.map((counts) => counts.reduce((sum, each) => sum + each, 0))).to.deep.equal([
      ROUNDS,
      ROUNDS,
    ]);
    expect(latency?.count).to.equal(2 * ROUNDS);
    const { percentiles, minNs, maxNs, bars } = latency!;
    const values = [minNs, ...percentiles.map(([, ns]) => ns)];
    expect(values).to.deep.equal([...values].sort((a, b) => a - b));
    expect(maxNs).to.be.at.least(percentiles[1]![1] * 0.99);
    expect(bars.reduce((sum, { count }) => sum + count, 0)).to.equal(2 * ROUNDS);
    for (const width of [40, 80, 200]) {
      for (const line of statisticsLines(statistics, width).slice(8)) expect(line.length).to.be.at.most(width);
    }
  });
});
