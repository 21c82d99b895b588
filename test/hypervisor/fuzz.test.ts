import { expect } from 'chai';
import { ABI_NAMES, GrantError, HypercallError } from '../../lib/abi';
import type { Hypercalls } from '../../lib/guest/vcpu';
import { createHypercalls } from '../../lib/hypervisor/hypercalls';
import { resetMachine } from '../../lib/hypervisor/start-of-day';
import { HostileCalls } from '../support/hostile/calls';
import { Dice, ODD_NUMBERS } from '../support/hostile/dice';
import { anyAddress, anyNumber } from '../support/hostile/values';
import { FRAMES, HOSTILE, hostileMachine, victimsMemory } from './support/hostile-machine';
import type { TestMachine } from './support/machine';

const LONG = process.env.UPCALL_LONG === '1';
/** Of each form and each ABI. */
const CALLS = LONG ? 300_000 : 30_000;
/** State fills up with ports and areas; start anew now and then. */
const CALLS_PER_BOOT = 3000;

const SURROUNDINGS = { bytes: FRAMES * 4096, vcpus: 3, now: () => 0 };

/** What JavaScript can pass where a number is meant. */
const NO_NUMBERS: readonly unknown[] = [
  undefined,
  null,
  '',
  '5',
  'port',
  true,
  {},
  [],
  [1],
  5n,
  -1n,
  Symbol('port'),
  () => 1,
  new Uint8Array(4),
  { valueOf: () => 1 },
  { length: 3 },
  Object.create(null),
];

/** All typed hypercalls, flat. SCHEDOP_shutdown has a test of its own: it never returns. */
function typedCalls(hypercalls: Hypercalls): ((...args: unknown[]) => unknown)[] {
  const groups = Object.values(hypercalls).filter((group) => typeof group === 'object');
  const calls = groups.flatMap((group) => Object.entries(group));
  return calls.filter(([name]) => name !== 'shutdown').map(([, call]) => call as (...args: unknown[]) => unknown);
}

function typedCall(calls: readonly ((...args: unknown[]) => unknown)[], dice: Dice): void {
  const argument = (): unknown => {
    switch (dice.below(10)) {
      case 0:
        return dice.pick(NO_NUMBERS);
      case 1:
        return Array.from({ length: dice.below(140) }, () => dice.pick<unknown>([...ODD_NUMBERS, ...NO_NUMBERS]));
      case 2:
        return anyAddress(dice, SURROUNDINGS);
      default:
        return anyNumber(dice);
    }
  };
  try {
    dice.pick(calls)(...Array.from({ length: dice.below(4) }, argument));
  } catch (error) {
    if (!(error instanceof HypercallError || error instanceof GrantError)) throw error;
  }
}

/** Runs `call` many times; the machine is reset in between, and must not have touched foreign memory. */
function fuzz(machine: TestMachine, dice: Dice, calls: HostileCalls, call: (vcpu: number) => void): void {
  const untouched = victimsMemory(machine);
  for (let done = 0; done < CALLS; done++) {
    if (done % CALLS_PER_BOOT === 0) {
      resetMachine(machine.hypervisor);
      machine.platform.timeNs = 0;
    }
    const before = done % 500 === 0 ? Buffer.from(untouched) : undefined;
    calls.scribble();
    call(dice.below(3));
    machine.platform.timeNs += dice.below(1e6);
    if (dice.below(20) === 0) machine.hypervisor.runExpiredTimers(machine.platform.timeNs);
    if (before !== undefined) expect(untouched.equals(before)).to.equal(true);
  }
}

describe('hypercalls with any arguments', () => {
  for (const abi of ABI_NAMES) {
    const gate = { enter() {}, exit() {} };
    const hypercallsOf = (machine: TestMachine) =>
      [0, 1, 2].map((id): Hypercalls => createHypercalls(machine.hypervisor, machine.vcpu(HOSTILE, id), gate));
    const callsOf = (machine: TestMachine, dice: Dice) =>
      new HostileCalls(dice, {
        ...SURROUNDINGS,
        abi,
        memory: machine.domain(HOSTILE).guest,
        now: () => machine.platform.timeNs,
      });

    it(`return a number in the raw form and touch nobody else's memory, ${abi}`, () => {
      const machine = hostileMachine(abi);
      const dice = new Dice(0x5eed0001);
      const calls = callsOf(machine, dice);
      const hypercalls = hypercallsOf(machine);
      const results = new Set<number>();
      fuzz(machine, dice, calls, (vcpu) => {
        const result = calls.make((hypercalls[vcpu] as Hypercalls).raw);
        if (!Number.isInteger(result)) expect.fail(`a result of ${result}`);
        results.add(result);
      });
      expect([...results].filter((result) => result < -133)).to.deep.equal([]);
      expect(results.size, 'kinds of results').to.be.greaterThan(10);
    });

    it(`throw nothing but HypercallError and GrantError in the typed form, ${abi}`, () => {
      const machine = hostileMachine(abi);
      const dice = new Dice(0x5eed0002);
      const typed = hypercallsOf(machine).map(typedCalls);
      fuzz(machine, dice, callsOf(machine, dice), (vcpu) =>
        typedCall(typed[vcpu] as ((...args: unknown[]) => unknown)[], dice),
      );
    });
  }

  it('shut the domain down whatever the reason looks like', () => {
    for (const reason of [...ODD_NUMBERS, ...NO_NUMBERS]) {
      const machine = hostileMachine('x86_64');
      const hypercalls: Hypercalls = createHypercalls(machine.hypervisor, machine.vcpu(HOSTILE, 0), {
        enter() {},
        exit() {},
      });
      expect(() => hypercalls.sched.shutdown(reason as number)).to.throw('the engine let a vCPU go on');
      expect(machine.platform.shutdowns).to.have.length(1);
      expect(machine.platform.shutdowns[0]?.code).to.be.within(0, 255);
    }
  });
});
