/**
 * The bare side of the baselines of `upcall bench`: what two worker threads can do to each other without any of
 * Upcall. Each task runs in a worker of its own, started by lib/cli/bench/baselines.ts.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads';

/** What a peer is started with. */
export interface PeerTask {
  readonly kind:
    | 'atomics-wait'
    | 'spin-then-wait'
    | 'post-message'
    | 'message-stream'
    | 'idle'
    | 'or-stream'
    | 'file-read'
    | 'file-write';
  /** The side that starts and measures is 0. */
  readonly side: 0 | 1;
  readonly rounds: number;
  /** Of a message; 0: it is a number. */
  readonly bytes?: number;
  /** Word 0 and word 16 are the two sides' turn words; word 32 is the stream's. */
  readonly buffer: SharedArrayBuffer;
  /** Absent: the other side is the main thread, over this thread's own port. */
  readonly port?: MessagePort;
  /** What is read or written, from its start. */
  readonly file?: string;
}

/** Of the file that is read and written. */
const FILE_BYTES = 64 * 1024 * 1024;

/** Spins before sleeping, long enough for a partner that is running. */
const SPINS = 20_000;
/** Stands in a turn word while its owner sleeps. */
const SLEEPING = -1;

/** How a side hands the turn over and waits for its own; `round` counts from 1. */
interface Turn {
  pass(word: number, round: number): void;
  await(word: number, round: number): void;
}

function waiting(words: Int32Array): Turn {
  return {
    pass(word, round) {
      Atomics.store(words, word, round);
      Atomics.notify(words, word);
    },
    await(word, round) {
      while (Atomics.load(words, word) !== round) Atomics.wait(words, word, round - 1);
    },
  };
}

/** Spins first; whoever gives up leaves a mark, so that a notify is paid for only when somebody sleeps. */
function spinning(words: Int32Array): Turn {
  return {
    pass(word, round) {
      if (Atomics.exchange(words, word, round) === SLEEPING) Atomics.notify(words, word);
    },
    await(word, round) {
      for (let i = 0; i < SPINS; i++) if (Atomics.load(words, word) === round) return;
      if (Atomics.compareExchange(words, word, round - 1, SLEEPING) === round) return;
      while (Atomics.load(words, word) !== round) Atomics.wait(words, word, SLEEPING);
    },
  };
}

/** One word per direction: a side raises the other's word and waits for its own. Returns ns per round trip. */
function pingPong({ side, rounds }: PeerTask, turn: Turn): number {
  const start = performance.now();
  for (let round = 1; round <= rounds; round++) {
    if (side === 0) {
      turn.pass(16, round);
      turn.await(0, round);
    } else {
      turn.await(16, round);
      turn.pass(0, round);
    }
  }
  return ((performance.now() - start) * 1e6) / rounds;
}

/** Where messages go and come from. */
function portOf({ port }: PeerTask): MessagePort {
  const own = port ?? parentPort;
  if (own === null) throw new TypeError('a worker has a port to its parent');
  return own;
}

function messageOf({ bytes = 0 }: PeerTask, round: number): number | Uint8Array {
  return bytes === 0 ? round : new Uint8Array(bytes).fill(7);
}

/** A message back and forth through the event loop of both sides. */
function postMessagePingPong(task: PeerTask, done: (nsPerRound: number) => void): void {
  const { side, rounds } = task;
  const port = portOf(task);
  const start = performance.now();
  let round = 0;
  const take = (): void => {
    round++;
    if (side === 1 || round < rounds) port.postMessage(messageOf(task, round));
    if (round !== rounds) return;
    port.off('message', take);
    if (task.port !== undefined) port.close();
    done(((performance.now() - start) * 1e6) / rounds);
  };
  port.on('message', take);
  if (side === 0) port.postMessage(messageOf(task, 0));
}

/** Messages one way as fast as they can be posted, and an answer to the last. */
function messageStream(task: PeerTask, done: (nsPerMessage: number) => void): void {
  const { side, rounds } = task;
  const port = portOf(task);
  const start = performance.now();
  let received = 0;
  const take = (): void => {
    if (++received < (side === 0 ? 1 : rounds)) return;
    port.off('message', take);
    if (side === 1) port.postMessage(0);
    if (task.port !== undefined) port.close();
    done(((performance.now() - start) * 1e6) / rounds);
  };
  port.on('message', take);
  if (side === 0) for (let i = 0; i < rounds; i++) port.postMessage(messageOf(task, i));
}

/**
 * Side 0 sets one bit per event in a word, side 1 takes them all with an exchange: the least a sender and a receiver can do.
 * Returns ns per event sent.
 */
function orStream({ side, rounds, buffer }: PeerTask): number {
  const words = new Int32Array(buffer);
  const start = performance.now();
  if (side === 0) {
    for (let i = 0; i < rounds; i++) Atomics.or(words, 32, 1 << (i & 15));
    Atomics.or(words, 32, 1 << 30);
  } else {
    while ((Atomics.exchange(words, 32, 0) & (1 << 30)) === 0);
  }
  return ((performance.now() - start) * 1e6) / rounds;
}

/** One call after the other, over the whole file and again. Returns ns per call, after a tenth of them. */
function fileCalls({ kind, rounds, bytes = 0, file = '' }: PeerTask): number {
  const fd = openSync(file, 'r+');
  const last = FILE_BYTES - bytes;
  const buffer = new Uint8Array(bytes).fill(7);
  const warmUp = Math.ceil(rounds / 10);
  let start = 0;
  for (let round = 0; round < warmUp + rounds; round++) {
    if (round === warmUp) start = performance.now();
    if (kind === 'file-read') readSync(fd, buffer, 0, bytes, (round * bytes) % last);
    else writeSync(fd, buffer, 0, bytes, (round * bytes) % last);
  }
  const ns = ((performance.now() - start) * 1e6) / rounds;
  closeSync(fd);
  return ns;
}

function serve(task: PeerTask): void {
  const answer = (value: number) => parentPort?.postMessage(value);
  parentPort?.postMessage('ready');
  // Both sides have reported in before either is told to go.
  parentPort?.once('message', () => {
    const words = new Int32Array(task.buffer);
    if (task.kind === 'atomics-wait') answer(pingPong(task, waiting(words)));
    else if (task.kind === 'spin-then-wait') answer(pingPong(task, spinning(words)));
    else if (task.kind === 'post-message') postMessagePingPong(task, answer);
    else if (task.kind === 'message-stream') messageStream(task, answer);
    else if (task.kind === 'or-stream') answer(orStream(task));
    else if (task.kind === 'file-read' || task.kind === 'file-write') answer(fileCalls(task));
    else answer(0);
  });
}

if (isMainThread) throw new Error('bench-peer runs as a worker thread only');
serve(workerData as PeerTask);
