/** Small random programs, for comparing strategies. */

import { Op } from '../../../lib/engine/inline/ops';
import type { Random } from '../../../lib/engine/rng';
import { at, type Bare } from './bare';

type Step = (memory: Parameters<Bare>[0], engine: Parameters<Bare>[1], seen: number[]) => void;

/** What a random program may be made of. */
export interface Ingredients {
  locks?: boolean;
  waits?: boolean;
  bytes?: boolean;
  /** Spinning on one byte of a word that is read whole. */
  spins?: boolean;
  choices?: boolean;
  sleepers?: boolean;
  /** Some of the accesses are taken together, as in an atomic hypercall. No choices and no spinning then. */
  sections?: boolean;
}

/**
 * Two or three programs with a few accesses each.
 * @param budget - upper bound for the number of schedules (a multinomial coefficient, locks not counted)
 */
export function randomPrograms(
  rng: Random,
  ingredients: Ingredients,
  budget = 20_000,
): { programs: Bare[]; text: string } {
  for (;;) {
    const actors = 2 + rng.below(2);
    const words = 1 + rng.below(3);
    const text: string[] = [];
    const programs: Bare[] = [];
    const lengths: number[] = [];
    for (let actor = 0; actor < actors; actor++) {
      const steps: Step[] = [];
      const lines: string[] = [];
      let length = 0;
      const wanted = 2 + rng.below(4);
      let inside = false;
      const bracket = () => {
        inside = !inside;
        const tag = inside ? Op.ENTER : Op.LEAVE;
        steps.push((_memory, engine) => engine.step(tag, 0, 0));
        lines.push(inside ? '[' : ']');
      };
      while (length < wanted) {
        if (ingredients.sections && rng.below(inside ? 3 : 2) === 0) bracket();
        length += addStep(rng, ingredients, words, steps, lines);
      }
      if (inside) bracket();
      lengths.push(length);
      text.push(lines.join('; '));
      programs.push((memory, engine) => {
        const seen: number[] = [];
        for (const step of steps) step(memory, engine, seen);
        return seen;
      });
    }
    if (multinomial(lengths) <= budget) return { programs, text: text.join(' || ') };
  }
}

function addStep(rng: Random, ingredients: Ingredients, words: number, steps: Step[], lines: string[]): number {
  const word = at(rng.below(words));
  const value = 1 + rng.below(2);
  const kinds = ['read', 'write', 'load', 'store', 'add', 'cas', 'exchange'];
  if (ingredients.locks) kinds.push('lock', 'share', 'try', 'lock', 'share');
  if (ingredients.waits) kinds.push('await', ingredients.sections ? 'await' : 'spin', 'clear', 'clear');
  if (ingredients.bytes) kinds.push('read8', 'write8', 'or8', 'cas8');
  if (ingredients.spins) kinds.push('spin8', 'spin8', 'write8', 'or8');
  if (ingredients.choices) kinds.push('choose', 'choose');
  if (ingredients.sleepers) kinds.push('wait', 'notify', 'notify');
  const kind = kinds[rng.below(kinds.length)] as string;
  const lock = at(8);
  const byte = word + rng.below(4);
  lines.push(`${kind} ${word / 4}${'8'.includes(kind.at(-1) as string) ? `.${byte & 3}` : ''} ${value}`);
  switch (kind) {
    case 'read':
      steps.push((memory, _engine, seen) => seen.push(memory.read32(word)));
      return 1;
    case 'write':
      steps.push((memory) => memory.write32(word, value));
      return 1;
    case 'load':
      steps.push((memory, _engine, seen) => seen.push(memory.load32(word)));
      return 1;
    case 'store':
      steps.push((memory) => memory.store32(word, value));
      return 1;
    case 'add':
      steps.push((memory, _engine, seen) => seen.push(memory.add32(word, value)));
      return 1;
    case 'cas':
      steps.push((memory, _engine, seen) => seen.push(memory.compareExchange32(word, value - 1, value)));
      return 1;
    case 'exchange':
      steps.push((memory, _engine, seen) => seen.push(memory.exchange32(word, value)));
      return 1;
    case 'clear':
      steps.push((memory) => memory.and32(word, 0));
      return 1;
    case 'await':
      steps.push((memory) => memory.awaitClear(word, value));
      return 1;
    case 'spin':
      steps.push((memory, engine) => {
        for (let tries = 0; tries < 2 && memory.load32(word) === 0; tries++) engine.relax();
      });
      return 3;
    case 'spin8':
      steps.push((memory, engine) => {
        const byteOf = (read: number) => (read >>> ((byte & 3) * 8)) & 0xff;
        for (let tries = 0; tries < 2 && byteOf(memory.read32(word)) === 0; tries++) engine.relax();
      });
      return 3;
    case 'lock':
      steps.push((memory, _engine, seen) => {
        memory.writeLock(lock);
        seen.push(memory.add32(word, value));
        memory.writeUnlock(lock);
      });
      return 3;
    case 'share':
      steps.push((memory, _engine, seen) => {
        memory.readLock(lock);
        seen.push(memory.load32(word));
        memory.readUnlock(lock);
      });
      return 3;
    case 'try':
      steps.push((memory, _engine, seen) => {
        if (!memory.readTrylock(lock)) return;
        seen.push(memory.load32(word));
        memory.readUnlock(lock);
      });
      return 3;
    case 'choose':
      steps.push((memory, engine, seen) => {
        if (engine.choose(2) === 0) seen.push(memory.load32(word));
        else memory.store32(word, value);
      });
      return 2;
    case 'wait':
      steps.push((memory, _engine, seen) => seen.push(memory.wait32(word, 0, value === 1 ? 5 : undefined).length));
      return 2;
    case 'notify':
      steps.push((memory, _engine, seen) => seen.push(memory.notify32(word, value)));
      return 1;
    case 'read8':
      steps.push((memory, _engine, seen) => seen.push(memory.read8(byte)));
      return 1;
    case 'write8':
      steps.push((memory) => memory.write8(byte, value));
      return 1;
    case 'or8':
      steps.push((memory, _engine, seen) => seen.push(memory.or8(byte, value)));
      return 1;
    default:
      steps.push((memory, _engine, seen) => seen.push(memory.compareExchange8(byte, value - 1, value)));
      return 1;
  }
}

function multinomial(lengths: readonly number[]): number {
  let ways = 1;
  let placed = 0;
  for (const length of lengths) for (let i = 1; i <= length; i++) ways = (ways * ++placed) / i;
  return ways;
}
