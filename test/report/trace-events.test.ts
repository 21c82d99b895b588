import path from 'node:path';
import { expect } from 'chai';
import { shutdownPool } from '../../lib/engine/threads';
import { recordRun } from '../../lib/explore/record-run';
import { replay } from '../../lib/explore/replay';
import type { Trace } from '../../lib/explore/trace';
import { explore } from '../../lib/report/explore-result';
import { formatTraceEvents, type TraceEvent, traceEvents } from '../../lib/report/trace-events';

const EXAMPLES = path.join(__dirname, '../../examples');

async function traceOf(example: string, options = {}): Promise<Trace> {
  const { failure } = await explore(path.join(EXAMPLES, `${example}.ts`), options);
  if (failure === null) throw new Error(`${example} held`);
  return failure.trace;
}

/** What the format asks of every event, whoever opens it. */
function validate(events: readonly TraceEvent[]): void {
  const threads = new Set<string>();
  const open = new Map<string, TraceEvent>();
  for (const event of events) {
    const text = JSON.stringify(event);
    expect(event.name, text).to.be.a('string').with.length.above(0);
    for (const time of [event.ts, event.dur ?? 0]) {
      expect(Number.isFinite(time) && time >= 0, text).to.equal(true);
    }
    expect(Number.isInteger(event.pid), text).to.equal(true);
    switch (event.ph) {
      case 'M':
        expect(event.name).to.be.oneOf(['process_name', 'thread_name', 'thread_sort_index']);
        if (event.name === 'thread_name') threads.add(`${event.pid}.${event.tid}`);
        break;
      case 'X':
        expect(event.dur, text).to.be.above(0);
        break;
      case 's':
        open.set(`${event.cat} ${event.name} ${event.id}`, event);
        break;
      case 'f': {
        const start = open.get(`${event.cat} ${event.name} ${event.id}`);
        expect(start, text).not.to.equal(undefined);
        expect(event.bp).to.equal('e');
        expect(event.ts, text).to.be.above((start as TraceEvent).ts);
        open.delete(`${event.cat} ${event.name} ${event.id}`);
        break;
      }
      case 'C':
        expect(Object.values(event.args ?? {}).every(Number.isFinite), text).to.equal(true);
        break;
      case 'i':
        expect(event.s, text).to.be.oneOf(['t', 'g']);
        break;
    }
    if (event.tid !== undefined) expect(threads.has(`${event.pid}.${event.tid}`), text).to.equal(true);
  }
  expect([...open.values()]).to.deep.equal([]);
  nested(events.filter(({ ph }) => ph === 'X'));
  for (const end of events.filter(({ ph }) => ph === 's' || ph === 'f')) {
    const around = events.some(
      ({ ph, pid, tid, ts, dur = 0 }) =>
        ph === 'X' && pid === end.pid && tid === end.tid && ts <= end.ts && ts + dur >= end.ts,
    );
    expect(around, `an arrow ends in no slice: ${JSON.stringify(end)}`).to.equal(true);
  }
}

/** Slices of a thread lie inside each other or apart. */
function nested(slices: readonly TraceEvent[]): void {
  for (const [, list] of groupByThread(slices)) {
    const ends: number[] = [];
    for (const { ts, dur = 0, name } of [...list].sort((a, b) => a.ts - b.ts || (b.dur ?? 0) - (a.dur ?? 0))) {
      while ((ends.at(-1) ?? Number.POSITIVE_INFINITY) <= ts) ends.pop();
      expect(ts + dur, `${name} at ${ts}`).to.be.at.most(ends.at(-1) ?? Number.POSITIVE_INFINITY);
      ends.push(ts + dur);
    }
  }
}

function groupByThread(slices: readonly TraceEvent[]): Map<string, TraceEvent[]> {
  const groups = new Map<string, TraceEvent[]>();
  for (const slice of slices) {
    const key = `${slice.pid}.${slice.tid}`;
    groups.set(key, [...(groups.get(key) ?? []), slice]);
  }
  return groups;
}

describe('trace events', () => {
  after(() => shutdownPool());

  for (const [example, options] of [
    ['races/r14-check-then-block', {}],
    ['races/r03-unmask-without-barrier', { memoryModel: 'tso' }],
    ['races/r20-rebind-while-pending', {}],
    ['races/r41-torn-runstate', {}],
  ] as const) {
    it(`of ${example} keep the rules of the format`, async () => {
      validate(traceEvents(await traceOf(example, options)));
    });
  }

  it('name threads after vCPUs, join a send to its upcall, and count pending ports', async () => {
    const events = traceEvents(await traceOf('races/r14-check-then-block'));
    const threads = events.filter(({ name }) => name === 'thread_name').map(({ args }) => args?.name);
    expect(threads).to.include.members(['vCPU 0', 'vCPU 1', 'timer']);
    const [from, to] = [events.find(({ ph }) => ph === 's'), events.find(({ ph }) => ph === 'f')];
    expect([from?.tid, to?.tid]).to.deep.equal([1, 0]);
    const counts = events.filter(({ ph }) => ph === 'C').map(({ args }) => args?.pending);
    expect(counts).to.deep.equal([0, 1, 0]);
    const slices = events.filter(({ ph, cat }) => ph === 'X' && cat !== 'step').map(({ name }) => name);
    expect(slices).to.include.members(['EVTCHNOP_send', 'upcall', 'SCHEDOP_block']);
    expect(events.at(-1)?.name).to.match(/^deadlock: /);
  });

  it('of a recorded run keep the rules of the format, with real times', async () => {
    const { trace } = await recordRun(path.join(EXAMPLES, 'ipi-ping-pong.ts'), { args: { rounds: 20 } });
    const events = traceEvents(trace);
    validate(events);
    const steps = events.filter(({ cat }) => cat === 'step');
    expect(steps).to.have.length(trace.steps.length);
    expect(steps.every(({ dur = 0 }) => dur <= 0.0501)).to.equal(true);
    expect(events.filter(({ ph, cat }) => ph === 's' && cat === 'upcall').length).to.be.within(30, 40);
    expect(events.filter(({ ph, cat }) => ph === 'X' && cat === 'upcall')).to.have.length(40);
    const counts = events.filter(({ ph }) => ph === 'C').map(({ args }) => args?.pending as number);
    expect(counts.length).to.be.above(40);
    expect(Math.max(...counts)).to.be.within(1, 2);
    expect(counts.at(-1)).to.equal(0);
    // A record that was cut off at its beginning is no different.
    const { trace: rest } = await recordRun(path.join(EXAMPLES, 'ipi-ping-pong.ts'), { args: { rounds: 20 } }, 60);
    validate(traceEvents(rest));
  });

  it('count pending ports in the event array, too', async () => {
    const options = { events: 'fifo', strategy: 'pct', maxExecutions: 1, args: { rounds: 2 } } as const;
    const { outcomes } = await explore(path.join(EXAMPLES, 'ipi-ping-pong.ts'), options);
    const { trace } = await replay(path.join(EXAMPLES, 'ipi-ping-pong.ts'), outcomes[0]!.token, options);
    const events = traceEvents(trace);
    validate(events);
    const counts = events.filter(({ ph }) => ph === 'C').map(({ args }) => args?.pending as number);
    // Each of the four events is pending for a while.
    expect(counts.filter((count, i) => i > 0 && count > (counts[i - 1] as number))).to.have.length(4);
    expect(counts.at(-1)).to.equal(0);
  });

  it('are one JSON object', async () => {
    const file = JSON.parse(formatTraceEvents(await traceOf('races/r14-check-then-block')));
    expect(file).to.include.all.keys('traceEvents', 'displayTimeUnit', 'otherData');
  });
});
