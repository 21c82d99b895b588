/** The command that replays an execution, as a shell takes it. */

import type { MemoryModel } from '../engine/inline/event-stack';
import type { ScenarioOptions } from '../engine/machine-plan';
import { shorten } from '../engine/scenario-source';

/** What a replay needs to be told again, as it was given to explore. */
export interface ReplaySetting extends ScenarioOptions {
  readonly memoryModel?: MemoryModel;
  readonly maxSteps?: number;
}

/**
 * `upcall replay examples/x.ts --vcpus 2 u1-…`, to be copied to a shell as it is.
 * @param scenario - path or name of the scenario
 */
export function replayCommand(scenario: string, setting: ReplaySetting, token: string): string {
  return ['upcall', 'replay', quote(shorten(scenario)), ...settingWords(setting), token].join(' ');
}

function settingWords({ vcpus, abi, events, args, memoryModel, maxSteps }: ReplaySetting): string[] {
  const words: string[] = [];
  const add = (option: string, value: unknown): void => {
    if (value !== undefined) words.push(option, quote(String(value)));
  };
  add('--vcpus', vcpus);
  add('--abi', abi);
  add('--events', events);
  add('--args', args === undefined ? undefined : JSON.stringify(args));
  add('--memory-model', memoryModel);
  add('--max-steps', maxSteps);
  return words;
}

/** A word as a POSIX shell reads it back. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
