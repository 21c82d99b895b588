/**
 * A guest that makes any hypercall with any argument, while its memory changes between any two of the hypervisor's accesses to
 * it. The same calls on free-running threads are a campaign: test/long/campaigns/hostile.ts.
 */
import { expect } from 'chai';
import {
  ABI_NAMES,
  type AbiName,
  Errno,
  type FieldLayout,
  HYPERCALLS,
  layoutsOf,
  SCHEDOP,
  type StructLayout,
} from '../../lib/abi';
import { createHypercalls } from '../../lib/hypervisor/hypercalls';
import { resetMachine } from '../../lib/hypervisor/start-of-day';
import { FAMILIES, HostileCalls, structOf } from '../support/hostile/calls';
import { Dice } from '../support/hostile/dice';
import { FRAMES, HOSTILE, heldLocks, hostileMachine, victimsMemory } from './support/hostile-machine';
import type { TestMachine } from './support/machine';
import { RacingMemory } from './support/racing-memory';

const LONG = process.env.UPCALL_LONG === '1';
const CALLS = LONG ? 300_000 : 20_000;
const CALLS_PER_BOOT = 2000;
/** Accesses to the guest's memory by one hypercall. The most are those of a CONSOLEIO_write: a byte each. */
const MOST_ACCESSES = FRAMES * 4096 + 1000;
/** By one that does not write to the console: SCHEDOP_poll reads 128 ports. */
const MOST_OTHER_ACCESSES = 1500;
const GATE = { enter() {}, exit() {} };
const BYTES = FRAMES * 4096;

/** shared_info is below. */
const ARGUMENTS_FROM = 0x2000;
const REGISTERING = [
  'EVTCHNOP_init_control',
  'EVTCHNOP_expand_array',
  'VCPUOP_register_vcpu_info',
  'VCPUOP_register_runstate_memory_area',
  'VCPUOP_register_runstate_phys_area',
  'VCPUOP_register_vcpu_time_memory_area',
  'VCPUOP_register_vcpu_time_phys_area',
  'PHYSDEVOP_pirq_eoi_gmfn_v1',
  'PHYSDEVOP_pirq_eoi_gmfn_v2',
];
/** Commands that take a pointer to something else than a structure of the tables: text, or a register context. */
const WITHOUT_STRUCTURE = /^(XENVER|CONSOLEIO|VCPUOP_initialise)/;
const SURROUNDINGS = { bytes: BYTES, vcpus: 3, now: () => 0 };

type Raw = (number: number, a?: number, b?: number, c?: number) => number;

function racingMachine(abi: AbiName) {
  const machine = hostileMachine(abi, (buffer) => new RacingMemory(buffer));
  const memory = machine.domain(HOSTILE).guest as RacingMemory;
  const raws = [0, 1, 2].map((id): Raw => createHypercalls(machine.hypervisor, machine.vcpu(HOSTILE, id), GATE).raw);
  return { machine, memory, raws };
}

function hostileCalls(machine: TestMachine, dice: Dice, abi: AbiName, spared: readonly string[]): HostileCalls {
  const memory = machine.domain(HOSTILE).guest;
  const now = () => machine.platform.timeNs;
  return new HostileCalls(dice, { abi, memory, bytes: BYTES, vcpus: 3, now }, new Set(spared));
}

/** Hypercalls that make as many accesses as the guest gives them bytes. */
const COPYING: readonly number[] = [HYPERCALLS.__HYPERVISOR_console_io, HYPERCALLS.__HYPERVISOR_grant_table_op];

/** Changes the word that is about to be accessed, or the one accessed last: half of the accesses find something else. */
function restless(dice: Dice): NonNullable<RacingMemory['rival']> {
  let last = 4096;
  return (memory, address) => {
    const at = (dice.oneIn(2) ? address : last) & ~3;
    last = address;
    if (dice.oneIn(2)) memory.write32(at, dice.oneIn(2) ? dice.next() : dice.below(70));
  };
}

describe('a hostile guest whose memory changes under the hypervisor', () => {
  for (const abi of ABI_NAMES) {
    for (const [events, spared] of [
      ['2-level', ['EVTCHNOP_init_control']],
      ['FIFO', []],
    ] as const) {
      it(`gets a number from each hypercall, within bounded steps, and hurts nobody else: ${abi}, ${events}`, function () {
        this.timeout(600_000);
        const { machine, memory, raws } = racingMachine(abi);
        const dice = new Dice(0x5eed0003);
        const calls = hostileCalls(machine, dice, abi, spared);
        const rival = restless(dice);
        const untouched = victimsMemory(machine);
        let before = Buffer.from(untouched);
        let accesses = 0;
        let most = 0;
        for (let done = 0; done < CALLS; done++) {
          if (done % CALLS_PER_BOOT === 0) {
            resetMachine(machine.hypervisor);
            machine.platform.timeNs = 0;
            before = Buffer.from(untouched);
          }
          calls.scribble();
          const raw = raws[dice.below(3)] as Raw;
          const result = calls.make((number, a, b, c) => {
            memory.rival = rival;
            accesses = memory.accesses;
            const answer = raw(number, a, b, c);
            accesses = memory.accesses - accesses;
            memory.rival = undefined;
            if (!COPYING.includes(number)) most = Math.max(most, accesses);
            return answer;
          });
          if (!Number.isInteger(result) || result < -133) expect.fail(`a hypercall returned ${result}`);
          if (accesses > MOST_ACCESSES) expect.fail(`a hypercall made ${accesses} accesses`);
          machine.platform.timeNs += dice.below(1e6);
          if (dice.oneIn(20)) {
            memory.rival = rival;
            machine.hypervisor.runExpiredTimers(machine.platform.timeNs);
            memory.rival = undefined;
          }
          if (done % 200 !== 199) continue;
          expect(heldLocks(machine)).to.deep.equal([]);
          expect(untouched.equals(before), "the victim's memory").to.equal(true);
        }
        expect(most).to.be.within(128, MOST_OTHER_ACCESSES);
      });
    }
  }

  for (const abi of ABI_NAMES) {
    it(`has each byte of its arguments read once: ${abi}`, function () {
      this.timeout(600_000);
      const { machine, memory, raws } = racingMachine(abi);
      const dice = new Dice(0x5eed0004);
      // Without areas that the hypervisor keeps using, and copies, all it reads outside shared_info and grant table is arguments.
      const calls = hostileCalls(machine, dice, abi, [...REGISTERING, 'SCHEDOP_poll', 'GNTTABOP_copy']);
      const reads = new Map<number, number>();
      const raw: Raw = (number, a, b, c) => {
        reads.clear();
        memory.rival = (_, address, bytes) => {
          for (let i = 0; i < bytes; i++) reads.set(address + i, (reads.get(address + i) ?? 0) + 1);
        };
        const result = (raws[0] as Raw)(number, a, b, c);
        memory.rival = undefined;
        const twice = [...reads].find(([address, count]) => count > 1 && address >= ARGUMENTS_FROM && address < BYTES);
        if (twice) expect.fail(`hypercall ${number}, command ${a}: the byte at ${twice[0]} is read ${twice[1]} times`);
        return result;
      };
      for (let done = 0; done < CALLS * 2; done++) {
        if (done % CALLS_PER_BOOT === 0) resetMachine(machine.hypervisor);
        calls.make(raw);
      }
      pollApart(machine, raw, dice, abi);
    });
  }

  it('is made up of every family of hypercalls that is served, with a structure for each command that takes one', () => {
    const { raws } = racingMachine('x86_64');
    const [raw] = raws as [Raw];
    const known = [...FAMILIES.map(({ number }) => number), HYPERCALLS.__HYPERVISOR_set_timer_op] as number[];
    for (const number of Object.values(HYPERCALLS).filter((each) => !known.includes(each))) {
      for (let command = 0; command < 64; command++) {
        expect(raw(number, command, 0x3000, 0x3000), `hypercall ${number}, command ${command}`).to.equal(-Errno.ENOSYS);
      }
    }
    const layouts = layoutsOf('x86_64');
    for (const family of FAMILIES) {
      for (const [name, command] of Object.entries(family.commands)) {
        // A structure in a frame that does not exist: what reads one says so.
        const result = raw(family.number, command, ...family.arguments(0x5000_0000, new Dice(1), SURROUNDINGS));
        if (result !== -Errno.EFAULT || WITHOUT_STRUCTURE.test(name)) continue;
        expect(layouts[structOf(family, name)], `${name} takes ${structOf(family, name)}`).to.not.equal(undefined);
      }
    }
  });
});

/** SCHEDOP_poll with its array of ports away from its structure, as the two are read one after the other. */
function pollApart(machine: TestMachine, raw: Raw, dice: Dice, abi: AbiName): void {
  const { guest } = machine.domain(HOSTILE);
  const { fields } = layoutsOf(abi).sched_poll as StructLayout;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 128; i++) guest.write32(0x6000 + i * 4, dice.below(90));
    guest.write32(0x5000 + (fields.ports as FieldLayout).offset, 0x6000);
    guest.write32(0x5000 + (fields.nr_ports as FieldLayout).offset, dice.below(129));
    raw(HYPERCALLS.__HYPERVISOR_sched_op, SCHEDOP.SCHEDOP_poll, 0x5000);
  }
}
