/**
 * What programs are likely to do next: what each did at the same position of its log in earlier executions.
 *
 * Random search hardly ever meets a history twice, so what follows a result has to be learnt by running the program, and
 * that is most of what it costs. But most code does the same whatever an access returns. A program that has done the
 * same at a position time and again is taken to do so once more, without being run. Guesses are checked when the
 * program is run next, and all of them before an execution counts: the program is run through its whole log, and where it
 * does something else the execution goes back to that step.
 */
import { KIND_MASK, Op } from './ops';

/** Slots per position. */
const GUESS = 4;
const TAG = 0;
const OPERAND = 1;
const EXPECTED = 2;
/** How often in a row the program did this here; below zero after a wrong guess. */
const TRUST = 3;

const ENOUGH = 16;
const DISTRUST = -256;

/** Kinds whose record says all about them; what waits, chooses or ends is asked for. */
const GUESSABLE = new Uint8Array(KIND_MASK + 1);
for (let kind: number = Op.READ8; kind <= Op.WRITE_UNLOCK; kind++) GUESSABLE[kind] = 1;
GUESSABLE[Op.WINDOW] = 1;

export class Guesses {
  private readonly positions: Int32Array[] = [];

  constructor(programs: number) {
    for (let program = 0; program < programs; program++) this.positions.push(new Int32Array(GUESS * 64));
  }

  /** Whether a program is likely to do at `position` what {@link tag} and the others say. */
  trusts(program: number, position: number): boolean {
    const slots = this.positions[program] as Int32Array;
    const at = position * GUESS;
    return at < slots.length && (slots[at + TRUST] as number) >= ENOUGH;
  }

  tag(program: number, position: number): number {
    return (this.positions[program] as Int32Array)[position * GUESS + TAG] as number;
  }

  operand(program: number, position: number): number {
    return (this.positions[program] as Int32Array)[position * GUESS + OPERAND] as number;
  }

  expected(program: number, position: number): number {
    return (this.positions[program] as Int32Array)[position * GUESS + EXPECTED] as number;
  }

  /** Takes note of what a program did. */
  observe(program: number, position: number, tag: number, operand: number, expected: number): void {
    let slots = this.positions[program] as Int32Array;
    const at = position * GUESS;
    if (at >= slots.length) slots = this.grow(program, at);
    const trust = slots[at + TRUST] as number;
    if (trust < 0) {
      slots[at + TRUST] = trust + 1;
    } else if (slots[at + TAG] === tag && slots[at + OPERAND] === operand && slots[at + EXPECTED] === expected) {
      slots[at + TRUST] = Math.min(trust + (GUESSABLE[tag & KIND_MASK] as number), ENOUGH);
    } else {
      slots[at + TRUST] = 0;
      slots[at + TAG] = tag;
      slots[at + OPERAND] = operand;
      slots[at + EXPECTED] = expected;
    }
  }

  /** The program did something else than guessed: asks it for some time. */
  wasWrong(program: number, position: number): void {
    (this.positions[program] as Int32Array)[position * GUESS + TRUST] = DISTRUST;
  }

  private grow(program: number, at: number): Int32Array {
    const slots = this.positions[program] as Int32Array;
    let size = slots.length;
    while (size <= at) size *= 2;
    const larger = new Int32Array(size);
    larger.set(slots);
    this.positions[program] = larger;
    return larger;
  }
}
