/**
 * Options that several commands share, each with the parser that checks it. A parser throws commander's
 * InvalidArgumentError; the message that comes of it names the option and what was given.
 */
import { type Command, InvalidArgumentError } from 'commander';
import { ABI_NAMES, type AbiName, isAbiName } from '../abi';
import { isEventAbi } from '../engine/scenario-validation';
import { EVENT_ABIS, type EventAbi } from '../guest/vcpu';

/** vCPUs a domain may have. */
export const MAX_VCPUS = 128;

/** Highest seed: generators take 32 bits. */
const MAX_SEED = 2 ** 32 - 1;

function integer(text: string): number {
  return /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
}

/** A parser of whole numbers from `min` to `max`, decimal or 0x hexadecimal. */
export function integerBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = integer(text);
    if (value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

/** A parser of whole numbers from `min` up. */
export function integerFrom(min: number): (text: string) => number {
  return integerBetween(min, Number.MAX_SAFE_INTEGER);
}

export const parseVcpus = integerBetween(1, MAX_VCPUS);

export const parseSeed = integerBetween(0, MAX_SEED);

export function parseAbi(text: string): AbiName {
  if (isAbiName(text)) return text;
  throw new InvalidArgumentError(`It must be one of ${ABI_NAMES.join(', ')}.`);
}

export function parseEventAbi(text: string): EventAbi {
  if (isEventAbi(text)) return text;
  throw new InvalidArgumentError(`It must be one of ${EVENT_ABIS.join(', ')}.`);
}

/** The scenario's args: any JSON value. */
export function parseArgs(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`It must be JSON, such as '{"rounds":100}': ${(error as Error).message}.`);
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A duration such as 500ms, 30s, 1.5m, 2h; a plain number is in seconds. Returns milliseconds, above 0. */
export function parseDurationMs(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const durationMs = Number(number) * (UNIT_MS[unit] as number);
  if (durationMs > 0 && durationMs <= Number.MAX_SAFE_INTEGER) return durationMs;
  throw new InvalidArgumentError('It must be a duration such as 500ms, 30s, 5m or 2h.');
}

/** What {@link addScenarioOptions} adds, as commander hands it to an action. */
export interface ScenarioOptions {
  readonly vcpus?: number;
  readonly args?: unknown;
  readonly abi?: AbiName;
  readonly events?: EventAbi;
}

/** Adds what every command that takes a scenario understands: --vcpus, --args, --abi, --events. */
export function addScenarioOptions(command: Command): Command {
  return command
    .option('--vcpus <n>', `vCPUs of the first domain, 1 to ${MAX_VCPUS}`, parseVcpus)
    .option('--args <json>', 'args of the scenario, as vcpu.domain.args in every guest', parseArgs)
    .option('--abi <name>', `ABI of the guests: ${ABI_NAMES.join(', ')}`, parseAbi)
    .option('--events <abi>', `event-channel ABI of the guests: ${EVENT_ABIS.join(', ')}`, parseEventAbi);
}

/** Adds --seed. */
export function addSeedOption(command: Command): Command {
  return command.option('--seed <s>', 'seed of everything random', parseSeed);
}
