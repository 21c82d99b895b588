import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { monotonicNs, SystemClock } from '../../lib/engine/threads/clock';
import { Control, createControlBuffers } from '../../lib/engine/threads/control';
import { Parking } from '../../lib/engine/threads/parking';
import { PauseFlag } from '../../lib/hypervisor/platform';

const { BLOCKED, DOWN, PARKED, STOP } = PauseFlag;
const FLAGS = 16;

/** Runs code in a worker with `flags` over `state` and `index` of the pause flags; resolves with what it posts. */
function elsewhere(state: SharedArrayBuffer, code: string): Promise<unknown> {
  const prelude = `
    require('ts-node/register/transpile-only');
    const { workerData: state, parentPort } = require('node:worker_threads');
    const { Parking } = require(${JSON.stringify(path.join(__dirname, '../../lib/engine/threads/parking'))});
    const flags = new Int32Array(state);
    const index = ${FLAGS >> 2};
    const now = () => performance.now() * 1e6;
  `;
  return new Promise((resolve, reject) => {
    const worker = new Worker(prelude + code, { eval: true, workerData: state });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

describe('Parking', () => {
  let state: SharedArrayBuffer;
  let flags: Int32Array;
  let parking: Parking;
  const index = FLAGS >> 2;

  beforeEach(() => {
    state = new SharedArrayBuffer(64);
    flags = new Int32Array(state);
    parking = new Parking(state, FLAGS, true, () => 0);
  });

  it('does not sleep while the vCPU may run, nor when it has to leave', () => {
    parking.waitUntilRunnable();
    for (const waits of [BLOCKED, DOWN, BLOCKED | DOWN]) {
      flags[index] = waits | STOP;
      parking.waitUntilRunnable();
      expect(flags[index]).to.equal(waits | STOP);
      expect(parking.stopping).to.equal(true);
    }
  });

  it('is patient after short sleeps, more so with each, and not after a long one', () => {
    let sleptNs = 50_000;
    let calls = 0;
    const timed = new Parking(state, FLAGS, true, () => (calls++ % 2 === 0 ? 0 : sleptNs));
    expect(timed.patience).to.equal(0);
    const patience: number[] = [];
    for (let i = 0; i < 8; i++) {
      timed.waitUntilRunnable();
      patience.push(timed.patience);
    }
    expect(patience[0]).to.be.above(0);
    expect(patience[1]).to.equal(2 * patience[0]!);
    expect(patience[7]).to.equal(patience[6]!);
    sleptNs = 5_000_000;
    timed.waitUntilRunnable();
    expect(timed.patience).to.equal(0);
  });

  it('is never patient when vCPUs share cores', () => {
    const shared = new Parking(state, FLAGS, false, () => 0);
    shared.waitUntilRunnable();
    expect(shared.patience).to.equal(0);
  });

  it('misses no wake-up: whoever clears the flag finds PARKED or is seen', async () => {
    const rounds = 2000;
    const sleeper = elsewhere(
      state,
      `
      const parking = new Parking(state, ${FLAGS}, false, now);
      for (let round = 0; round < ${rounds}; round++) {
        Atomics.or(flags, index, ${BLOCKED});
        Atomics.add(flags, 0, 1);
        parking.waitUntilRunnable();
      }
      parentPort.postMessage('awake');
      `,
    );
    let done = false;
    const awake = sleeper.then((message) => {
      done = true;
      return message;
    });
    for (let round = 1; round <= rounds && !done; round++) {
      while (Atomics.load(flags, 0) < round && !done) await new Promise(setImmediate);
      const old = Atomics.and(flags, index, ~BLOCKED);
      if ((old & PARKED) !== 0) Atomics.notify(flags, index);
    }
    expect(await awake).to.equal('awake');
  });
});

describe('SystemClock', () => {
  it('counts whole nanoseconds from its origin and never backwards', () => {
    const clock = new SystemClock(monotonicNs() - 1e9);
    let last = clock.now();
    expect(last).to.be.within(1e9, 11e9);
    for (let i = 0; i < 10_000; i++) {
      const now = clock.now();
      expect(now).to.be.at.least(last);
      expect(now % 1).to.equal(0);
      last = now;
    }
  });

  it('agrees between threads', async () => {
    const clockPath = JSON.stringify(path.join(__dirname, '../../lib/engine/threads/clock'));
    const before = monotonicNs();
    const there = await elsewhere(
      new SharedArrayBuffer(64),
      `parentPort.postMessage(require(${clockPath}).monotonicNs())`,
    );
    const after = monotonicNs();
    expect(there).to.be.within(before, after);
  });
});

describe('Control', () => {
  let control: Control;

  beforeEach(() => {
    control = new Control(createControlBuffers({ vcpus: 3, domains: 2, threads: 4 }));
  });

  it('keeps the first cause of a domain', () => {
    expect(control.exitCause(1)).to.equal(0);
    expect(control.claimExit(1, 7)).to.equal(true);
    expect(control.claimExit(1, 9)).to.equal(false);
    expect(control.exitCause(1)).to.equal(7);
    expect(control.exitCause(0)).to.equal(0);
  });

  it('adds up the events that all threads raised for a vCPU', () => {
    control.countEvent(0, 2);
    control.countEvent(3, 2);
    control.countEvent(3, 1);
    expect([0, 1, 2].map((vcpu) => control.eventsFor(vcpu))).to.deep.equal([0, 1, 2]);
  });

  it('pokes the timer thread for deadlines earlier than its plan, once, and never while it is awake', () => {
    const poked = (deadlineNs: number) => {
      const before = control.timerSequence();
      control.pokeTimer(deadlineNs);
      return control.timerSequence() !== before;
    };
    control.markTimerAwake();
    expect(control.timerAwake).to.equal(true);
    expect(poked(0)).to.equal(false);
    control.planTimer(1e9);
    expect(control.timerAwake).to.equal(false);
    expect(poked(1.001e9)).to.equal(false);
    expect(poked(0.9e9)).to.equal(true);
    expect(poked(0.9e9)).to.equal(false);
    expect(control.markTimerAwake()).to.be.within(0.9e9 - 65_536, 0.9e9);
    control.planTimer(Number.POSITIVE_INFINITY);
    expect(poked(1e12)).to.equal(true);
    // Beyond what a plan can say, every deadline may be the earlier one.
    control.planTimer(1e18);
    for (const deadlineNs of [2e18, 1e18, 0.9e18]) expect(poked(deadlineNs)).to.equal(true);
    expect(control.markTimerAwake()).to.be.below(1e18);
  });
});
