import path from 'node:path';
import { expect } from 'chai';
import { explore, stress } from '../../lib';
import { type RunOptions, run, shutdownPool } from '../../lib/engine/threads';
import { runOnce } from '../../lib/explore/run-once';
import { line } from './scenarios/consoles';

const SCENARIO = path.join(__dirname, 'scenarios/consoles.ts');
const SHELL = path.join(__dirname, '../../examples/console-shell.ts');

/** Runs freely; the output of each console, and the lines of the log. */
async function consolesOf(file: string, options: RunOptions) {
  const output: Record<string, string> = {};
  const log: string[] = [];
  const lines: string[] = [];
  const result = await run(file, {
    ...options,
    onConsoleOutput: ({ domain, bytes }) => {
      output[domain] = (output[domain] ?? '') + Buffer.from(bytes).toString('latin1');
    },
    onConsole: ({ domain, vcpu, text }) => lines.push(`${domain}/${vcpu ?? ''}: ${text}`),
    onLog: ({ text }) => log.push(text),
  });
  return { result, output, log, lines };
}

describe('xenconsoled', () => {
  after(() => shutdownPool());

  it('passes output and input on, each domain its own', async () => {
    const { result, output, lines } = await consolesOf(SCENARIO, { consoleInput: { front: 'héllo\n' } });
    expect(result.failure).to.equal(null);
    expect(output.other).to.equal('hello\n');
    expect(
      Buffer.from(output.front ?? '', 'latin1')
        .toString()
        .startsWith('HÉLLO\n'),
    ).to.equal(true);
    expect(lines).to.include('other/: hello');
    expect(lines).to.include('front/: HÉLLO');
  });

  it('types what the scenario says where nobody is attached', async () => {
    const { output } = await consolesOf(SCENARIO, {});
    expect(output.front?.startsWith('TYPED BY NOBODY\n')).to.equal(true);
    const silent = await consolesOf(SCENARIO, { input: '' });
    expect(silent.output.front?.startsWith('TYPED BY NOBODY\n')).to.equal(true);
    const shared = await consolesOf(SCENARIO, { input: 'from stdin\n' });
    expect(shared.output.front?.startsWith('FROM STDIN\n')).to.equal(true);
  });

  it('loses and repeats no byte of far more than the rings hold, either way', async () => {
    const lines = 200;
    const typed = `${'0123456789'.repeat(1000)}\n`;
    const { result, output } = await consolesOf(SCENARIO, { args: { lines }, consoleInput: { front: typed } });
    expect(result.failure).to.equal(null);
    const [echo = '', ...rest] = (output.front ?? '').split(/(?<=\n)/);
    expect(echo).to.equal(typed);
    for (const vcpu of [0, 1]) {
      const own = rest.filter((each) => each.startsWith(`vCPU ${vcpu} `));
      expect(own).to.deep.equal(Array.from({ length: lines }, (_, n) => line(vcpu, n)));
    }
    expect(rest).to.have.length(2 * lines);
  });

  for (const manner of ['wild', 'backwards', 'storm']) {
    it(`holds nobody else up, and cuts off a ring that is corrupt: ${manner}`, async () => {
      const args = { lines: 50, other: manner, storm: 2000 };
      const { result, output, log } = await consolesOf(SCENARIO, { args, seed: 1 });
      expect(result.failure).to.equal(null);
      expect((output.front ?? '').split('\n')).to.have.length(1 + 100 + 1);
      const cutOff = log.filter((text) => text.includes('corrupt'));
      expect(cutOff).to.deep.equal(
        manner === 'storm' ? [] : ['xenconsoled: the console ring of other is corrupt: cut off'],
      );
    });
  }

  for (const abi of ['x86_32', 'arm64', 'arm32'] as const) {
    it(`is found by a domain of ${abi}`, async () => {
      const { result, output } = await consolesOf(SCENARIO, { abi });
      expect(result.failure).to.equal(null);
      expect(output.other).to.equal('hello\n');
    });
  }

  it('is the same under the deterministic engines, its output marks in the log', async () => {
    const runs: string[] = [];
    for (const engine of ['inline', 'lockstep'] as const) {
      const log: string[] = [];
      const result = await runOnce(SHELL, { engine, seed: 1, onLog: ({ text }) => log.push(text) });
      expect(result.failure).to.equal(null);
      runs.push(log.join('\n'));
    }
    expect(runs[0]).to.contain('console of console-shell: vCPU 1 is up\\n');
    expect(runs[0]).to.contain('vCPU 1 answered after');
    expect(runs[0]).to.contain('frobnicate: no such command');
    expect(runs[0]).to.contain('Power down.');
    expect(runs[1]).to.equal(runs[0]);
  });

  it('holds under random schedules and in free runs over and over', async () => {
    const args = { lines: 1, other: 'wild', storm: 2 };
    const report = await explore(SCENARIO, { args, strategy: 'pct', seed: 2, maxExecutions: 20, maxSteps: 50_000 });
    report.assertHeld();
    const stressed = await stress(SCENARIO, { iterations: 50, seed: 3 });
    expect(stressed.failures).to.deep.equal([]);
  });
});
