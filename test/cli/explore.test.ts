import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { CLI, type CliResult, upcall } from './run-cli';

const SCENARIOS = path.join(__dirname, 'scenarios');
const LOST_UPDATE = path.join(SCENARIOS, 'lost-update.ts');
const TURNS = path.join(SCENARIOS, 'turns.ts');
const BAD_GUEST = path.join(SCENARIOS, 'bad-guest.ts');

/** Wrong usage: status 2, nothing on stdout, and one line on stderr. */
async function expectUsageError(args: readonly string[], line: RegExp): Promise<void> {
  const { status, stdout, stderr } = await upcall(...args);
  expect({ status, stdout }, stderr).to.deep.equal({ status: 2, stdout: '' });
  expect(stderr).to.match(/^upcall: [^\n]+\n$/);
  expect(stderr).to.match(line);
}

function lastLine({ stdout }: CliResult): string {
  return stdout.trimEnd().split('\n').at(-1) ?? '';
}

describe('upcall explore', () => {
  it('prints two lines of summary, the chart, and last the command that replays the failure', async () => {
    const result = await upcall('explore', LOST_UPDATE, '--vcpus', '2', '--memory-model', 'sc');
    expect(result).to.include({ status: 1, stderr: '' });
    expect(result.stdout).to.match(
      /\nassertion: total is 1\nat lost-update\.ts:\d+; 1 preemption, \d+ steps; found in /,
    );
    expect(result.stdout).to.include('╌╌ preempted ╌╌').and.not.include('\u001b');
    const command = lastLine(result);
    expect(command).to.match(/^upcall replay \S*lost-update\.ts --vcpus 2 --memory-model sc u1-\S+$/);
    const again = await upcall(...command.split(' ').slice(1));
    expect(again).to.include({ status: 1, stderr: '' });
    expect(again.stdout).to.match(/^assertion: total is 1\n/);
  });

  it('proves the cure, and lists the outcomes with a token each', async () => {
    const { status, stdout } = await upcall('explore', LOST_UPDATE, '--args', '{"atomic":true}', '--list');
    expect(status).to.equal(0);
    expect(stdout).to.match(/^executions {2}results {2}replays with\n +1 {2}0, 1 +u1-\S+\n +1 {2}1, 0 +u1-\S+\n/);
    expect(stdout).to.include('lost-update holds in every interleaving (dpor, sc, seed 1)\n2 executions, 0 cut off, ');
  });

  it('--json prints one line with everything the design promises', async () => {
    const { stdout } = await upcall('explore', LOST_UPDATE, '--json');
    expect(stdout).to.match(/^[^\n]+\n$/);
    const result = JSON.parse(stdout);
    const promised =
      'scenario strategy memoryModel seed executions complete blocked steps elapsedMs executionsPerSecond';
    expect(result).to.include.all.keys(...promised.split(' '), 'outcomes', 'failure');
    const { failure } = result;
    expect(failure).to.include.all.keys('kind message execution preemptions schedule token trace'.split(' '));
    expect(failure).to.include({ kind: 'assertion', message: 'total is 1', preemptions: 1 });
    expect(failure.trace).to.be.an('array').with.length(failure.schedule.length);
    const held = JSON.parse((await upcall('explore', LOST_UPDATE, '--args', '{"atomic":true}', '--json')).stdout);
    expect(held).to.include({ executions: 2, complete: true, failure: null });
    expect(held.outcomes[0]).to.include.all.keys('results', 'count');
  });

  it('--hypercalls atomic needs fewer executions, and its token replays as it is', async () => {
    const race = path.join(__dirname, '../../examples/races/r04-pending-cleared-after-handler.ts');
    const result = await upcall('explore', race, '--hypercalls', 'atomic');
    expect(result.status).to.equal(1);
    expect((await upcall(...lastLine(result).split(' ').slice(1))).stdout).to.match(/^deadlock: /);
    const count = async (how: string): Promise<number> => {
      const { stdout } = await upcall('explore', race, '--args', '{"variant":"fixed"}', '--hypercalls', how, '--json');
      const { executions, complete } = JSON.parse(stdout);
      expect(complete).to.equal(true);
      return executions;
    };
    expect(await count('atomic')).to.be.below(await count('fine'));
  });

  it('--data-races reports plain accesses that nothing orders', async () => {
    const { status, stdout } = await upcall('explore', LOST_UPDATE, '--data-races');
    expect(status).to.equal(1);
    expect(stdout).to.match(/^data-race.*: vCPU \d .* total \(lost-update\.ts:\d+\).*nothing orders the two$/m);
  });

  it('answers options that cannot be used with one line', async () => {
    await expectUsageError(
      ['explore', LOST_UPDATE, '--strategy', 'bfs'],
      /'bfs' is invalid\. .*dpor, dfs, random, pct, pos/,
    );
    await expectUsageError(['explore', LOST_UPDATE, '--memory-model', 'arm'], /'arm' is invalid\. .*sc, tso/);
    await expectUsageError(['explore', LOST_UPDATE, '--max-executions', '0'], /'0' is invalid\. .*at least 1/);
    await expectUsageError(
      ['explore', LOST_UPDATE, '--preemption-bound', '1'],
      /preemption bound goes with strategy dfs/,
    );
    await expectUsageError(['explore', LOST_UPDATE, '--depth', '3'], /--depth goes with strategy pct, not with dpor/);
    await expectUsageError(['explore', 'no-such-file.ts'], /no-such-file\.ts/);
    await expectUsageError(
      ['explore', LOST_UPDATE, '--trace', '/no/such/folder/t.json'],
      /cannot write the trace: .*folder/,
    );
  });

  const FAULTS: readonly (readonly [string, RegExp])[] = [
    ['random', /^nondeterminism in vCPU \d: .*does something else \(Math\.random, Date\.now, .*$/m],
    ['clock', /^nondeterminism in vCPU \d: .*does something else \(Math\.random, Date\.now, .*$/m],
    ['promise', /^crash in vCPU 0: the guest returned a promise: guests are synchronous$/m],
    ['loop', /^livelock: no end after 300 steps \(limit: maxSteps\)$/m],
    ['stuck', /^livelock in vCPU 0: vCPU 0 does not come to its next step: 0\.5 s in a loop without an access.*$/m],
    ['spin', /^livelock in vCPU 0: .* spins? for ever: what it looks at will not change any more$/m],
  ];
  for (const [does, line] of FAULTS) {
    it(`says in one line what is wrong with a guest that breaks the rules: ${does}`, async () => {
      const limits: Readonly<Record<string, readonly string[]>> = {
        loop: ['--max-steps', '300'],
        stuck: ['--watchdog', '500'],
      };
      const steps = limits[does] ?? [];
      const result = await upcall('explore', BAD_GUEST, '--args', JSON.stringify({ does }), ...steps);
      expect(result).to.include({ status: 1, stderr: '' });
      expect(result.stdout).to.match(line);
    });
  }

  it('prints what is known when it is interrupted, and exits with 130', async () => {
    const file = path.join(SCENARIOS, 'endless-search.ts');
    const child = spawn(process.execPath, [CLI, 'explore', file, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.once('data', () => child.kill('SIGINT'));
    const status = await new Promise((resolve) => {
      child.once('close', resolve);
    });
    expect(status).to.equal(130);
    expect(JSON.parse(stdout)).to.include({ complete: false, incomplete: 'the search was interrupted', failure: null });
  });
});

describe('upcall replay', () => {
  let folder: string;
  let trace: string;
  let token: string;

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'upcall-replay-'));
    trace = path.join(folder, 'trace.json');
    await upcall('explore', LOST_UPDATE, '--args', '{"atomic":false}', '--trace', trace);
    ({ token } = JSON.parse(readFileSync(trace, 'utf8')));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  it('takes a trace file, with the options in it', async () => {
    const { status, stdout, stderr } = await upcall('replay', LOST_UPDATE, trace);
    expect({ status, stderr }).to.deep.equal({ status: 1, stderr: '' });
    expect(stdout).to.match(/^assertion: total is 1\n.*1 preemption.*\(inline\)\n/);
  });

  it('--json prints one line', async () => {
    const { status, stdout } = await upcall('replay', LOST_UPDATE, token, '--json');
    expect(status).to.equal(1);
    expect(stdout).to.match(/^[^\n]+\n$/);
    expect(JSON.parse(stdout)).to.deep.include({
      followed: true,
      failure: { kind: 'assertion', message: 'total is 1' },
    });
  });

  it('--verbose shows steps that are folded away otherwise', async () => {
    expect((await upcall('replay', LOST_UPDATE, token)).stdout).not.to.include('window');
    expect((await upcall('replay', LOST_UPDATE, token, '--verbose')).stdout).to.include(': none');
  });

  it('says which: cut off, of another version, of another scenario, no token, no file', async () => {
    await expectUsageError(['replay', LOST_UPDATE, token.slice(0, -2)], /cut off or mistyped/);
    await expectUsageError(['replay', LOST_UPDATE, token.replace('u1', 'u2')], /format u2, this version reads u1/);
    await expectUsageError(['replay', BAD_GUEST, token], /belongs to another scenario/);
    await expectUsageError(['replay', LOST_UPDATE, 'hello'], /not a replay token/);
    await expectUsageError(['replay', LOST_UPDATE, 'missing.json'], /no such file: missing\.json/);
    await expectUsageError(['replay', LOST_UPDATE, token, '--memory-model', 'tso'], /memory model sc, not tso/);
  });

  it('takes tokens longer than the name of a file may be, and explore offers a file in place of one', async () => {
    const limit = ['--max-executions', '1'];
    const found = await upcall('explore', TURNS, ...limit);
    const command = lastLine(found).split(' ');
    expect(command.at(-1)).to.match(/^u1-\S{400,}$/);
    expect(found.stdout).to.match(
      /\nThe token is \d+ characters long; with --trace FILE the command is short\.\nupcall /,
    );
    expect((await upcall(...command.slice(1))).stdout).to.match(/^assertion: the turns are over\n/);
    await expectUsageError(['replay', TURNS, 'u1-'.padEnd(5000, 'x')], /not a replay token|cut off or mistyped/);

    const file = path.join(folder, 'turns.json');
    const short = await upcall('explore', TURNS, ...limit, '--trace', file);
    expect(lastLine(short)).to.match(/^upcall replay \S*turns\.ts \S*turns\.json$/);
    expect((await upcall(...lastLine(short).split(' ').slice(1))).status).to.equal(1);
  });

  it('says the same of trace files', async () => {
    const text = readFileSync(trace, 'utf8');
    const file = path.join(folder, 'bad.json');
    const refused = async (content: string, line: RegExp): Promise<void> => {
      writeFileSync(file, content);
      await expectUsageError(['replay', LOST_UPDATE, file], line);
    };
    await refused(text.slice(0, 200), /cut off or damaged/);
    await refused(text.replace('"version":1', '"version":9'), /has version 9 of the trace format, this upcall reads 1/);
    await refused('{}', /is no trace/);
    await expectUsageError(['replay', BAD_GUEST, trace], /belongs to another scenario/);
  });
});
