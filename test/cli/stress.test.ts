import { spawn } from 'node:child_process';
import { expect } from 'chai';
import { scenarioFile } from '../threads/support/threads';
import { CLI, upcall } from './run-cli';

const LOST_WAKE_UP = 'examples/races/r01-unmask-without-second-look.ts';

describe('upcall stress', () => {
  it('prints one JSON object, and fails when an iteration did', async () => {
    const { status, stdout } = await upcall('stress', LOST_WAKE_UP, '--duration', '60s', '--seed', '3', '--json');
    expect(status).to.equal(1);
    const result = JSON.parse(stdout);
    expect(result).to.include({ scenario: 'r01-unmask-without-second-look', seed: 3 });
    expect(result.iterations).to.be.a('number');
    expect(result.elapsedMs).to.be.a('number');
    expect(result.failures).to.have.length(1);
    const { iteration, kind, message, seed } = result.failures[0];
    expect({ iteration, kind }).to.deep.equal({ iteration: result.iterations, kind: 'deadlock' });
    expect(message).to.be.a('string');
    expect(seed).to.be.a('number');
  });

  it('says in words what failed', async () => {
    const { status, stdout } = await upcall('stress', LOST_WAKE_UP, '--duration', '60s', '--chaos');
    expect(status).to.equal(1);
    expect(stdout).to.match(/^r01-unmask-without-second-look failed under stress \(chaos, seed \d+\)\n/);
    expect(stdout).to.match(/\ndeadlock: nothing is left that could wake anyone: vCPU 0/);
  });

  it('exits with 0 when all iterations held', async () => {
    const { status, stdout, stderr } = await upcall('stress', 'interdomain-echo', '--iterations', '20');
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    expect(stdout).to.match(/^interdomain-echo held under stress \(seed \d+\)\n20 iterations, /);
  });

  it('prints what it knows when it is interrupted, and exits with 130', async () => {
    const args = ['stress', scenarioFile('iterated'), '--duration', '1h', '--json'];
    const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    // Earlier it would be the end of a process that has not yet come to its command.
    const again = setInterval(() => child.kill('SIGINT'), 3000);
    const status = await new Promise((resolve) => child.once('close', resolve));
    clearInterval(again);
    expect(status).to.equal(130);
    expect(JSON.parse(stdout)).to.include({ scenario: 'iterated', interrupted: true });
  });

  for (const [args, message] of [
    [['--duration', 'soon'], /It must be a duration such as 500ms/],
    [['--iterations', '0'], /--iterations.*at least 1/],
    [['--seed', 'x'], /--seed/],
  ] as const) {
    it(`answers ${args.join(' ')} with one line and status 2`, async () => {
      const { status, stdout, stderr } = await upcall('stress', LOST_WAKE_UP, ...args);
      expect({ status, stdout }).to.deep.equal({ status: 2, stdout: '' });
      expect(stderr)
        .to.match(/^upcall: [^\n]+\n$/)
        .and.match(message);
    });
  }
});
