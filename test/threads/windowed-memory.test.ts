import { expect } from 'chai';
import { WindowedMemory } from '../../lib/engine/threads/windowed-memory';

const INFO = 0x1000;
const POINTER = 64;
const TARGET = 0x40;

describe('WindowedMemory', () => {
  let memory: WindowedMemory;
  let bytes: Uint8Array;
  let pointers: Int32Array;
  let windows: number;

  beforeEach(() => {
    const guest = new SharedArrayBuffer(0x2000);
    const state = new SharedArrayBuffer(128);
    bytes = new Uint8Array(guest);
    pointers = new Int32Array(state);
    pointers[POINTER >> 2] = INFO;
    memory = new WindowedMemory(guest, state, POINTER);
    windows = 0;
    memory.whenPending(() => {
      windows++;
      bytes[INFO] = 0;
    });
  });

  const accesses: Readonly<Record<string, () => unknown>> = {
    read8: () => memory.read8(TARGET),
    read32: () => memory.read32(TARGET),
    write8: () => memory.write8(TARGET, 1),
    write32: () => memory.write32(TARGET, 1),
    load8: () => memory.load8(TARGET),
    store8: () => memory.store8(TARGET, 1),
    add8: () => memory.add8(TARGET, 1),
    and8: () => memory.and8(TARGET, 1),
    or8: () => memory.or8(TARGET, 1),
    xor8: () => memory.xor8(TARGET, 1),
    exchange8: () => memory.exchange8(TARGET, 1),
    compareExchange8: () => memory.compareExchange8(TARGET, 0, 1),
    load32: () => memory.load32(TARGET),
    store32: () => memory.store32(TARGET, 1),
    add32: () => memory.add32(TARGET, 1),
    and32: () => memory.and32(TARGET, 1),
    or32: () => memory.or32(TARGET, 1),
    xor32: () => memory.xor32(TARGET, 1),
    exchange32: () => memory.exchange32(TARGET, 1),
    compareExchange32: () => memory.compareExchange32(TARGET, 0, 1),
    fence: () => memory.fence(),
    wait32: () => memory.wait32(TARGET, 1),
    notify32: () => memory.notify32(TARGET),
  };
  for (const [name, access] of Object.entries(accesses)) {
    it(`opens a window before ${name}`, () => {
      access();
      expect(windows).to.equal(0);
      bytes[INFO] = 1;
      access();
      expect(windows).to.equal(1);
    });
  }

  it('opens the window before the access takes place', () => {
    memory.whenPending(() => {
      bytes[INFO] = 0;
      bytes[TARGET] = 42;
    });
    bytes[INFO] = 1;
    expect(memory.read8(TARGET)).to.equal(42);
  });

  it('follows a vcpu_info that is moved', () => {
    pointers[POINTER >> 2] = INFO + 0x800;
    bytes[INFO] = 1;
    memory.read8(TARGET);
    expect(windows).to.equal(0);
    bytes[INFO + 0x800] = 1;
    memory.read8(TARGET);
    expect(windows).to.equal(1);
  });

  it('watches for an upcall as long as it is told to', () => {
    expect(memory.watchUpcall(1000)).to.equal(false);
    bytes[INFO] = 1;
    expect(memory.watchUpcall(1)).to.equal(true);
    expect(memory.watchUpcall(0)).to.equal(false);
    expect(windows).to.equal(0);
  });

  it('opens windows while the guest waits on a word', () => {
    let slices = 0;
    memory.whenPending(() => {
      slices++;
    });
    bytes[INFO] = 1;
    expect(memory.wait32(TARGET, 0, 12e6)).to.equal('timed-out');
    expect(slices).to.be.at.least(2);
  });

  it('throws where there is no memory, or not at that alignment', () => {
    for (const address of [-4, 0x2000, 2, Number.NaN, 2 ** 32]) {
      expect(() => memory.read32(address), String(address)).to.throw(RangeError);
      expect(() => memory.write32(address, 1), String(address)).to.throw(RangeError);
      expect(() => memory.add32(address, 1), String(address)).to.throw(RangeError);
    }
  });
});
