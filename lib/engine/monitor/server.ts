/**
 * The control socket of a run: tells whoever asks what the machine's domains are doing. It lives on the thread that conducts the
 * run and only reads shared memory: the guests' threads have no part in it.
 *
 * A client can cost the run nothing but the reading it asks for: a request at a time, no reply before the last one has been
 * taken, a bounded number of clients, and a connection that sends anything but requests is closed with one line that says so.
 */
import { unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import * as v from 'valibot';
import { readLines } from './lines';
import {
  DEFAULT_CHANNELS,
  type Greeting,
  type MachineReport,
  MOST_REQUEST_BYTES,
  PROTOCOL_VERSION,
  type Reply,
  type Request,
  requestSchema,
} from './protocol';
import { listenAt } from './socket-path';

const MOST_CLIENTS = 32;

/** @param channels - of each domain that are described, at most */
export type ReportSource = (channels: number) => MachineReport;

export class MonitorServer {
  private readonly clients = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly file: string,
    private readonly source: ReportSource,
  ) {
    server.on('connection', (socket) => this.accept(socket));
    // The run, not its onlookers, keeps the process.
    server.unref();
  }

  /**
   * Serves at a path from now on.
   * @throws ControlError if that cannot be
   */
  static async listen(file: string, source: ReportSource): Promise<MonitorServer> {
    const server = createServer();
    const monitor = new MonitorServer(server, file, source);
    await listenAt(server, file);
    process.on('exit', monitor.remove);
    // After that an error is a connection's, not accepted for want of files: the next one may be.
    server.on('error', () => {});
    return monitor;
  }

  /** Tells the clients that the run is over, and removes the socket. */
  async close(why: string): Promise<void> {
    process.off('exit', this.remove);
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const client of this.clients) {
      send(client, { end: why });
      client.destroySoon();
    }
    // Who does not read does not hold up the end.
    await Promise.race([closed, soon()]);
    for (const client of this.clients) client.destroy();
  }

  /** A process that ends in the middle of a run takes its socket with it. */
  private readonly remove = (): void => {
    try {
      unlinkSync(this.file);
    } catch {
      // It has gone already.
    }
  };

  private accept(socket: Socket): void {
    socket.on('error', () => {});
    if (this.clients.size >= MOST_CLIENTS) {
      refuse(socket, null, 'TOO_MANY', `there are ${MOST_CLIENTS} clients already`);
      return;
    }
    this.clients.add(socket);
    socket.once('close', () => this.clients.delete(socket));
    const greeting: Greeting = { upcall: 'control', version: PROTOCOL_VERSION, pid: process.pid };
    socket.write(`${JSON.stringify(greeting)}\n`);
    readLines(socket, MOST_REQUEST_BYTES, {
      line: (text) => this.answer(socket, text),
      tooLong: () => refuse(socket, null, 'TOO_LONG', `a request has at most ${MOST_REQUEST_BYTES} bytes`),
    });
  }

  private answer(socket: Socket, text: string): void {
    if (socket.writableEnded) return;
    const request = parseRequest(text);
    if (typeof request === 'string') {
      refuse(socket, null, 'BAD_REQUEST', request);
      return;
    }
    if (socket.writableNeedDrain) {
      refuse(socket, request.id, 'NOT_READ', 'a reply that was not read yet comes before the next request');
      return;
    }
    const { id, channels = DEFAULT_CHANNELS } = request;
    send(socket, { id, machine: this.source(channels) });
  }
}

function parseRequest(text: string): Request | string {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return 'a request is one line of JSON';
  }
  const parsed = v.safeParse(requestSchema, data, { abortEarly: true });
  return parsed.success ? parsed.output : `${v.getDotPath(parsed.issues[0]) ?? 'request'}: ${parsed.issues[0].message}`;
}

function send(socket: Socket, reply: Reply): void {
  socket.write(`${JSON.stringify(reply)}\n`);
}

function refuse(socket: Socket, id: number | null, code: string, message: string): void {
  send(socket, { id, error: { code, message } });
  socket.end();
}

/** The socket is gone from the file system at once; its clients have this long to take their last line. */
function soon(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 200).unref());
}
