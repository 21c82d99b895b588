import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { MonitorClient } from '../../../lib/engine/monitor/client';
import type { MachineReport } from '../../../lib/engine/monitor/protocol';
import { MonitorServer } from '../../../lib/engine/monitor/server';
import { ControlError } from '../../../lib/engine/monitor/socket-path';

function report(channels: number): MachineReport {
  return { scenario: `asked for ${channels}`, engine: 'threads', seed: 1, elapsedNs: 5, domains: [] };
}

/** What a promise is rejected with: one line. */
async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).to.be.instanceOf(ControlError);
  expect((error as Error).message).not.to.contain('\n');
  return (error as Error).message;
}

describe('a control socket', () => {
  let folder: string;
  let file: string;
  const servers: { close(why: string): unknown }[] = [];
  const sockets: Socket[] = [];

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'upcall-'));
    file = path.join(folder, 's');
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) await server.close('the test is over');
    rmSync(folder, { recursive: true });
  });

  async function serve(): Promise<MonitorServer> {
    const server = await MonitorServer.listen(file, report);
    servers.push(server);
    return server;
  }

  /** A server that says something else. */
  function impostor(text: string): Promise<void> {
    const server = createServer((socket) => socket.on('error', () => {}).write(text));
    servers.push(server as unknown as Server & { close(why: string): unknown });
    return new Promise((resolve) => server.listen(file, resolve));
  }

  /** Everything the server says to these bytes until it hangs up. */
  function say(...parts: readonly string[]): Promise<unknown[]> {
    return new Promise((resolve) => {
      const socket = connect(file);
      sockets.push(socket);
      let text = '';
      socket.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
      const lines = () => text.split('\n').filter(Boolean);
      socket.once('close', () => resolve(lines().map((line) => JSON.parse(line) as unknown)));
      for (const part of parts) socket.write(part);
    });
  }

  it('answers what is asked', async () => {
    await serve();
    const client = await MonitorClient.connect(file);
    expect((await client.machine(7)).scenario).to.equal('asked for 7');
    expect((await client.machine(8)).scenario).to.equal('asked for 8');
    client.close();
  });

  it('is for its user alone, and gone when it is closed', async () => {
    const server = await serve();
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    await server.close('done');
    expect(statSync(file, { throwIfNoEntry: false })).to.equal(undefined);
  });

  it('tells its clients that the run is over', async () => {
    const server = await serve();
    const client = await MonitorClient.connect(file);
    await client.machine(1);
    const heard = say();
    await client.machine(1);
    await server.close('it held');
    expect((await heard)[1]).to.deep.equal({ end: 'it held' });
    expect(await refusal(client.machine(1))).to.match(/^the run at .* is over/);
  });

  it('is closed although a client does not read', async () => {
    const server = await serve();
    const greeted = new Promise((resolve) => {
      const socket = connect(file, () => socket.write('{"id":1,"request":"machine"}\n'));
      sockets.push(socket);
      socket.once('readable', resolve);
    });
    await greeted;
    await server.close('done');
  });

  for (const [what, line, code] of [
    ['what is no JSON', 'hello\n', 'BAD_REQUEST'],
    ['another request', '{"id":1,"request":"crash"}\n', 'BAD_REQUEST'],
    ['a request with a bad number', '{"id":1,"request":"machine","channels":-1}\n', 'BAD_REQUEST'],
    ['a line that does not end', 'x'.repeat(10_000), 'TOO_LONG'],
  ] as const) {
    it(`answers ${what} once, and hangs up`, async () => {
      await serve();
      const [greeting, answer, ...more] = await say(line);
      expect(greeting).to.include({ upcall: 'control', version: 1, pid: process.pid });
      expect(answer).to.have.nested.property('error.code', code);
      expect(more).to.deep.equal([]);
    });
  }

  it('takes a request in pieces', async () => {
    await serve();
    const answers = await say('{"id":1,"req', 'uest":"machine","channels":3}', '\n', 'bye\n');
    expect(answers[1]).to.have.nested.property('machine.scenario', 'asked for 3');
  });

  it('has a bounded number of clients', async () => {
    await serve();
    const clients = await Promise.all(Array.from({ length: 32 }, () => MonitorClient.connect(file)));
    await Promise.all(clients.map((client) => client.machine(1)));
    const [answer] = await say();
    expect(answer).to.have.nested.property('error.code', 'TOO_MANY');
    for (const client of clients) client.close();
  });

  it('replaces one whose server has died', async () => {
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(file, resolve));
    // As kill -9 leaves it: the file is there, nobody listens.
    const handle = (dead as unknown as { _handle: { close(): void } })._handle;
    const kept = path.join(folder, 'kept');
    const { linkSync } = await import('node:fs');
    linkSync(file, kept);
    handle.close();
    linkSync(kept, file);
    expect(statSync(file).isSocket()).to.equal(true);
    await serve();
    const client = await MonitorClient.connect(file);
    expect((await client.machine(1)).seed).to.equal(1);
    client.close();
  });

  it('is not taken from another run, and no file of another kind is', async () => {
    await serve();
    expect(await refusal(MonitorServer.listen(file, report))).to.match(/is in use by another run/);
    const other = path.join(folder, 'notes');
    writeFileSync(other, 'mine');
    expect(await refusal(MonitorServer.listen(other, report))).to.match(/notes exists and is no socket/);
    expect(statSync(other).size).to.equal(4);
  });

  it('cannot have a path that is too long, or a folder that is not there', async () => {
    const long = path.join(folder, 'x'.repeat(120));
    expect(await refusal(MonitorServer.listen(long, report))).to.match(/has \d+ bytes, at most \d+ fit/);
    expect(await refusal(MonitorClient.connect(long))).to.match(/has \d+ bytes, at most \d+ fit/);
    const lost = path.join(folder, 'nowhere', 's');
    expect(await refusal(MonitorServer.listen(lost, report))).to.match(/there is no folder .*nowhere/);
  });

  it('is missed with one line', async () => {
    expect(await refusal(MonitorClient.connect(file))).to.match(/there is no socket .*: is a run with --control/);
    writeFileSync(file, '');
    expect(await refusal(MonitorClient.connect(file))).to.match(/is no socket$/);
  });

  for (const [what, text, message] of [
    [
      'speaks another version',
      '{"upcall":"control","version":2,"pid":1}\n',
      /speaks the control protocol in version 2/,
    ],
    ['is something else', 'HTTP/1.1 400 Bad Request\n', /is no control socket of upcall$/],
    ['sends garbage', '{"upcall":"control","version":1,"pid":1}\n{"id":1,"machine":{}}\n', /sends what is no reply/],
  ] as const) {
    it(`is told from a server that ${what}`, async () => {
      await impostor(text);
      const client = await MonitorClient.connect(file);
      expect(await refusal(client.machine(1))).to.match(message);
    });
  }
});
