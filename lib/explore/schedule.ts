/**
 * A schedule: which actor executes each event, and what each nondeterministic choice comes to. Its text form, the token, is
 * what a failure prints and a replay takes.
 *
 * Token: `u1-<fingerprint>-<model><flags><seed>-<runs>-<choices>-<check>`, all of it letters and digits: `u1` is the version
 * of the format; the fingerprint (8 hex digits) is that of the scenario; the model is `s` or `t`; the flags are `h`
 * where hypercalls are atomic and `r` where data races are failures; the seed is hexadecimal; runs are an actor's letter (a…z, then A…) and how many events in a row it executes, 1 left out;
 * choices are hex digits or `x` for none; the check is over everything before it, so that a token cut off or mistyped is noticed.
 */
import { UpcallError } from '../engine/errors';
import type { HypercallSteps, MemoryModel } from '../engine/inline/event-stack';

export interface Schedule {
  readonly memoryModel: MemoryModel;
  /** Seed of vcpu.random. */
  readonly seed: number;
  /** Default 'fine'. */
  readonly hypercalls?: HypercallSteps;
  /** Data races count as failures. */
  readonly dataRaces?: boolean;
  /** Actor of each event. */
  readonly actors: readonly number[];
  /** Results of the choices, in the order they were made. */
  readonly choices: readonly number[];
}

const VERSION = 'u1';
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** A token that cannot be used. */
export class TokenError extends UpcallError {
  override readonly name = 'TokenError';

  constructor(message: string) {
    super('TOKEN_INVALID', message);
  }
}

/** Eight hex digits that differ for different texts, most likely (FNV-1a). */
export function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

export function encodeToken(schedule: Schedule, scenarioFingerprint: string): string {
  let runs = '';
  for (let event = 0; event < schedule.actors.length; ) {
    const actor = schedule.actors[event] as number;
    let length = 1;
    while (schedule.actors[event + length] === actor) length++;
    runs += LETTERS.charAt(actor) + (length > 1 ? String(length) : '');
    event += length;
  }
  const choices = schedule.choices.map((value) => value.toString(16)).join('');
  const model = schedule.memoryModel === 'tso' ? 't' : 's';
  const flags = (schedule.hypercalls === 'atomic' ? 'h' : '') + (schedule.dataRaces === true ? 'r' : '');
  const seed = (schedule.seed >>> 0).toString(16);
  const body = `${VERSION}-${scenarioFingerprint}-${model}${flags}${seed}-${runs || 'x'}-${choices || 'x'}`;
  return `${body}-${fingerprint(body).slice(0, 4)}`;
}

/**
 * Reads a token for a scenario.
 * @throws TokenError saying in one line what is wrong with it
 */
export function decodeToken(token: string, scenarioFingerprint: string): Schedule {
  const parts = token.trim().split('-');
  const [version = '', given = '', setting = '', runs = '', choices = '', check] = parts;
  if (!/^u\d+$/.test(version)) throw new TokenError('this is not a replay token: one begins with u1-');
  if (version !== VERSION) throw new TokenError(`the token has format ${version}, this version reads ${VERSION}`);
  if (parts.length !== 6 || check !== fingerprint(parts.slice(0, -1).join('-')).slice(0, 4)) {
    throw new TokenError('the token is cut off or mistyped: copy it whole');
  }
  if (given !== scenarioFingerprint) {
    throw new TokenError('the token belongs to another scenario, to other args, or to an earlier text of this one');
  }
  const actors: number[] = [];
  for (const [, letter = '', count] of runs.matchAll(/([a-zA-Z])(\d*)/g)) {
    if (runs === 'x') break;
    const length = count === undefined || count === '' ? 1 : Number(count);
    for (let i = 0; i < length; i++) actors.push(LETTERS.indexOf(letter));
  }
  return {
    memoryModel: setting.startsWith('t') ? 'tso' : 'sc',
    seed: Number.parseInt(setting.replace(/^[a-z]h?r?/, ''), 16),
    hypercalls: setting.includes('h') ? 'atomic' : 'fine',
    dataRaces: setting.includes('r'),
    actors,
    choices: choices === 'x' ? [] : [...choices].map((digit) => Number.parseInt(digit, 16)),
  };
}
