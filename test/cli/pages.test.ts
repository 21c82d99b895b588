import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import type { PageData } from '../../lib/report/page-data';
import { upcall } from './run-cli';

const PING_PONG = path.join(__dirname, '../../examples/ipi-ping-pong.ts');
const LAST = path.join(__dirname, 'scenarios/last-to-finish.ts');
const LOST_UPDATE = path.join(__dirname, 'scenarios/lost-update.ts');

describe('pages', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'upcall-pages-'));
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  function dataOf(file: string): PageData {
    const [, json = ''] =
      /<script type="application\/json" id="data">(.*)<\/script>/.exec(readFileSync(file, 'utf8')) ?? [];
    return JSON.parse(json) as PageData;
  }

  it('of explore hold the failure, the nearest passing schedule, and commands that replay them', async () => {
    const file = path.join(folder, 'explored.html');
    const { status } = await upcall('explore', LOST_UPDATE, '--html', file);
    expect(status).to.equal(1);
    const { executions } = dataOf(file);
    expect(executions.map(({ trace }) => trace.failure?.kind)).to.deep.equal(['assertion', undefined]);
    for (const [index, { command }] of executions.entries()) {
      const again = await upcall(...(command ?? '').split(' ').slice(1));
      expect(again.status, again.stderr).to.equal(index === 0 ? 1 : 0);
    }
  });

  it('of a search without a failure hold what it covered and its most frequent outcome', async () => {
    const file = path.join(folder, 'held.html');
    const { status } = await upcall('explore', LOST_UPDATE, '--args', '{"atomic":true}', '--html', file);
    expect(status).to.equal(0);
    const { executions, exploration } = dataOf(file);
    expect(exploration?.coverage.traces).to.equal(exploration?.search.executions);
    expect(exploration?.outcomes[0]?.command).to.equal(executions[0]?.command);
    expect(executions.map(({ trace }) => trace.failure)).to.deep.equal([null]);
    expect(executions[0]?.command).to.include(`--args '{"atomic":true}'`);
  });

  it('of replay hold the schedule, and beside it the one to compare with', async () => {
    const trace = path.join(folder, 'trace.json');
    const file = path.join(folder, 'replayed.html');
    const { stdout } = await upcall('explore', LOST_UPDATE, '--json', '--trace', trace);
    const { failure } = JSON.parse(stdout);
    const { status } = await upcall('replay', LOST_UPDATE, failure.token, '--html', file, '--compare', trace);
    expect(status).to.equal(1);
    const { executions } = dataOf(file);
    expect(executions.map(({ label }) => label)).to.deep.equal(['Replay', 'Compared with']);
    expect(executions[0]?.trace.steps).to.deep.equal(executions[1]?.trace.steps);
  });

  it('as trace events are written by explore and replay alike', async () => {
    const files = ['explored.json', 'replayed.json'].map((name) => path.join(folder, name)) as [string, string];
    const { stdout } = await upcall('explore', LOST_UPDATE, '--json', '--perfetto', files[0]);
    await upcall('replay', LOST_UPDATE, JSON.parse(stdout).failure.token, '--perfetto', files[1]);
    const [explored, replayed] = files.map((file) => readFileSync(file, 'utf8'));
    expect(JSON.parse(explored as string).traceEvents)
      .to.be.an('array')
      .with.length.above(10);
    expect(replayed).to.equal(explored);
  });

  it('of run hold what its threads recorded, and statistics; the trace file says that nothing replays it', async () => {
    const [html, perfetto, trace] = ['run.html', 'run.pf.json', 'run.json'].map((name) => path.join(folder, name)) as [
      string,
      string,
      string,
    ];
    const outputs = ['--html', html, '--perfetto', perfetto, '--trace', trace];
    const { status, stdout } = await upcall('run', PING_PONG, '--args', '{"rounds":20}', ...outputs);
    expect(status).to.equal(0);
    expect(stdout).to.match(/^recorded: /m);
    expect(stdout).to.match(/^send to handler, 40 upcalls: /m);
    const { executions, statistics } = dataOf(html);
    expect(executions.map(({ label, command }) => [label, command])).to.deep.equal([['Recorded run', undefined]]);
    expect(executions[0]?.trace.recorded?.timed).to.equal(true);
    expect(statistics?.latency?.count).to.equal(40);
    expect(JSON.parse(readFileSync(perfetto, 'utf8')).traceEvents.length).to.be.above(400);
    expect(JSON.parse(readFileSync(trace, 'utf8'))).to.include({ format: 'upcall-trace', version: 1, token: null });
    const replayed = await upcall('replay', PING_PONG, trace);
    expect(replayed.status).to.equal(2);
    expect(replayed.stderr).to.match(
      /^upcall: .* was recorded on free-running threads: there is no schedule to replay/,
    );
  });

  it('of stress hold the schedule of the failure, or what the guests did where there is none', async () => {
    const html = path.join(folder, 'stress.html');
    const stress = ['stress', LAST, '--iterations', '200000', '--html', html];
    expect((await upcall(...stress)).status).to.equal(1);
    const { executions } = dataOf(html);
    expect(executions.map(({ label }) => label)).to.deep.equal(['Failing schedule', 'Nearest passing schedule']);
    expect((await upcall(...stress, '--no-reconstruct')).status).to.equal(1);
    const [log, ...others] = dataOf(html).executions;
    expect([log?.label, log?.command, others.length]).to.deep.equal(['What the guests did', undefined, 0]);
    expect(log?.trace.recorded).to.deep.equal({ missing: [0, 0], timed: false });
    expect(log?.trace.failure?.kind).to.equal('assertion');
    expect(log?.trace.steps.map(({ name }) => name)).to.include('last');
    const held = await upcall('stress', LOST_UPDATE, '--args', '{"atomic":true}', '--iterations', '10', '--html', html);
    expect(held.stdout).to.include('nothing failed: there is nothing to show');
  });

  it('of run under a deterministic engine hold its one execution', async () => {
    const html = path.join(folder, 'inline.html');
    const { status } = await upcall('run', PING_PONG, '--args', '{"rounds":2}', '--engine', 'inline', '--html', html);
    expect(status).to.equal(0);
    const { executions, statistics } = dataOf(html);
    expect([executions[0]?.label, executions[0]?.trace.recorded, statistics]).to.deep.equal([
      'On inline',
      undefined,
      undefined,
    ]);
  });

  it('of run want a number of events that makes sense, and threads to record', async () => {
    for (const [args, message] of [
      [['--record', '0'], /'--record \[n\]' argument '0' is invalid\. It must be a whole number from 1 to 1000000/],
      [['--record', '--engine', 'inline'], /--record goes with --engine threads, not with inline/],
    ] as const) {
      const { status, stderr } = await upcall('run', PING_PONG, ...args);
      expect(status).to.equal(2);
      expect(stderr).to.match(message);
      expect(stderr.trim().split('\n')).to.have.length(1);
    }
  });

  it('that cannot be written are refused before the search, in one line', async () => {
    const file = path.join(folder, 'no/such/folder/page.html');
    for (const args of [
      ['explore', LOST_UPDATE, '--html', file],
      ['replay', LOST_UPDATE, 'u1-x', '--html', file],
      ['replay', LOST_UPDATE, 'u1-x', '--perfetto', file],
      ['replay', LOST_UPDATE, 'u1-x', '--compare', 'u1-y'],
      ['run', PING_PONG, '--trace', file],
      ...['--html', '--trace', '--perfetto'].flatMap((option) => [
        ['explore', LOST_UPDATE, option, folder],
        ['run', PING_PONG, option, ''],
      ]),
      ['stress', LOST_UPDATE, '--html', folder],
    ]) {
      const { status, stdout, stderr } = await upcall(...args);
      expect({ status, stdout }, stderr).to.deep.equal({ status: 2, stdout: '' });
      expect(stderr).to.match(
        /^upcall: [^\n]*(cannot write the (page|trace events|trace)|--compare is for the page)[^\n]*\n$/,
      );
    }
    expect(existsSync(file)).to.equal(false);
  });
});
