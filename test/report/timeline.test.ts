import path from 'node:path';
import { expect } from 'chai';
import { findPassing } from '../../lib/explore/neighbour';
import type { Trace } from '../../lib/explore/trace';
import { explore } from '../../lib/report/explore-result';
import { htmlPage, jsonForScript } from '../../lib/report/html';
import { Navigator } from '../../lib/report/page/navigator';
import { firstDifference, NO_FILTER, TimelineModel } from '../../lib/report/page/timeline-model';
import { pageExecution } from '../../lib/report/page-execution';
import { linksOf } from '../../lib/report/timeline/links';
import { concernsPort, placeOf, portsOf } from '../../lib/report/timeline/ports';
import { WordHistory } from '../../lib/report/timeline/word-history';

const RACES = path.join(__dirname, '../../examples/races');
const CHECK_THEN_BLOCK = path.join(RACES, 'r14-check-then-block.ts');
const NO_BARRIER = path.join(RACES, 'r03-unmask-without-barrier.ts');

async function failing(file: string, options = {}) {
  const { failure } = await explore(file, options);
  if (failure === null) throw new Error(`${file} held`);
  return failure;
}

/** Words that steps touch, as they are after the step, by what the trace itself says. */
function checkAgainstResults(trace: Trace): number {
  const history = new WordHistory(trace);
  let checked = 0;
  trace.steps.forEach(({ op, address, operand, result }, index) => {
    if (address === undefined || !/^(read|load)(8|32)$/.test(op)) return;
    // Under tso a load may be answered from the own store buffer.
    if (trace.memoryModel === 'tso') return;
    const value = op.endsWith('8') ? history.byteAt(address, index) : history.wordAt(address, index);
    expect(value, `step ${index + 1}: ${op} ${operand}`).to.equal(result);
    checked++;
  });
  return checked;
}

describe('a trace', () => {
  it('holds memory before its first step, and with its changes memory at any step', async () => {
    const { trace } = await failing(CHECK_THEN_BLOCK);
    expect(checkAgainstResults(trace)).to.be.above(15);
    const history = new WordHistory(trace);
    const [domain] = trace.memory?.domains ?? [];
    const runnable = domain?.words.find(({ name }) => name === 'runnable')?.address as number;
    const write = trace.steps.findIndex(({ name, op }) => name === 'runnable' && op === 'write32');
    expect([-1, write - 1, write, 1000].map((step) => history.wordAt(runnable, step))).to.deep.equal([0, 0, 1, 1]);
    // vCPU 0 begins with upcalls masked.
    const info = (domain?.base as number) + history.wordAt(domain?.infoPointers[0] as number, -1);
    expect(history.byteAt(info + 1, -1)).to.equal(1);
    expect(domain).to.include({ ports: 4096, portsPerSelectorBit: 64, hasUpcallMask: true, selectorOffset: 8 });
  });

  it('knows by which kinds its actors go', async () => {
    const { trace } = await failing(NO_BARRIER, { memoryModel: 'tso' });
    expect(trace.actorKinds).to.deep.equal(['vcpu', 'vcpu', 'timer', 'buffer', 'buffer', 'buffer', 'time']);
  });

  it('leads from a send to its upcall, from a waker to the sleeper, and from a store to its flush', async () => {
    const { trace } = await failing(CHECK_THEN_BLOCK);
    const upcalls = linksOf(trace).filter(({ kind }) => kind === 'upcall');
    expect(upcalls).to.have.length(1);
    const [{ from, to, fromActor, toActor } = upcalls[0] as never] = upcalls;
    expect([fromActor, toActor]).to.deep.equal([1, 0]);
    expect(trace.steps[from]?.name).to.match(/vcpu_info\[0\]\.evtchn_upcall_pending/);
    expect(trace.steps[to]?.marks.map(({ kind }) => kind)).to.include('upcall');
    const { trace: tso } = await failing(NO_BARRIER, { memoryModel: 'tso' });
    const flushes = linksOf(tso).filter(({ kind }) => kind === 'flush');
    expect(flushes.length).to.be.above(1);
    for (const flush of flushes) {
      const [store, flushed] = [tso.steps[flush.from], tso.steps[flush.to]];
      expect(store?.op).to.match(/^write/);
      expect(flushed?.op).to.match(/^flush/);
      expect(flushed?.address).to.equal(store?.address);
      expect(flushed?.after ?? store?.operand).to.equal(store?.operand);
    }
    expect(linksOf(tso).some(({ kind }) => kind === 'wake')).to.equal(true);
  });

  it('names both steps of a data race', async () => {
    const lostUpdate = path.join(__dirname, '../cli/scenarios/lost-update.ts');
    const { trace } = await failing(lostUpdate, { dataRaces: true });
    const [first, second] = trace.failure?.race ?? [];
    expect([first, second].map((index) => trace.steps[index as number]?.name)).to.deep.equal(['total', 'total']);
    expect(linksOf(trace)).to.deep.include({ kind: 'race', from: first, to: second, fromActor: 0, toActor: 1 });
  });
});

describe('the nearest passing schedule', () => {
  it('holds, and is the same up to the step that decides', async () => {
    const { token, trace } = await failing(CHECK_THEN_BLOCK);
    const passing = await findPassing(CHECK_THEN_BLOCK, token);
    expect(passing?.trace.failure).to.equal(null);
    const difference = firstDifference(trace, passing?.trace as Trace);
    // After the sender has set evtchn_upcall_pending, before the sleeper has gone to sleep.
    expect(trace.steps[difference - 1]?.name).to.include('evtchn_upcall_pending');
    // No schedule that parts later passes: here the guest looks before and sleeps after, whatever comes between.
    expect(difference).to.be.within(1, trace.steps.length - 1);
  });

  it('is not claimed where every schedule fails', async () => {
    const always = path.join(__dirname, 'scenarios/always-fails.ts');
    const { token } = await failing(always);
    expect(await findPassing(always, token)).to.equal(undefined);
  });
});

describe('a timeline', () => {
  it('moves by rows, switches, preemptions and words, and stays where there is nowhere to go', async () => {
    const failure = await failing(CHECK_THEN_BLOCK);
    const model = new TimelineModel(pageExecution('f', failure, 'c'));
    const view = model.view(NO_FILTER);
    const at = (step: number) => new Navigator(model, view, step);
    expect(at(0).first()).to.equal(3);
    expect(at(3).by(1)).to.equal(5);
    expect(at(4).by(-1)).to.equal(3);
    expect(at(3).by(-1)).to.equal(3);
    expect(at(3).contextSwitch(-1)).to.equal(3);
    const preempting = at(3).preemption(1);
    expect(model.step(preempting)?.actor).to.equal(1);
    expect(at(3).contextSwitch(1)).to.equal(preempting);
    expect(at(at(0).last()).by(1)).to.equal(at(0).last());
    const [upcall] = model.links.filter(({ kind }) => kind === 'upcall');
    expect(at(upcall?.from as number).follow()).to.equal(upcall?.to);
    expect(at(upcall?.to as number).follow()).to.equal(upcall?.from);
  });

  it('tells for each row who runs, sleeps, and is inside of what', async () => {
    const failure = await failing(CHECK_THEN_BLOCK);
    const model = new TimelineModel(pageExecution('f', failure, 'c'));
    const { rows, lanes, columns } = model.view(NO_FILTER);
    const looks = rows.map((_, row) =>
      columns.map((_actor, column) => {
        const lane = lanes[row * columns.length + column] as number;
        return `${lane & 1 ? 'R' : ''}${lane & 2 ? 'S' : ''}${model.stacks[lane >>> 3]?.map(([first]) => first).join('')}`;
      }),
    );
    expect(looks[0]).to.deep.equal(['R', '']);
    expect(looks.at(-1)).to.deep.equal(['RSh', '']);
    expect(looks.map(([, second]) => second)).to.include('Rh');
    expect(looks.map(([first]) => first)).to.include('Ru');
  });
});

describe('ports of a step', () => {
  it('are read from the name of what it touches', () => {
    const port = (name: string) => portsOf({ name });
    expect(port('shared_info.evtchn_pending[0] port 1, port 5')).to.deep.equal({ prefix: '', ports: [1, 5] });
    expect(port('front.channel[7].lock')).to.deep.equal({ prefix: 'front.', ports: [7] });
    expect(port('shared_info.evtchn_mask[1].hi ports 96..127').range).to.deep.equal([96, 127]);
    expect(port('shared_info.vcpu_info[0].evtchn_pending_sel ports 0..63').ports).to.deep.equal([]);
    expect(concernsPort({ name: 'shared_info.evtchn_mask[0] ports 0..31' }, '31')).to.equal(true);
    expect(concernsPort({ name: 'front.channel[7].lock' }, '7')).to.equal(false);
    expect(concernsPort({ name: 'front.channel[7].lock' }, 'front.7')).to.equal(true);
    expect(placeOf('shared_info.evtchn_pending[0] port 1, port 5')).to.equal('shared_info.evtchn_pending[0]');
    expect(port('front.event_array[2000].PENDING')).to.deep.equal({ prefix: 'front.', ports: [2000] });
    expect(placeOf('event_array[5].LINKED,LINK')).to.equal('event_array[5]');
    expect(placeOf('control_block[0].ready queue 7')).to.equal('control_block[0].ready');
    expect(placeOf('vcpu[0].pause_flags BLOCKED')).to.equal('vcpu[0].pause_flags');
  });
});

describe('the page', () => {
  it('is one file whose data cannot end the element it is in, whatever a guest wrote', () => {
    const text = '</script><!--<script>\u2028\u2029';
    const json = jsonForScript({ text, big: 1n });
    expect(json).not.to.match(/[<\u2028\u2029]/);
    expect(JSON.parse(json)).to.deep.equal({ text, big: '1' });
    const page = htmlPage({ title: '<title>&', version: '0', executions: [] });
    expect(page).to.include('<title>&lt;title&gt;&amp; · Upcall</title>');
    expect(page.match(/<\/script>/g)).to.have.length(2);
    expect(page.match(/<\/style>/g)).to.have.length(1);
    expect(page).to.match(/Content-Security-Policy" content="default-src 'none'; script-src 'sha256-/);
  });
});
