import path from 'node:path';
import { expect } from 'chai';
import type { Trace, TraceStep } from '../../lib/explore/trace';
import { chart, type Paint } from '../../lib/report/chart';
import { explore } from '../../lib/report/explore-result';
import { summarise } from '../../lib/report/summary';

const RACES = path.join(__dirname, '../../examples/races');

async function traceOf(race: string, options = {}): Promise<Trace> {
  const { failure } = await explore(path.join(RACES, `${race}.ts`), options);
  if (failure === null) throw new Error(`${race} held`);
  return failure.trace;
}

function step(actor: number, op: string, rest: Partial<TraceStep> = {}): TraceStep {
  return { actor, op, operand: 0, result: 0, marks: [], ...rest };
}

function trace(steps: readonly TraceStep[], rest: Partial<Trace> = {}): Trace {
  const actors = ['vCPU 0', 'vCPU 1', 'timer'];
  const head = { version: 1, scenario: 's', memoryModel: 'sc', actors, lastMarks: {}, waits: [], failure: null };
  return { ...head, steps, ...rest };
}

const PENDING = 'shared_info.evtchn_pending[0]';
const twoWords = trace([
  step(0, 'write32', { name: 'mailbox', operand: 2, before: 0, after: 2, location: 'a.ts:5' }),
  step(1, 'read32', { name: 'mailbox', result: 2, location: 'a.ts:12', preempted: 0 }),
]);

describe('chart', () => {
  it('has a column per actor that does something, and a row per step with its place in the file', () => {
    expect(chart(twoWords).split('\n')).to.deep.equal([
      'locations are in a.ts',
      '',
      '        vCPU 0                vCPU 1',
      '1  :5   write32 mailbox 0→2 │',
      '        ╌╌ preempted ╌╌     │',
      '2  :12                      │ read32 mailbox = 2',
    ]);
  });

  it('lets texts run on into the columns to the right when it is narrow, then leaves locations out', () => {
    const names = { name: 'shared_info.vcpu_info[0].evtchn_pending_sel' };
    const wide = trace([
      step(0, 'read32', { ...names, location: 'a.ts:5' }),
      step(1, 'read32', { ...names, location: 'a.ts:6' }),
    ]);
    for (const width of [140, 100, 80, 60]) {
      for (const line of chart(wide, { width }).split('\n')) expect(line.length, line).to.be.at.most(width);
    }
    expect(chart(wide, { width: 100 })).to.match(
      /^1 {2}:5 {2}read32 shared_info\.vcpu_info\[0\]\.evtchn_pending_sel = 0$/m,
    );
    expect(chart(wide, { width: 60 })).to.match(/^1 {2}read32 vcpu_info\[0\]\.evtchn_pending_sel = 0$/m);
  });

  it('keeps to the width of any screen, whatever the actors and the file are called', async () => {
    const actors = ['a very long name for a domain/vCPU 0', 'store buffer of another long name', 'timer'];
    const location = 'a-scenario-with-a-name-that-is-rather-long.ts:1';
    const long = trace(
      [0, 1, 2].map((actor) => step(actor, 'write32', { name: 'mailbox'.repeat(4), location })),
      { actors },
    );
    for (const each of [long, await traceOf('r27-reset-against-lock-free-user')]) {
      for (let width = 20; width <= 160; width += 5) {
        for (const line of chart(each, { width }).split('\n'))
          expect(line.length, `${width}: ${line}`).to.be.at.most(width);
      }
    }
  });

  it('shows control characters of a guest as signs, so that none reaches a terminal', () => {
    const marks = [{ kind: 'log' as const, text: 'a\u001b[2J\u009b1mb\u202ec\r\nd\u007f' }];
    const text = chart(trace([step(0, 'write32', { name: 'x\u001b[31m', operand: 1, marks })]));
    expect(text).to.include('» a␛[2J\ufffd1mb\ufffdc␍').and.include('» d␡').and.include('write32 x␛[31m');
    expect(text.replaceAll('\n', '')).not.to.match(/[\p{Cc}\p{Bidi_Control}]/u);
  });

  it('is a list with names when there are more than two actors and fewer than 100 columns', () => {
    const three = trace([step(0, 'relax'), step(1, 'relax'), step(2, 'relax')]);
    expect(chart(three, { width: 100 })).to.match(/^ {3}vCPU 0 +vCPU 1 +timer$/m);
    expect(chart(three, { width: 99 }).split('\n')).to.deep.equal([
      '1  vCPU 0  relax',
      '2  vCPU 1  relax',
      '3  timer   relax',
    ]);
  });

  it('shows the bit of a bit operation, and that it was set already', () => {
    const text = chart(
      trace([
        step(0, 'or8', { name: `${PENDING} port 5`, operand: 32, before: 2, after: 34, result: 2 }),
        step(0, 'or8', { name: `${PENDING} port 5`, operand: 32, result: 34 }),
        step(0, 'and32', {
          name: `${PENDING} port 31`,
          operand: 0x7fffffff,
          before: -1,
          after: 0x7fffffff,
          result: -1,
        }),
      ]),
    );
    expect(text).to.include(`or8 ${PENDING} port 5 0→1`);
    expect(text).to.include(`or8 ${PENDING} port 5: 1 already`);
    expect(text).to.include(`and32 ${PENDING} port 31 1→0`);
  });

  it('folds what tells nothing and keeps the numbers of the rest; verbose shows every step', async () => {
    const found = await traceOf('r04-pending-cleared-after-handler');
    const text = chart(found);
    expect(text).not.to.match(/window|\]\.vcpu_info|runstate/);
    expect(text).to.match(/^\d+ +:\d+ +and32 shared_info\.evtchn_pending\[0\] port 1 1→0/m);
    const numbered = [...text.matchAll(/^ ?(\d+) +:\d+/gm)].map(([, number]) => Number(number));
    for (const number of numbered) expect(found.steps[number - 1]?.location).to.not.equal(undefined);
    expect(numbered.length).to.be.within(10, found.steps.length / 2);
    const numbers = chart(found, { verbose: true }).match(/^ *\d+(?= )/gm);
    expect(numbers?.map(Number)).to.deep.equal(found.steps.map((_, index) => index + 1));
  });

  it('brackets hypercalls and upcalls, indents what is inside, and marks sleeping and waking', async () => {
    const text = chart(await traceOf('r04-pending-cleared-after-handler'));
    expect(text).to.match(/│ ┌ EVTCHNOP_send\n.*│ {3}read_lock channel\[1\]\.lock\n/);
    expect(text).to.match(/╔ upcall[\s\S]*╌╌ preempted ╌╌[\s\S]*╚ upcall/);
    expect(text).to.match(/zz asleep in SCHEDOP_block *│$/);
    const woken = trace([step(1, 'and32', { turns: [{ actor: 0, kind: 'wake', text: 'woken by vCPU 1' }] })]);
    expect(chart(woken)).to.include('!! woken by vCPU 1');
  });

  it('folds rounds that repeat', () => {
    const steps = Array.from({ length: 40 }, (_, index) =>
      step(0, index % 2 === 0 ? 'read32' : 'relax', { name: 'a' }),
    );
    const text = chart(trace(steps));
    expect(text).to.include('… the last 2 rows again, 19 times …');
    expect(text.split('\n')).to.have.length(4);
  });

  it('has colours only if it is given any, and they change nothing else', () => {
    const paint: Paint = (_style, text) => `\u001b[1m${text}\u001b[22m`;
    const coloured = chart(twoWords, { paint });
    expect(chart(twoWords)).not.to.include('\u001b');
    expect(coloured).to.include('\u001b');
    const plain = coloured.replaceAll('\u001b[1m', '').replaceAll('\u001b[22m', '');
    expect(plain.split('\n').map((line) => line.trimEnd())).to.deep.equal(chart(twoWords).split('\n'));
  });
});

describe('the summary of a failure', () => {
  async function summary(race: string, options = {}): Promise<string[]> {
    const { failure } = await explore(path.join(RACES, `${race}.ts`), options);
    const found = failure?.trace;
    if (found === undefined || found.failure === null) throw new Error(`${race} held`);
    return summarise(found, found.failure, failure?.preemptions ?? -1);
  }

  it('of a lost wake-up says who sleeps and which event nobody will look at', async () => {
    const [what, where] = await summary('r01-unmask-without-second-look');
    expect(what).to.equal(
      'deadlock: nothing is left that could wake anyone: vCPU 0 is asleep in SCHEDOP_block, ' +
        'port 1 (bound to vCPU 0) is pending and unmasked, its selector bit is clear: nobody will look at it',
    );
    expect(where).to.match(/^vCPU 0 at r01-unmask-without-second-look\.ts:\d+; 0 preemptions, \d+ steps$/);
  });

  it('of an event that was wiped out says where it was sent and where cleared', async () => {
    const [what] = await summary('r04-pending-cleared-after-handler');
    const [, sent, cleared] =
      /SCHEDOP_block, port 1 was sent in step (\d+) while still pending, and cleared in step (\d+)$/.exec(what ?? '') ??
      [];
    const { steps } = await traceOf('r04-pending-cleared-after-handler');
    expect(steps[Number(sent) - 1]).to.include({ actor: 1, op: 'or8' });
    expect(steps[Number(cleared) - 1]).to.include({ actor: 0, op: 'and32' });
  });

  it('of an assertion says who failed it, why and where', async () => {
    const [what, where] = await summary('r22-two-vcpus-in-one-handler');
    expect(what).to.equal('assertion in vCPU 1: the handler is entered while it runs on another vCPU');
    expect(where).to.match(/^vCPU 1 at r22-two-vcpus-in-one-handler\.ts:\d+; 1 preemption, \d+ steps$/);
  });

  it('tells apart what keeps an event from its sleeper', () => {
    const asleep = { domain: '', vcpu: 0, ports: [3], pending: [], upcallPending: false, upcallMasked: false };
    const told = (pending: { masked: boolean; selected: boolean }, upcallPending = false): string => {
      const wait = { ...asleep, pending: [{ port: 3, ...pending }], upcallPending };
      const waits = [{ actor: 0, text: 'asleep in SCHEDOP_block', asleep: wait }];
      return summarise(trace([], { waits }), { kind: 'deadlock', message: '' }, 0)[0];
    };
    expect(told({ masked: true, selected: false })).to.include('is pending but masked');
    expect(told({ masked: false, selected: false })).to.include('its selector bit is clear: nobody will look at it');
    expect(told({ masked: false, selected: true })).to.include(
      'evtchn_upcall_pending is clear: nobody will look at it',
    );
    expect(told({ masked: false, selected: true }, true)).to.include('but the sleeper was not woken');
  });

  it('is two lines, whatever the message', () => {
    const failure = { kind: 'crash', message: 'one\ntwo', actor: 1, location: 'a.ts:3' } as const;
    expect(summarise(twoWords, failure, 1)).to.deep.equal([
      'crash in vCPU 1: one two',
      'vCPU 1 at a.ts:3; 1 preemption, 2 steps',
    ]);
  });
});
