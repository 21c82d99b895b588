import { expect } from 'chai';
import { ENGINE_BYTES, KIND_BITS, NOTIFIED, Op } from '../../lib/engine/inline/ops';
import { LockstepState } from '../../lib/engine/lockstep/lockstep-state';
import { createLockstepBuffers } from '../../lib/engine/lockstep/shared-words';

const WRITE_LOCKED = -0x8000_0000;
const STOP = 8;
const WORD = 64;
const NOWHERE = -1;

/** A machine of two programs over a region of a few words. */
function machine(tso = false): { state: LockstepState; words: Int32Array } {
  const buffer = new SharedArrayBuffer(256);
  const places = [{ region: { kind: 'global' as const }, base: 0, bytes: buffer.byteLength, buffer }];
  const state = new LockstepState(createLockstepBuffers(2, 100), places, tso);
  state.words.begin([], [], { clockNs: 0, deadlineNs: 0 });
  return { state, words: new Int32Array(buffer) };
}

/** @param address - in the region; of an operation on no word anything below 0 */
function pend({ words }: LockstepState, program: number, kind: number, address: number, operand = 0): void {
  const tag = address < 0 ? kind : ((ENGINE_BYTES + address) << KIND_BITS) | kind;
  words.setPending(program, kind, tag, operand, 0);
}

/** Executes an operation of a program at once. */
function execute(state: LockstepState, program: number, kind: number, address: number, operand = 0): number {
  pend(state, program, kind, address, operand);
  return state.executor.execute(program);
}

describe('Guards of the lockstep engine', () => {
  const onWord: readonly [what: string, kind: number, operand: number, value: number, enabled: boolean][] = [
    ['a shared lock that is free', Op.READ_LOCK, 0, 0, true],
    ['a shared lock that others share', Op.READ_LOCK, 0, 2, true],
    ['a shared lock that is held exclusively', Op.READ_LOCK, 0, WRITE_LOCKED, false],
    ['an exclusive lock that is free', Op.WRITE_LOCK, 0, 0, true],
    ['an exclusive lock that others share', Op.WRITE_LOCK, 0, 1, false],
    ['an exclusive lock that is held exclusively', Op.WRITE_LOCK, 0, WRITE_LOCKED, false],
    ['a bit that is set', Op.AWAIT_CLEAR, 1, 1, false],
    ['a bit that is clear', Op.AWAIT_CLEAR, 1, 2, true],
    ['a bit that is set, of a vCPU that has to leave', Op.AWAIT_CLEAR, 1, 1 | STOP, true],
    ['any word it only reads', Op.READ32, 0, WRITE_LOCKED, true],
  ];
  for (const [what, kind, operand, value, enabled] of onWord) {
    it(`${enabled ? 'let a program go on at' : 'hold a program at'} ${what}`, () => {
      const { state, words } = machine();
      words[WORD / 4] = value;
      pend(state, 1, kind, WORD, operand);
      pend(state, 0, Op.END, NOWHERE);
      expect(state.guards.isEnabled(1)).to.equal(enabled);
      expect(state.guards.enabled()).to.equal(enabled ? 2 : 0);
    });
  }

  it('hold a sleeper until it is notified, or its time limit lets it go', () => {
    const { state } = machine();
    pend(state, 0, Op.WAIT_END, WORD, 0);
    expect(state.guards.isEnabled(0)).to.equal(false);
    state.words.setSleeper(0, NOTIFIED);
    expect(state.guards.isEnabled(0)).to.equal(true);
    state.words.setSleeper(0, WORD + 1);
    pend(state, 0, Op.WAIT_END, WORD, 1);
    expect(state.guards.isEnabled(0)).to.equal(true);
  });

  it('hold the timer until it is armed, and what is parked for ever', () => {
    const { state } = machine();
    pend(state, 0, Op.TIMER_WAIT, NOWHERE);
    pend(state, 1, Op.PARK, NOWHERE);
    expect(state.guards.enabled()).to.equal(0);
    state.words.deadlineNs = 5;
    expect(state.guards.enabled()).to.equal(1);
  });

  it('hold a spinning program until something it has read is different', () => {
    const { state } = machine();
    execute(state, 0, Op.LOAD32, WORD);
    execute(state, 0, Op.ADD32, WORD + 4, 1);
    pend(state, 0, Op.RELAX, NOWHERE);
    expect(state.guards.isEnabled(0)).to.equal(false);
    execute(state, 1, Op.STORE32, WORD + 8, 1);
    expect(state.guards.isEnabled(0), 'a word it has not read').to.equal(false);
    execute(state, 1, Op.STORE32, WORD, 1);
    expect(state.guards.isEnabled(0), 'a word it has read').to.equal(true);
    execute(state, 1, Op.STORE32, WORD, 0);
    expect(state.guards.isEnabled(0), 'and put back').to.equal(false);
    execute(state, 1, Op.STORE32, WORD + 4, 7);
    expect(state.guards.isEnabled(0), 'a word it has changed itself').to.equal(true);
  });

  it('let a program spin on that has read nothing since it last did', () => {
    const { state } = machine();
    execute(state, 0, Op.LOAD32, WORD);
    execute(state, 0, Op.RELAX, NOWHERE);
    pend(state, 0, Op.RELAX, NOWHERE);
    expect(state.guards.isEnabled(0)).to.equal(true);
  });

  it('hold, under tso, what needs an empty store buffer, and the buffer itself when it is', () => {
    const { state } = machine(true);
    const FIRST_BUFFER = 2;
    expect(state.guards.isEnabled(FIRST_BUFFER)).to.equal(false);
    execute(state, 0, Op.WRITE32, WORD, 1);
    expect(state.guards.isEnabled(FIRST_BUFFER)).to.equal(true);
    pend(state, 0, Op.ADD32, WORD);
    expect(state.guards.isEnabled(0)).to.equal(false);
    pend(state, 0, Op.LOAD32, WORD);
    expect(state.guards.isEnabled(0)).to.equal(true);
    state.executor.flush(0);
    pend(state, 0, Op.ADD32, WORD);
    expect(state.guards.isEnabled(0)).to.equal(true);
    expect(state.guards.isEnabled(FIRST_BUFFER)).to.equal(false);
  });
});
