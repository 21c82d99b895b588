import { expect } from 'chai';
import fc from 'fast-check';
import { ABI_NAMES, type FieldLayout, layoutsOf, type Members, structLayout } from '../../lib/abi';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import { ByteField, Word32 } from '../../lib/memory/fields';
import { StructView, structView } from '../../lib/memory/layout-view';
import { SharedInfoView, VcpuInfoView, VcpuTimeInfoView } from '../../lib/memory/views';

const BASE = 0x1000;

function fresh(): AtomicsMemory {
  return new AtomicsMemory(new SharedArrayBuffer(0x3000));
}

/** Follows a dotted name. */
function member(view: object, path: string): any {
  return path.split('.').reduce((holder: any, name) => holder[name], view);
}

/** Fills the field's bytes with 1, 2, 3… and returns them as one unsigned little-endian number. */
function fill(memory: AtomicsMemory, address: number, size: number): bigint {
  let value = 0n;
  for (let i = 0; i < size; i++) {
    memory.write8(address + i, i + 1);
    value |= BigInt(i + 1) << BigInt(8 * i);
  }
  return value;
}

/** Checks one element of a field against the bytes under it. */
function checkElement(memory: AtomicsMemory, element: any, address: number, size: number): void {
  expect(element.address).to.equal(address);
  const value = fill(memory, address, size);
  const read: unknown = size >= 4 ? element.readBigInt() : BigInt(element.read());
  expect(read).to.equal(value);
  if (size >= 4) {
    element.writeBigInt(~value);
    expect(element.readBigInt()).to.equal(BigInt.asUintN(size * 8, ~value));
    expect(element.readNumber()).to.equal(Number(element.readBigInt()));
    expect(element.wordCount).to.equal(size / 4);
  } else {
    element.write(0x5a);
    expect(element.read()).to.equal(0x5a);
  }
  fill(memory, address, size);
}

function checkField(memory: AtomicsMemory, view: object, path: string, field: FieldLayout): void {
  const address = BASE + field.offset;
  const made = member(view, path);
  expect(made.address, path).to.equal(address);
  if (field.layout || field.type === 'union' || field.flexible) return;
  const { count, stride = field.size } = field;
  if (count === undefined) {
    checkElement(memory, made, address, stride);
    return;
  }
  expect(made.length).to.equal(count);
  for (let i = 0; i < count; i++) {
    if (stride === 1) {
      memory.write8(address + i, i & 0x7f);
      expect(made.read(i)).to.equal(i & 0x7f);
    } else {
      checkElement(memory, made.at(i), address + i * stride, stride);
    }
  }
}

for (const abi of ABI_NAMES) {
  describe(`views of ${abi}`, () => {
    for (const layout of Object.values(layoutsOf(abi))) {
      it(`read and write every field of ${layout.name} where the table has it`, () => {
        const memory = fresh();
        const view = new StructView(memory, BASE, layout);
        expect(view.address).to.equal(BASE);
        for (const [path, field] of Object.entries(layout.fields)) checkField(memory, view, path, field);
      });
    }

    it('see port p as bit p & 31 of word p >> 5 of a bitmap', () => {
      const memory = fresh();
      const { evtchn_mask: mask } = new SharedInfoView(memory, abi, BASE);
      for (const port of [0, 31, 32, 63, 64, 100, 1023]) {
        mask.word(port >> 5).or(1 << (port & 31));
        expect((memory.read8(mask.address + (port >> 3)) >> (port & 7)) & 1, `port ${port}`).to.equal(1);
      }
      expect(() => mask.word(mask.wordCount)).to.throw(RangeError, `array of ${mask.wordCount}`);
      expect(() => mask.word(-1)).to.throw(RangeError);
      expect(() => mask.at(Number.NaN)).to.throw(RangeError);
    });

    it('share their bytes with the view of the slot in shared_info', () => {
      const memory = fresh();
      const slot = new SharedInfoView(memory, abi, BASE).vcpu_info.at(0);
      const info = new VcpuInfoView(memory, abi, BASE);
      info.evtchn_upcall_pending.write(1);
      info.evtchn_upcall_mask.write(1);
      info.evtchn_pending_sel.lo.or(8);
      info.time.tsc_shift.write(-3);
      expect(slot.evtchn_upcall_pending.exchange(0)).to.equal(1);
      expect(slot.evtchn_upcall_mask.load()).to.equal(1);
      expect(slot.evtchn_pending_sel.word(0).exchange(0)).to.equal(8);
      expect(slot.time.tsc_shift.read()).to.equal(-3);
    });

    it("offer the wallclock's upper word and the upcall mask whatever the ABI calls them", () => {
      const { fields } = layoutsOf(abi).shared_info!;
      const shared = new SharedInfoView(fresh(), abi, BASE);
      const inArch = layoutsOf(abi).arch_shared_info!.fields.wc_sec_hi;
      const offset = fields.wc_sec_hi?.offset ?? fields.arch!.offset + inArch!.offset;
      expect(shared.xen_wc_sec_hi.address).to.equal(BASE + offset);
      expect(shared.vcpu_info.at(0).evtchn_upcall_mask.address).to.equal(BASE + 1);
    });
  });
}

for (const [kind, make] of [
  ['ByteField', (memory: AtomicsMemory) => new ByteField(memory, 5)],
  ['Word32', (memory: AtomicsMemory) => new Word32(memory, 4)],
] as const) {
  describe(kind, () => {
    it('offers the operations of Memory at its address', () => {
      const field = make(fresh());
      field.write(0b1100);
      const old = [field.add(1), field.and(0b0111), field.or(0b1000), field.xor(0b0001), field.exchange(3)];
      expect(old).to.deep.equal([0b1100, 0b1101, 0b0101, 0b1101, 0b1100]);
      expect([field.compareExchange(2, 9), field.read()]).to.deep.equal([3, 3]);
      expect([field.compareExchange(3, 9), field.load()]).to.deep.equal([3, 9]);
      field.store(7);
      expect(field.read()).to.equal(7);
    });
  });
}

describe('the type of a view', () => {
  it('has members that some ABIs lack as optional ones, and knows no others', () => {
    const info = new VcpuInfoView(fresh(), 'arm64', BASE);
    // @ts-expect-error: Arm has no cr2
    expect(() => info.arch.cr2.address).to.throw(TypeError);
    expect(info.arch.cr2?.address).to.equal(undefined);
    // @ts-expect-error: there is no such field
    expect(info.evtchn_upcall).to.equal(undefined);
    // @ts-expect-error: fields are not replaced
    info.evtchn_upcall_pending = info.evtchn_upcall_mask;
  });
});

describe('StructView', () => {
  it('refuses a place outside the memory or across words', () => {
    const memory = fresh();
    for (const address of [0x3000, 0x2fc1, -64, 2, Number.NaN]) {
      expect(() => new VcpuInfoView(memory, 'x86_64', address), `${address}`).to.throw(RangeError, 'vcpu_info');
    }
    expect(new VcpuInfoView(memory, 'x86_64', 0x3000 - 64).address).to.equal(0x2fc0);
  });

  it('keeps a 64-bit word count for fields of 64 bits only', () => {
    const memory = fresh();
    expect(new VcpuInfoView(memory, 'x86_32', BASE).evtchn_pending_sel.hi).to.equal(undefined);
    expect(() => new VcpuInfoView(memory, 'x86_32', BASE).evtchn_pending_sel.word(1)).to.throw(RangeError);
    expect(() => new VcpuInfoView(memory, 'x86_64', BASE).evtchn_pending_sel.word(2)).to.throw(RangeError);
    expect(new VcpuInfoView(memory, 'x86_64', BASE).evtchn_pending_sel.hi?.address).to.equal(BASE + 12);
  });

  it('reads and writes 64-bit numbers exactly below 2^53', () => {
    const { system_time: time } = new VcpuTimeInfoView(fresh(), 'x86_64', BASE);
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        time.writeNumber(value);
        expect(time.readNumber()).to.equal(value);
        expect(time.readBigInt()).to.equal(BigInt(value));
      }),
      { seed: 1 },
    );
  });

  it('writes a 16-bit field without touching its neighbour', () => {
    const memory = fresh();
    const members = { a: 'uint16', b: 'uint16' } as const satisfies Members;
    const view = structView<typeof members>(memory, BASE, structLayout('x86_64', 'pair', members));
    view.a.write(0x1234);
    view.b.write(0xffff);
    view.a.write(0xabcd);
    expect([view.a.read(), view.b.load()]).to.deep.equal([0xabcd, 0xffff]);
    expect(memory.read32(BASE) >>> 0).to.equal(0xffffabcd);
  });

  it('views structures declared elsewhere, with their types', () => {
    const inner = { state: 'uint32' } as const satisfies Members;
    const layout = structLayout('x86_64', 'channel', inner);
    const view = structView<typeof inner>(fresh(), BASE, layout);
    view.state.store(3);
    expect(view.state.add(1)).to.equal(3);
    expect(view.state.compareExchange(4, 9)).to.equal(4);
    expect(view.state.read()).to.equal(9);
  });
});

describe('BytesField', () => {
  it('holds zero-terminated text', () => {
    const { fields } = layoutsOf('x86_64').start_info!;
    const magic = member(new StructView(fresh(), BASE, layoutsOf('x86_64').start_info!), 'magic');
    magic.writeText('xen-3.0-x86_64');
    expect(magic.readText()).to.equal('xen-3.0-x86_64');
    magic.writeText('short');
    expect(magic.readText()).to.equal('short');
    expect(() => magic.writeText('x'.repeat(fields.magic!.size))).to.throw(RangeError);
    expect(magic.readText()).to.equal('short');
    expect(() => magic.read(32)).to.throw(RangeError);
    expect(() => magic.write(-1, 0)).to.throw(RangeError);
  });
});
