import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { type Caller, callCore, callRaw } from './callers';
import { conformance } from './command';
import { type Difference, replay } from './replay';
import { parseVectors, readVectors, type Sequence, type Step, VectorFormatError } from './vectors';

const FIXTURES = path.join(__dirname, '../fixtures');
const random = readVectors(path.join(FIXTURES, 'vectors-a.jsonl.gz'));
const named = readVectors(path.join(FIXTURES, 'vectors-n.jsonl.gz'));

function countVerdicts(sequences: readonly Sequence[], caller: Caller) {
  const counts = { passed: 0, failed: 0 };
  const differences: unknown[] = [];
  for (const sequence of sequences) {
    const outcome = replay(sequence, caller);
    counts[outcome.verdict]++;
    if (outcome.verdict === 'failed') differences.push([sequence.name, outcome.difference]);
  }
  return { counts, differences };
}

/** Raw hypercalls have no way to interrupt a reset. */
const withoutInterruption = ({ steps }: Sequence): boolean => !steps.some((step) => step.preempt === 1);

describe('the recorded behaviour of Xen', () => {
  for (const [title, caller] of [
    ['operations', callCore],
    ['raw hypercalls', callRaw],
  ] as const) {
    it(`is reproduced by ${title} in the random sequences`, () => {
      const { counts, differences } = countVerdicts(random, caller);
      expect(differences).to.deep.equal([]);
      expect(counts).to.deep.equal({ passed: 300, failed: 0 });
    });
  }

  for (const sequence of named) {
    it(`is reproduced in ${sequence.name}`, () => {
      expect(replay(sequence, callCore)).to.deep.equal({ verdict: 'passed' });
      if (withoutInterruption(sequence)) expect(replay(sequence, callRaw)).to.deep.equal({ verdict: 'passed' });
    });
  }
});

function sequenceNamed(name: string): Sequence {
  const found = named.find((sequence) => sequence.name === name);
  if (found === undefined) throw new Error(`no sequence ${name}`);
  return found;
}

/** The sequence with one step changed. */
function tampered(name: string, index: number, change: Partial<Step>): Sequence {
  const sequence = sequenceNamed(name);
  const steps = sequence.steps.map((step, i) => (i === index ? ({ ...step, ...change } as Step) : step));
  return { ...sequence, steps };
}

function differenceIn(sequence: Sequence): Difference {
  const outcome = replay(sequence);
  if (outcome.verdict !== 'failed') throw new Error(`${sequence.name} ${outcome.verdict}`);
  return outcome.difference;
}

describe('a replay', () => {
  const cases: readonly [string, string, number, Partial<Step>][] = [
    ['ret', 'bind_interdomain_errors', 0, { ret: -1 }],
    ['out', 'loopback', 0, { out: { port: 9 } }],
    ['kicks', 'domain_death', 1, { kicks: [] }],
    ['chg', 'domain_death', 1, { chg: [[1, 0, 1]] }],
    ['wakes', 'poll', 0, { wakes: [[1, 0]] }],
    ['xen', 'xen_channel', 5, { xen: [] }],
    ['mem', 'register_vcpu_info', 0, { mem: [[1, 1, 0, 1]] }],
    ['mem', 'fifo_basic', 8, { mem: [] }],
    ['out', 'fifo_basic', 11, { out: { ports: [1, 2, 3] } }],
  ];
  for (const [field, name, index, change] of cases) {
    it(`finds a wrong ${field} and names the step`, () => {
      const found = differenceIn(tampered(name, index, change));
      expect(found).to.include({ step: index, field, op: sequenceNamed(name).steps[index]?.op });
      expect(found.expected).to.deep.equal(change[field]);
      expect(found.got).not.to.deep.equal(change[field]);
    });
  }

  it('finds a wrong word in the final state', () => {
    const sequence = sequenceNamed('loopback');
    const [id, state] = Object.entries(sequence.final)[0] as [string, Record<string, unknown>];
    const final = { ...sequence.final, [id]: { ...state, page: [[0, 7]] } };
    expect(differenceIn({ ...sequence, final })).to.include({ step: 'final', field: 'page' });
  });

  it('rejects a sequence that names an operation or a domain it does not know', () => {
    const sequence = sequenceNamed('loopback');
    const withStep = (step: Record<string, unknown>) => ({ ...sequence, steps: [{ ret: 0, ...step } as Step] });
    expect(() => replay(withStep({ op: 'frobnicate', d: 1, v: 0 }))).to.throw(VectorFormatError, 'unknown operation');
    expect(() => replay(withStep({ op: 'g_frobnicate', d: 1 }))).to.throw(VectorFormatError, 'unknown operation');
    expect(() => replay(withStep({ op: 'send', d: 77, v: 0, port: 1 }))).to.throw(VectorFormatError, 'no domain 77');
    expect(() => replay(withStep({ op: 'send', d: 1, v: 0 }))).to.throw(VectorFormatError, 'no parameter port');
  });
});

describe('a file of vectors', () => {
  it('is read plain as well as compressed, blank lines and all', () => {
    const line = JSON.stringify(sequenceNamed('loopback'));
    expect(parseVectors(`${line}\n\n${line}\n`, 'x').map(({ name }) => name)).to.deep.equal(['loopback', 'loopback']);
  });

  it('is rejected with the line that is wrong', () => {
    const line = JSON.stringify(sequenceNamed('loopback'));
    expect(() => parseVectors(`${line}\n{`, 'x')).to.throw(VectorFormatError, /^x:2: not JSON/);
    expect(() => parseVectors('[]', 'x')).to.throw(VectorFormatError, 'x:1: not a JSON object');
    expect(() => parseVectors('{"name":"a"}', 'x')).to.throw(VectorFormatError, 'x:1: no domains');
    expect(() => parseVectors('', 'x')).to.throw(VectorFormatError, 'no sequences');
  });
});

describe('npm run conformance', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'upcall-vectors-'));
  after(() => rmSync(folder, { recursive: true }));

  function run(...files: string[]) {
    const lines: string[] = [];
    const complaints: string[] = [];
    const status = conformance(
      files,
      (line) => lines.push(line),
      (line) => complaints.push(line),
    );
    return { status, lines, complaints };
  }

  function write(name: string, sequences: readonly Sequence[]): string {
    const file = path.join(folder, name);
    const text = sequences.map((sequence) => JSON.stringify(sequence)).join('\n');
    writeFileSync(file, name.endsWith('.gz') ? gzipSync(text) : text);
    return file;
  }

  it('counts sequences in its last line and succeeds', () => {
    const good = write('good.jsonl.gz', named.slice(0, 3));
    const fifo = named.filter(({ name }) => name.startsWith('fifo_'));
    const { lines, status } = run(good, write('fifo.jsonl', fifo));
    expect(lines).to.deep.equal(['14 passed, 0 failed, 0 skipped']);
    expect(status).to.equal(0);
  });

  it('prints where a sequence differs and fails', () => {
    const { lines, status } = run(write('bad.jsonl', [tampered('loopback', 0, { ret: -22, out: undefined })]));
    expect(lines).to.deep.equal([
      'loopback: step 0 (alloc_unbound): ret: expected -22, got 0',
      '0 passed, 1 failed, 0 skipped',
    ]);
    expect(status).to.equal(1);
  });

  it('says in one line what is wrong with a file it cannot use', () => {
    for (const file of [path.join(folder, 'missing'), write('unknown.jsonl', [tampered('loopback', 0, { op: 'x' })])]) {
      const { complaints, status } = run(file);
      expect(status).to.equal(2);
      expect(complaints).to.have.length(1);
      expect(complaints[0]).to.include(path.basename(file));
      expect(complaints[0]).not.to.include('\n');
    }
    expect(run()).to.include({ status: 2 });
  });

  it('is a command with that exit code', () => {
    const script = path.join(__dirname, 'run.ts');
    const options = { cwd: path.join(__dirname, '../..'), encoding: 'utf8' } as const;
    const file = write('one.jsonl', named.slice(0, 1));
    const command = ['-r', 'ts-node/register/transpile-only', script, file];
    const { status, stdout } = spawnSync(process.execPath, command, options);
    expect(stdout).to.equal('1 passed, 0 failed, 0 skipped\n');
    expect(status).to.equal(0);
  });
});
