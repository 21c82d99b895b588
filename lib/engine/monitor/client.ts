/** The other end of a control socket: asks a run what its domains are doing. */
import { connect, type Socket } from 'node:net';
import * as v from 'valibot';
import { readLines } from './lines';
import {
  greetingSchema,
  type MachineReport,
  MOST_REPLY_BYTES,
  PROTOCOL_VERSION,
  type Reply,
  type Request,
  replySchema,
} from './protocol';
import { ControlError, cannotConnect, checkSocketPath } from './socket-path';

/** A run that does not answer for so long is told to be stuck: its main thread has nothing else to do. */
const ANSWER_LIMIT_MS = 10_000;

interface Waiting {
  readonly id: number;
  resolve(report: MachineReport): void;
  reject(error: Error): void;
}

export class MonitorClient {
  private waiting: Waiting | undefined;
  private greeted = false;
  private requests = 0;
  /** Why nothing more is to come. */
  private over: ControlError | undefined;

  private constructor(
    private readonly socket: Socket,
    private readonly file: string,
  ) {
    // A write to a run that has just ended: 'close' follows.
    socket.on('error', () => {});
    socket.once('close', () => this.end(new ControlError(`the run at ${file} is over`)));
    readLines(socket, MOST_REPLY_BYTES, {
      line: (text) => this.take(text),
      tooLong: () => this.end(new ControlError(`${file} is no control socket of upcall: its line does not end`)),
    });
  }

  /** @throws ControlError */
  static async connect(file: string): Promise<MonitorClient> {
    checkSocketPath(file);
    return await new Promise((resolve, reject) => {
      const socket = connect(file);
      const failed = (error: NodeJS.ErrnoException): void => reject(cannotConnect(file, error));
      socket.once('error', failed);
      socket.once('connect', () => {
        socket.off('error', failed);
        resolve(new MonitorClient(socket, file));
      });
    });
  }

  /**
   * The machine now. One request at a time.
   * @param channels - of each domain that are described, at most
   * @throws ControlError
   */
  machine(channels: number): Promise<MachineReport> {
    if (this.over !== undefined) return Promise.reject(this.over);
    const id = ++this.requests;
    const request: Request = { id, request: 'machine', channels };
    return new Promise((resolve, reject) => {
      const limit = setTimeout(
        () => this.end(new ControlError(`the run at ${this.file} does not answer for ${ANSWER_LIMIT_MS / 1000} s`)),
        ANSWER_LIMIT_MS,
      );
      const settled = () => clearTimeout(limit);
      this.waiting = {
        id,
        resolve: (report) => {
          settled();
          resolve(report);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      this.socket.write(`${JSON.stringify(request)}\n`);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private take(text: string): void {
    const data = parseJson(text);
    if (!this.greeted) this.greet(data);
    else this.settle(data);
  }

  private greet(data: unknown): void {
    const parsed = v.safeParse(greetingSchema, data);
    if (!parsed.success) {
      // A server may refuse us before it greets.
      if (v.is(replySchema, data)) this.settle(data);
      else this.end(new ControlError(`${this.file} is no control socket of upcall`));
      return;
    }
    const { version } = parsed.output;
    this.greeted = true;
    if (version === PROTOCOL_VERSION) return;
    const versions = `version ${version}; this upcall speaks version ${PROTOCOL_VERSION}`;
    this.end(new ControlError(`the run at ${this.file} speaks the control protocol in ${versions}`));
  }

  private settle(data: unknown): void {
    const parsed = v.safeParse(replySchema, data, { abortEarly: true });
    if (!parsed.success) {
      this.end(new ControlError(`the run at ${this.file} sends what is no reply`));
      return;
    }
    const reply: Reply = parsed.output;
    if ('end' in reply) this.end(new ControlError(`the run at ${this.file} is over: ${reply.end}`));
    else if ('error' in reply) this.end(new ControlError(`the run at ${this.file} refuses: ${reply.error.message}`));
    else if (reply.id === this.waiting?.id) {
      const { waiting } = this;
      this.waiting = undefined;
      waiting.resolve(reply.machine);
    }
  }

  private end(error: ControlError): void {
    this.over ??= error;
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.reject(this.over);
    this.socket.destroy();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
