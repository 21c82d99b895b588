import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import type { RunResult } from '../../lib/index';
import { CLI, upcall } from '../cli/run-cli';
import { scenarioFile } from '../threads/support/threads';

const ROOT = path.join(__dirname, '../..');

describe('upcall run', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'upcall-e2e-'));
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  function file(name: string, text: string): string {
    const full = path.join(folder, name);
    writeFileSync(full, text);
    return full;
  }

  it('prints what the guests write, then what each vCPU did', async () => {
    const { status, stdout, stderr } = await upcall('run', scenarioFile('printer'), '--args', '{"lines":2}');
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    for (let vcpu = 0; vcpu < 3; vcpu++) {
      expect(stdout).to.contain(`printer/${vcpu} | vCPU ${vcpu} line 1 über\n`);
      expect(stdout).to.contain(`printer/${vcpu} · line 1\n`);
      expect(stdout).to.match(
        new RegExp(`^printer/${vcpu} +- +\\d+ +\\d+ +\\d+ +[\\d.]+ [µm]?s +[\\d.]+ [µm]?s$`, 'm'),
      );
    }
    expect(stdout).to.match(/^vCPU +result +upcalls +events +hypercalls +running +blocked$/m);
    expect(stdout).to.match(/^printer: completed$/m);
    expect(stdout).to.not.contain('\x1b');
  });

  it('--json prints one object of the documented shape', async () => {
    const { status, stdout } = await upcall('run', scenarioFile('ring'), '--json', '--vcpus', '2', '--abi', 'x86_32');
    expect(status).to.equal(0);
    const result = JSON.parse(stdout) as RunResult;
    expect(result).to.include({ scenario: 'ring', engine: 'threads', failure: null });
    expect(result.domains[0]).to.include({ id: 1, name: 'ring' });
    expect(result.domains[0]?.exit).to.deep.equal({ reason: 'completed' });
    const [vcpu] = result.domains[0]?.vcpus ?? [];
    expect(vcpu).to.have.all.keys('id', 'result', 'upcalls', 'hypercalls', 'events', 'blockedNs', 'runningNs');
    expect(vcpu).to.include({ id: 0, result: 25, events: 25 });
  });

  it('exits with 1 when the run failed, and shows the line of the guest', async () => {
    const { status, stdout, stderr } = await upcall('run', scenarioFile('faults'), '--args', '{"fault":"asserts"}');
    expect({ status, stderr }).to.deep.equal({ status: 1, stderr: '' });
    expect(stdout).to.match(/^FAILED \(assertion\): vCPU 1: arithmetic holds$/m);
    const frames = stdout.split('\n').filter((line) => /^\s+at /.test(line));
    expect(frames[0]).to.match(/faults\.ts:14:/);
    expect(frames.filter((frame) => !frame.includes('faults.ts'))).to.deep.equal([]);
    expect(stdout).to.match(/^victim: assertion: /m);
    expect(stdout).to.match(/^bystander: completed$/m);
  });

  it('finds a shipped example by its name', async () => {
    const { status, stdout } = await upcall('run', 'ipi-ping-pong', '--json');
    expect(status).to.equal(0);
    expect(JSON.parse(stdout)).to.include({ scenario: 'ipi-ping-pong', failure: null });
  });

  it('repeats a run by its seed', async () => {
    const runs = [];
    for (let i = 0; i < 2; i++) {
      const { stdout } = await upcall('run', scenarioFile('facts'), '--json', '--seed', '42');
      const { seed, domains } = JSON.parse(stdout) as RunResult;
      runs.push([seed, domains[0]?.vcpus.map(({ result }) => (result as { random: unknown }).random)]);
    }
    expect(runs[0]).to.deep.equal(runs[1]);
    expect(runs[0]?.[0]).to.equal(42);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`stops the guests on ${signal}, prints what is known and exits with 130`, async () => {
      const child = spawn(process.execPath, [CLI, 'run', scenarioFile('sleepers-that-talk'), '--wait'], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let stdout = '';
      let sent = false;
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
        if (!sent && stdout.includes('· line')) sent = child.kill(signal);
      });
      const status = await new Promise((resolve) => child.once('close', resolve));
      expect(status).to.equal(130);
      expect(stdout).to.match(/^sleepers-that-talk: interrupted$/m);
      expect(stdout).not.to.match(/FAILED|aborted/);
      expect(stdout).to.match(/^sleepers-that-talk\/0 +- /m);
    });
  }

  it('reports a deadlock instead of waiting for ever', async () => {
    const { status, stdout } = await upcall('run', scenarioFile('sleepers'));
    expect(status).to.equal(1);
    expect(stdout).to.match(/FAILED \(deadlock\): vCPU 0 blocked in SCHEDOP_block; vCPU 1 blocked in SCHEDOP_poll/);
  });

  it('leaves quietly when nobody reads its output', async () => {
    const child = spawn(process.execPath, [CLI, 'run', scenarioFile('printer')], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    await new Promise((resolve) => child.once('close', resolve));
    expect(stderr).to.equal('');
  });

  describe('answers bad input with one line and status 2:', () => {
    const ring = scenarioFile('ring');
    const cases: readonly [string, () => readonly string[], RegExp][] = [
      ['no scenario', () => [], /missing required argument 'scenario'/],
      ['an unknown path', () => ['nowhere.ts'], /no such scenario file: nowhere\.ts/],
      ['a folder', () => [folder], /not a file/],
      ['a file of another kind', () => [path.join(ROOT, 'package.json')], /not a scenario file/],
      [
        'an import that throws',
        () => [file('throws.ts', 'throw new Error("at import");')],
        /throws when imported: Error: at import/,
      ],
      ['a syntax error', () => [file('syntax.ts', 'let x = ;')], /syntax\.ts:1:9: Unexpected ";"/],
      ['no scenario in the file', () => [file('empty.ts', '')], /no default export/],
      [
        'a scenario without guest',
        () => [
          file('bare.ts', `import { defineScenario } from 'upcall';\nexport default defineScenario({ name: 'x' });`),
        ],
        /bare\.ts:2:\d+: scenario 'x': no guest/,
      ],
      ['vcpus 0', () => [ring, '--vcpus', '0'], /--vcpus.*from 1 to 128/],
      ['vcpus 5000', () => [ring, '--vcpus', '5000'], /--vcpus.*from 1 to 128/],
      ['vcpus x', () => [ring, '--vcpus', 'x'], /--vcpus.*from 1 to 128/],
      [
        'vCPUs that a list of guests does not have',
        () => [scenarioFile('sleepers'), '--vcpus', '2'],
        /3 guests, one per vCPU/,
      ],
      ['an unknown ABI', () => [ring, '--abi', 'mips'], /--abi.*x86_64, x86_32, arm64, arm32/],
      ['args that are not JSON', () => [ring, '--args', '{rounds: 1}'], /--args.*JSON/],
      ['an unknown engine', () => [ring, '--engine', 'steam'], /--engine/],
      ['an unknown option', () => [ring, '--fast'], /unknown option '--fast'/],
      [
        'a set-up that throws',
        () => [scenarioFile('facts'), '--args', '{"fail":"setup"}'],
        /setup throws: Error: set-up failed/,
      ],
    ];
    for (const [what, args, message] of cases) {
      it(what, async () => {
        const { status, stdout, stderr } = await upcall('run', ...args());
        expect({ status, stdout }).to.deep.equal({ status: 2, stdout: '' });
        expect(stderr).to.match(/^upcall: [^\n]+\n$/);
        expect(stderr).to.match(message);
      });
    }
  });
});
