import { once } from 'node:events';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { ConsoleSession, type TerminalEnds } from '../../lib/cli/console-session';
import { runCli } from './run-cli';

const SCENARIOS = path.join(__dirname, '../services/scenarios');

/** A terminal, or a pipe; what happens to it. */
function terminal(isTTY: boolean) {
  const input = Object.assign(new PassThrough(), {
    isTTY,
    raw: [] as boolean[],
    setRawMode(raw: boolean) {
      input.raw.push(raw);
    },
  });
  const [output, status] = [new PassThrough(), new PassThrough()];
  const ends: TerminalEnds = { input, output, status };
  const session = new ConsoleSession(ends);
  return { input, output, status, session };
}

const exitListeners = () => process.listenerCount('exit');

describe('ConsoleSession', () => {
  it('takes a terminal in raw mode, says so, and gives it back once', () => {
    const { input, status, session } = terminal(true);
    const before = exitListeners();
    session.attach('front');
    expect(input.raw).to.deep.equal([true]);
    expect(String(status.read())).to.equal('Connected to front. Escape character is ^]\n');
    expect(exitListeners()).to.equal(before + 1);
    session.release();
    session.release();
    expect(input.raw).to.deep.equal([true, false]);
    expect(exitListeners()).to.equal(before);
    expect(input.isPaused()).to.equal(true);
  });

  it('gives the terminal back when the process exits in between', () => {
    const { input, session } = terminal(true);
    const others = process.listeners('exit');
    session.attach('front');
    const [restore] = process.listeners('exit').filter((listener) => !others.includes(listener));
    (restore as (code: number) => void)(1);
    expect(input.raw).to.deep.equal([true, false]);
  });

  it('passes on what is typed, ctrl-C and ctrl-D included', async () => {
    const { input, session } = terminal(true);
    session.attach('front');
    input.write('ps\r\x03\x04');
    input.write('\x1d');
    expect(await text(session.typed)).to.equal('ps\r\x03\x04');
    expect(session.detached.aborted).to.equal(true);
    session.release();
  });

  it('passes on what was typed before ctrl-], and nothing after it', async () => {
    const { input, session } = terminal(true);
    session.attach('front');
    input.write('before\x1dafter');
    input.write('later');
    expect(await text(session.typed)).to.equal('before');
    session.release();
  });

  it('leaves a pipe as it is: ctrl-] is a byte, the end is no detaching', async () => {
    const { input, status, session } = terminal(false);
    session.attach('front');
    input.end('a\x1db');
    expect(await text(session.typed)).to.equal('a\x1db');
    expect([session.detached.aborted, session.inputEnded]).to.deep.equal([false, true]);
    expect([input.raw, status.read()]).to.deep.equal([[], null]);
    session.release();
  });

  it('reads no faster than the guest takes', async () => {
    const { input, session } = terminal(false);
    session.attach('front');
    const chunk = 'x'.repeat(10_000);
    for (let n = 0; n < 30; n++) input.write(chunk);
    input.end();
    await once(session.typed, 'readable');
    expect(session.typed.readableLength).to.be.at.most(6 * chunk.length);
    expect(await text(session.typed)).to.equal(chunk.repeat(30));
    session.release();
  });

  it('writes the output as it is', () => {
    const { output, session } = terminal(true);
    session.write(Uint8Array.of(0xc3, 0xa9, 0x1b));
    expect([...(output.read() as Buffer)]).to.deep.equal([0xc3, 0xa9, 0x1b]);
  });
});

describe('upcall console', () => {
  it('runs a shell that is typed to through a pipe', async () => {
    const { status, stdout, stderr } = await runCli(['console', 'console-shell', '--vcpus', '2'], {
      input: 'ps\nipi 1\nnonsense\npoweroff\n',
    });
    expect(stderr).to.contain('console-shell: poweroff');
    expect(status).to.equal(0);
    expect(stdout).to.match(/ {3}1 {2}(blocked|running)/);
    expect(stdout).to.contain('vCPU 1 answered after');
    expect(stdout).to.contain('nonsense: no such command\r\n');
    expect(stdout).to.contain('Power down.');
  });

  it('says that the input has ended when a guest waits for more', async () => {
    const { status, stderr } = await runCli(['console', 'console-shell', '--vcpus', '1'], { input: 'time\n' });
    expect(status).to.equal(1);
    expect(stderr).to.contain('deadlock');
    expect(stderr).to.contain('The input has ended while a guest waits for more.');
  });

  it('shows the console of the domain that was named', async () => {
    const { status, stdout } = await runCli(['console', path.join(SCENARIOS, 'consoles.ts'), 'other'], { input: '' });
    expect([status, stdout]).to.deep.equal([0, 'hello\n']);
  });

  it('lists the domains that have a console', async () => {
    const { status, stdout } = await runCli(['console', path.join(SCENARIOS, 'consoles.ts'), '--list']);
    expect([status, stdout]).to.deep.equal([0, 'front\nother\n']);
  });

  it('refuses wrong names in one line', async () => {
    const wrong = await runCli(['console', path.join(SCENARIOS, 'consoles.ts'), 'back']);
    expect([wrong.status, wrong.stderr]).to.deep.equal([
      2,
      "upcall: there is no console of a domain 'back'; there are front, other\n",
    ]);
    const none = await runCli(['console', 'ipi-ping-pong']);
    expect([none.status, none.stderr]).to.deep.equal([
      2,
      "upcall: scenario 'ipi-ping-pong' has no console: give it console: true\n",
    ]);
    const missing = await runCli(['console', 'no-such-scenario']);
    expect([missing.status, missing.stderr.split('\n').length]).to.deep.equal([2, 2]);
  });
});
