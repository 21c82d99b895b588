import { expect } from 'chai';
import { ABI_NAMES, type AbiName, HYPERCALLS, HypercallError } from '../../lib/abi';
import type { Hypercalls } from '../../lib/guest/vcpu';
import { createHypercalls } from '../../lib/hypervisor/hypercalls';
import { domainConfig } from '../../lib/hypervisor/image';
import { resetMachine } from '../../lib/hypervisor/start-of-day';
import { TestMachine } from './support/machine';

const LONG = process.env.UPCALL_LONG === '1';
/** Of each form and each ABI. */
const CALLS = LONG ? 300_000 : 30_000;
/** State fills up with ports and areas; start anew now and then. */
const CALLS_PER_BOOT = 3000;

/** A small generator (xorshift32), so that a failure can be repeated from its seed. */
class Dice {
  constructor(private state: number) {}

  next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state >>> 0;
  }

  below(n: number): number {
    return this.next() % n;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

const ODD_NUMBERS = [
  0,
  -0,
  1,
  -1,
  2,
  7,
  63,
  64,
  65,
  255,
  1023,
  1024,
  4095,
  4096,
  32752,
  0x7fff,
  0xffff,
  0x10000,
  0x7fffffff,
  0x80000000,
  0xffffffff,
  2 ** 32,
  2 ** 40,
  2 ** 53,
  2 ** 63,
  2 ** 64,
  1e300,
  -1e300,
  0.5,
  -0.5,
  1.000001,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.MIN_VALUE,
] as const;
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

const FRAMES = 16;

function machineOf(abi: AbiName): TestMachine {
  const machine = new TestMachine(
    [
      domainConfig({ id: 1, abi, vcpus: 3, frames: FRAMES, readOnlyFrames: [9], pirqs: [1, 2, 3], maxPort: 90 }),
      domainConfig({ id: 2, vcpus: 2, frames: FRAMES, hardwareDomain: true }),
    ],
    { irqs: 16 },
  );
  return machine;
}

/** An address: often one with memory behind it, sometimes right at an edge, sometimes anything. */
function address(dice: Dice): number {
  switch (dice.below(8)) {
    case 0:
      return dice.pick(ODD_NUMBERS);
    case 1:
      return dice.below(FRAMES + 1) * 4096 - dice.below(40);
    default:
      return 4096 + dice.below((FRAMES - 1) * 4096);
  }
}

function number(dice: Dice): number {
  return dice.below(3) === 0 ? dice.pick(ODD_NUMBERS) : dice.below(8);
}

/** Every buffer but those of domain 1. */
function foreignMemory({ hypervisor: { image } }: TestMachine): SharedArrayBuffer {
  return image.domains[1]?.guest as SharedArrayBuffer;
}

function scribble(machine: TestMachine, dice: Dice): void {
  const { guest } = machine.domain(1);
  for (let i = 0; i < 16; i++)
    guest.write32(4096 * 3 + dice.below(3072) * 4, dice.below(3) === 0 ? dice.next() : number(dice));
}

const RAW_NUMBERS = Object.values(HYPERCALLS);
/** The hypercalls that exist are called more often. */
const SERVED = [15, 17, 18, 21, 24, 24, 29, 29, 32, 32, 32, 33, 6];

function rawCall(hypercalls: Hypercalls, dice: Dice): number {
  const call = dice.below(10) === 0 ? dice.pick([...RAW_NUMBERS, ...ODD_NUMBERS]) : dice.pick(SERVED);
  const argument = () => (dice.below(2) === 0 ? address(dice) : number(dice));
  return hypercalls.raw(call, dice.below(6) === 0 ? dice.pick(ODD_NUMBERS) : dice.below(18), argument(), argument());
}

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
        return address(dice);
      default:
        return number(dice);
    }
  };
  try {
    dice.pick(calls)(...Array.from({ length: dice.below(4) }, argument));
  } catch (error) {
    if (!(error instanceof HypercallError)) throw error;
  }
}

/** Runs `call` many times; the machine is reset in between, and must not have touched foreign memory. */
function fuzz(machine: TestMachine, dice: Dice, call: (vcpu: number) => void): void {
  // The foreign domain as it boots, with a channel to domain 1 and its upcalls where they may arrive.
  const untouched = Buffer.from(foreignMemory(machine)).subarray(0x2000);
  for (let done = 0; done < CALLS; done++) {
    if (done % CALLS_PER_BOOT === 0) {
      resetMachine(machine.hypervisor);
      machine.platform.timeNs = 0;
    }
    const before = done % 500 === 0 ? Buffer.from(untouched) : undefined;
    scribble(machine, dice);
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
      [0, 1, 2].map((id): Hypercalls => createHypercalls(machine.hypervisor, machine.vcpu(1, id), gate));

    it(`return a number in the raw form and touch nobody else's memory, ${abi}`, () => {
      const machine = machineOf(abi);
      const dice = new Dice(0x5eed0001);
      const hypercalls = hypercallsOf(machine);
      const results = new Set<number>();
      fuzz(machine, dice, (vcpu) => {
        const result = rawCall(hypercalls[vcpu] as Hypercalls, dice);
        if (!Number.isInteger(result)) expect.fail(`a result of ${result}`);
        results.add(result);
      });
      expect([...results].filter((result) => result < -133)).to.deep.equal([]);
      expect(results.size, 'kinds of results').to.be.greaterThan(10);
    });

    it(`throw nothing but HypercallError in the typed form, ${abi}`, () => {
      const machine = machineOf(abi);
      const dice = new Dice(0x5eed0002);
      const calls = hypercallsOf(machine).map(typedCalls);
      fuzz(machine, dice, (vcpu) => typedCall(calls[vcpu] as ((...args: unknown[]) => unknown)[], dice));
    });
  }

  it('shut the domain down whatever the reason looks like', () => {
    for (const reason of [...ODD_NUMBERS, ...NO_NUMBERS]) {
      const machine = machineOf('x86_64');
      const hypercalls: Hypercalls = createHypercalls(machine.hypervisor, machine.vcpu(1, 0), {
        enter() {},
        exit() {},
      });
      expect(() => hypercalls.sched.shutdown(reason as number)).to.throw('the engine let a vCPU go on');
      expect(machine.platform.shutdowns).to.have.length(1);
      expect(machine.platform.shutdowns[0]?.code).to.be.within(0, 255);
    }
  });
});
