import { expect } from 'chai';
import fc from 'fast-check';
import { ABI_NAMES } from '../../lib/abi';
import { readWallclock, scaleTicks, systemTimeNs } from '../../lib/guest/clock';
import { printk } from '../../lib/guest/printk';
import { GuestMachine } from '../support/guest-machine';

/** The definition, in exact arithmetic. */
function exact(ticks: number, multiplier: number, shift: number): bigint {
  const shifted = shift >= 0 ? BigInt(ticks) << BigInt(shift) : BigInt(ticks) >> BigInt(-shift);
  return (shifted * BigInt(multiplier)) >> 32n;
}

describe('scaleTicks', () => {
  it('equals the 64 by 32 bit product, whatever fits a number', () => {
    const ticks = fc.oneof(fc.maxSafeNat(), fc.nat());
    const multiplier = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0x80000000, 0xffffffff, 1));
    fc.assert(
      fc.property(ticks, multiplier, fc.integer({ min: -31, max: 31 }), (t, m, s) => {
        const expected = exact(t, m, s);
        fc.pre(expected <= BigInt(Number.MAX_SAFE_INTEGER));
        expect(scaleTicks(t, m, s)).to.equal(Number(expected));
      }),
      { numRuns: 5000, seed: 40 },
    );
  });

  it('is the identity for a 1 GHz clock', () => {
    for (const ticks of [0, 1, 999_999_999, 2 ** 32, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
      expect(scaleTicks(ticks, 0x80000000, 1)).to.equal(ticks);
    }
  });
});

const SECONDS = 1_700_000_000;

for (const abi of ABI_NAMES) {
  describe(`clocks, ${abi}`, () => {
    it('read the system time', () => {
      const machine = new GuestMachine({ abi });
      for (const now of [0, 1, 123_456_789, 2 ** 40 + 1]) {
        machine.now = now;
        expect(systemTimeNs(machine.guest(0))).to.equal(now);
      }
    });

    it('read the wallclock: that of system time 0 plus the system time', () => {
      const machine = new GuestMachine({ abi });
      const wallclock = { seconds: 0, ns: 0 };
      machine.hypervisor.updateWallclock(SECONDS, 999_999_999);
      machine.now = 2_000_000_002;
      readWallclock(machine.guest(0), wallclock);
      expect(wallclock).to.deep.equal({ seconds: SECONDS + 3, ns: 1 });
    });

    it('read a wallclock beyond 32 bits of seconds', () => {
      const machine = new GuestMachine({ abi });
      const wallclock = { seconds: 0, ns: 0 };
      machine.hypervisor.updateWallclock(2 ** 33 + 5, 0);
      readWallclock(machine.guest(0), wallclock);
      expect(wallclock).to.deep.equal({ seconds: 2 ** 33 + 5, ns: 0 });
    });

    it('never combine fields of two wallclocks, whenever the change comes', () => {
      for (let n = 0; n < 12; n++) {
        const machine = new GuestMachine({ abi });
        const wallclock = { seconds: 0, ns: 0 };
        machine.hypervisor.updateWallclock(1, 1);
        machine.interruptAt(0, n, () => machine.hypervisor.updateWallclock(2 ** 32 + 2, 2));
        readWallclock(machine.guest(0), wallclock);
        expect([
          [1, 1],
          [2 ** 32 + 2, 2],
        ]).to.deep.include([wallclock.seconds, wallclock.ns]);
      }
    });

    it('wait while the wallclock is being written', () => {
      const machine = new GuestMachine({ abi });
      const vcpu = machine.guest(0);
      const { wc_version, wc_sec } = vcpu.sharedInfo;
      const wallclock = { seconds: 0, ns: 0 };
      wc_version.add(1);
      machine.onRelax = () => {
        wc_sec.write(7);
        wc_version.add(1);
      };
      readWallclock(vcpu, wallclock);
      expect(wallclock.seconds).to.equal(7);
    });
  });
}

describe('the clock of vcpu_time_info', () => {
  it('never combines fields of two records, whenever the update comes', () => {
    for (let n = 0; n < 14; n++) {
      const machine = new GuestMachine();
      const calibrate = (now: number) => {
        machine.now = now;
        machine.hypervisor.time.calibrate();
        machine.hypervisor.updateVcpuTime(machine.hvVcpu(0));
      };
      calibrate(1000);
      // Ticks and system time move beyond 32 bits: mixed with the old ones they give something far off.
      machine.interruptAt(0, n, () => calibrate(2 ** 33));
      expect(systemTimeNs(machine.guest(0))).to.be.oneOf([1000, 2 ** 33]);
    }
  });

  it('scales by whatever the record says', () => {
    const machine = new GuestMachine();
    const { time } = machine.guest(0).info;
    // Ticks at 4 GHz: shift right by one, then half of that.
    time.tsc_timestamp.writeNumber(4000);
    time.system_time.writeNumber(50);
    time.tsc_to_system_mul.write(0x80000000);
    time.tsc_shift.write(-1);
    machine.now = 4000 + 4001;
    expect(systemTimeNs(machine.guest(0))).to.equal(50 + 1000);
  });
});

describe('printk', () => {
  it('writes one stamped line for each line of the text', () => {
    const machine = new GuestMachine({ vcpus: 2 });
    machine.now = 12_034_567_890;
    printk(machine.guest(1), 'hello\nworld');
    expect(machine.console).to.deep.equal(['[   12.034567] vcpu1: hello\n', '[   12.034567] vcpu1: world\n']);
  });
});
