/**
 * `net`: frames between two domains over rings, grants and one event channel, beside messages between threads by Node's own
 * means: a MessageChannel between two workers, postMessage between a worker and the main thread.
 */
import { mainThreadPeer, peers } from './baselines';
import { type BenchGroup, firstResult, runGuest } from './group';
import { measurePairs, type Pair } from './measure';

/** A small request. */
const BYTES = 64;
const ROUNDS = 5000;
const STREAMED = 100_000;
const WARM_UP = 2000;

/** From ns a message. */
function thousandsPerSecond(ns: number): number {
  return 1e6 / ns;
}

function pairsOf(signal: AbortSignal): Pair[] {
  // Three vCPUs, xenstored's among them: halt polling would need a core for each.
  const wire = async (answered: boolean, rounds: number): Promise<number> => {
    const args = { answered, rounds, warmUp: WARM_UP, bytes: BYTES };
    return firstResult<number>(await runGuest('net', { args, haltPolling: false, signal }));
  };
  const asleep = () => wire(true, ROUNDS);
  const stream = async () => thousandsPerSecond(await wire(false, STREAMED));
  const channel = { name: 'MessageChannel, two workers', sample: () => peers('post-message', ROUNDS, BYTES) };
  const main = {
    name: 'postMessage, worker and main thread',
    sample: () => mainThreadPeer('post-message', ROUNDS, BYTES),
  };
  const channelStream = {
    name: channel.name,
    sample: async () => thousandsPerSecond(await peers('message-stream', STREAMED, BYTES)),
  };
  const mainStream = {
    name: main.name,
    sample: async () => thousandsPerSecond(await mainThreadPeer('message-stream', STREAMED, BYTES)),
  };
  const trip = { unit: 'ns per round trip' };
  const flow = { unit: 'thousand messages/s' };
  return [
    { ...trip, name: 'net, 64 bytes to and fro', subject: asleep, baseline: channel },
    { ...trip, name: 'net, 64 bytes to and fro', subject: asleep, baseline: main },
    { ...flow, name: 'net, 64 bytes one way', subject: stream, baseline: channelStream },
    { ...flow, name: 'net, 64 bytes one way', subject: stream, baseline: mainStream },
  ];
}

export const net: BenchGroup = {
  name: 'net',
  description: 'frames between two domains, beside messages between threads',
  measure: (signal) => measurePairs(pairsOf(signal), signal),
};
