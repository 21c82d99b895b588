import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import type { ReadStream, WriteStream } from 'node:tty';
import { expect } from 'chai';
import { FullScreen } from '../../lib/cli/full-screen';
import { TopView } from '../../lib/cli/top-view';
import type { MachineReport, ReportedVcpu } from '../../lib/engine/monitor/protocol';
import { MonitorServer } from '../../lib/engine/monitor/server';
import { CLI, upcall } from './run-cli';

function vcpu(id: number, running: number): ReportedVcpu {
  return {
    id,
    state: 'running',
    pauseFlags: 0,
    pollPort: 0,
    info: 4096,
    upcallPending: 0,
    upcallMask: 0,
    selector: '0x0',
    running,
    blocked: 2e9 - running,
    offline: 0,
    timers: {},
    upcalls: 10,
    hypercalls: 20,
    events: running / 1e6,
  };
}

/** @param shares - of its two seconds that each vCPU ran */
function report(elapsedNs: number, ...shares: readonly number[]): MachineReport {
  const channel = { state: 6, xenConsumer: false, pending: true, masked: false };
  return {
    scenario: 'busy\u001b[31m',
    engine: 'threads',
    seed: 1,
    elapsedNs,
    domains: [
      {
        id: 1,
        name: 'a-domain-with-a-long-name',
        abi: 'x86_64',
        events: '2l',
        frames: 64,
        status: 'alive',
        shutdown: null,
        validPorts: 64,
        activePorts: 2,
        maxPort: 1023,
        polling: '',
        sharedInfo: { address: 4096, pending: '', masked: '', wcVersion: 2, wcSec: 0, wcNsec: 0 },
        vcpus: shares.map((share, id) => vcpu(id, share * 2e9)),
        channels: Array.from({ length: 30 }, (_, i) => ({ port: i + 1, vcpu: 0, edges: elapsedNs * i, ...channel })),
        omittedChannels: 5,
        locks: [],
        words: [],
      },
    ],
  };
}

function viewOf(...reports: readonly MachineReport[]): TopView {
  const view = new TopView();
  for (const each of reports) view.show(each);
  return view;
}

describe('the screen of upcall top', () => {
  it('has the busiest vCPUs and channels first, and in order on request', () => {
    const view = viewOf(report(2e9, 0.1, 0.9, 0.5));
    const loads = () => view.lines(120, 40, 1000).flatMap((line) => /([\d.]+)%/.exec(line)?.[1] ?? []);
    const ports = () => view.lines(120, 40, 1000).flatMap((line) => / 1 +(\d+) +0 +1 +0 /.exec(line)?.[1] ?? []);
    expect(loads()).to.deep.equal(['90.0', '50.0', '10.0']);
    expect(ports().slice(0, 2)).to.deep.equal(['30', '29']);
    view.press('s', 40);
    expect(loads()).to.deep.equal(['10.0', '90.0', '50.0']);
    expect(ports().slice(0, 2)).to.deep.equal(['1', '2']);
  });

  it('has rates of the time between two reports', () => {
    const lines = viewOf(report(1e9, 0.1), report(3e9, 0.6)).lines(120, 40, 1000);
    expect(lines[1]).to.match(/every 1 s, busiest first, 500 events\/s, 0 upcalls\/s, 0 hypercalls\/s/);
  });

  it('fits any window, and leaves out columns where it is narrow', () => {
    const view = viewOf(report(2e9, 0.1, 0.9));
    for (let width = 1; width < 130; width += 3) {
      for (const height of [1, 2, 3, 5, 10, 24, 60]) {
        const lines = view.lines(width, height, 1000);
        expect(lines).to.have.length(height);
        for (const line of lines) expect(line.length).to.be.at.most(width);
      }
    }
    expect(view.lines(120, 24, 1000)[2]).to.match(
      /^Name +ID +VCPU +State +Time\(s\) +Load +Upcalls +Hypercalls +Events/,
    );
    expect(view.lines(40, 24, 1000)[2]).to.match(/^Name +VCPU +Stat/);
  });

  it('scrolls as far as there are lines', () => {
    const view = viewOf(report(2e9, 0.1, 0.9));
    const second = (): string => view.lines(100, 10, 1000)[3] ?? '';
    const top = second();
    view.press('down', 10);
    expect(second()).not.to.equal(top);
    view.press('end', 10);
    expect(view.lines(100, 10, 1000).at(-2)).to.equal('and 5 more');
    view.press('home', 10);
    expect(second()).to.equal(top);
  });

  it('stands still while it is paused', () => {
    const view = viewOf(report(2e9, 0.1));
    view.press('p', 24);
    const before = view.lines(100, 24, 1000);
    expect(before[1]).to.match(/^PAUSED/);
    view.show(report(4e9, 0.9));
    expect(view.lines(100, 24, 1000)).to.deep.equal(before);
    view.press('p', 24);
    view.show(report(6e9, 0.9));
    expect(view.lines(100, 24, 1000)).not.to.deep.equal(before);
  });

  it('shows what a scenario puts into its name as signs', () => {
    expect(viewOf(report(2e9, 0.1)).lines(100, 24, 1000)[0]).to.match(/^busy␛\[31m on threads/);
  });
});

describe('a terminal taken over', () => {
  async function screenOf() {
    const { default: escapes } = await import('ansi-escapes');
    const written: string[] = [];
    const output = Object.assign(new PassThrough(), { isTTY: true, columns: 20, rows: 3 });
    output.on('data', (text: Buffer) => written.push(text.toString()));
    const modes: boolean[] = [];
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (raw: boolean) => modes.push(raw) });
    const keys: string[] = [];
    const screen = new FullScreen(
      escapes,
      input as unknown as ReadStream,
      output as unknown as WriteStream,
      (key) => keys.push(key),
      () => keys.push('resize'),
    );
    const taken = () => written.splice(0).join('');
    return { screen, escapes, output, input, modes, keys, taken };
  }

  it('is given back as it was', async () => {
    const { screen, escapes, modes, taken } = await screenOf();
    expect(taken()).to.equal(escapes.enterAlternativeScreen + escapes.cursorHide + escapes.eraseScreen);
    screen.close();
    screen.close();
    expect(taken()).to.equal(escapes.cursorShow + escapes.exitAlternativeScreen);
    expect(modes).to.deep.equal([true, false]);
  });

  it('is written to where the picture has changed, at once', async () => {
    const { screen, escapes, taken } = await screenOf();
    taken();
    screen.draw(['one', 'two', 'three']);
    taken();
    screen.draw(['one', '2', 'three']);
    const { beginSynchronizedOutput, cursorTo, eraseEndLine, endSynchronizedOutput } = escapes;
    expect(taken()).to.equal(`${beginSynchronizedOutput}${cursorTo(0, 1)}2${eraseEndLine}${endSynchronizedOutput}`);
    screen.draw(['one', '2', 'three']);
    expect(taken()).to.equal('');
    screen.close();
  });

  it('is drawn anew when its size changes', async () => {
    const { screen, output, keys, taken } = await screenOf();
    screen.draw(['one']);
    output.emit('resize');
    taken();
    screen.draw(['one']);
    expect(taken()).to.contain('one');
    expect(keys).to.deep.equal(['resize']);
    screen.close();
  });

  it('tells keys by name', async () => {
    const { screen, input, keys } = await screenOf();
    input.write('q+\u001b[A\u0003');
    await new Promise((resolve) => setImmediate(resolve));
    expect(keys).to.deep.equal(['q', '+', 'up', 'ctrl-c']);
    screen.close();
  });
});

describe('upcall ps and upcall top', () => {
  let folder: string;
  let server: MonitorServer;

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'upcall-'));
    server = await MonitorServer.listen(path.join(folder, 's'), () => report(2e9, 0.25));
  });

  after(async () => {
    await server.close('over');
    rmSync(folder, { recursive: true });
  });

  it('print one report where the output is no terminal', async () => {
    const [ps, top] = await Promise.all(['ps', 'top'].map((command) => upcall(command, path.join(folder, 's'))));
    expect(ps).to.include({ status: 0, stderr: '' });
    expect(ps?.stdout).to.match(/a-domain-with-a-long-name +1 +0 +running +0\.5 +25\.0% +10 +20 +500/);
    expect(ps?.stdout).to.match(/and 5 more: --channels/);
    expect(top).to.deep.equal(ps);
  });

  it('print it as one object', async () => {
    const { stdout } = await upcall('ps', path.join(folder, 's'), '--json');
    expect(JSON.parse(stdout)).to.deep.equal(report(2e9, 0.25));
  });

  it('answer a socket that is not there with one line and status 2', async () => {
    for (const command of ['ps', 'top']) {
      const { status, stdout, stderr } = await upcall(command, path.join(folder, 'nowhere'));
      expect({ status, stdout }).to.deep.equal({ status: 2, stdout: '' });
      expect(stderr).to.match(/^upcall: there is no socket [^\n]+\n$/);
    }
  });

  it('find the socket of a run that was killed, and say so', async () => {
    const socket = path.join(folder, 'killed');
    const scenario = path.join(__dirname, '../threads/scenarios/looked-at.ts');
    const child = spawn(process.execPath, [CLI, 'run', scenario, '--control', socket], { stdio: 'ignore' });
    for (let tries = 0; tries < 100; tries++) if ((await upcall('ps', socket)).status === 0) break;
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    const { status, stderr } = await upcall('ps', socket);
    expect(status).to.equal(2);
    expect(stderr).to.match(/^upcall: nobody serves [^\n]+: its run is over\n$/);
  });
});
