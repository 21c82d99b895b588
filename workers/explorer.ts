/** Worker entry of parallel exploration. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type ExplorerTask, runExplorer } from '../lib/explore/parallel/explorer';

function receive(port: MessagePort): unknown {
  return receiveMessageOnPort(port)?.message;
}

export = (task: ExplorerTask): void => runExplorer(task, receive);
