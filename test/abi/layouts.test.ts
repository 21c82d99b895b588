import { expect } from 'chai';
import { ABI_CONSTANTS, ABI_NAMES, type FieldLayout, layoutOf, layoutsOf, type StructLayout } from '../../lib/abi';
import recorded from '../fixtures/layouts.json';

/** A table as the recording has it: without nested tables, and flexible arrays without a size. */
function plain({ size, align, fields }: StructLayout): object {
  const strip = ({ layout: _, size: bytes, ...rest }: FieldLayout) => (rest.flexible ? rest : { ...rest, size: bytes });
  return { size, align, fields: Object.fromEntries(Object.entries(fields).map(([name, f]) => [name, strip(f)])) };
}

for (const abi of ABI_NAMES) {
  const { constants, ...structs } = recorded[abi] as { constants: object; [struct: string]: object };

  describe(`layouts of ${abi}`, () => {
    it('are those of exactly the structures recorded', () => {
      expect(Object.keys(layoutsOf(abi))).to.have.members(Object.keys(structs));
    });

    for (const [name, table] of Object.entries(structs)) {
      it(`put every field of ${name} where Xen's compiler puts it`, () => {
        expect(plain(layoutsOf(abi)[name]!)).to.deep.equal(table);
      });
    }

    it('come with the constants recorded', () => {
      expect(ABI_CONSTANTS[abi]).to.deep.equal(constants);
    });

    it('agree with those constants about widths and alignments', () => {
      const { BITS_PER_EVTCHN_WORD, EVTCHN_2L_NR_CHANNELS, ...sizes } = ABI_CONSTANTS[abi];
      const { fields, align } = layoutOf(abi, 'shared_info');
      expect(fields.evtchn_pending?.stride).to.equal(BITS_PER_EVTCHN_WORD / 8);
      expect(fields.evtchn_mask?.size).to.equal(EVTCHN_2L_NR_CHANNELS / 8);
      expect(fields.vcpu_info?.count).to.equal(sizes.XEN_LEGACY_MAX_VCPUS);
      expect(align).to.equal(sizes.alignof_shared_info);
      expect(layoutOf(abi, 'vcpu_info').align).to.equal(sizes.alignof_vcpu_info);
      expect(layoutOf(abi, 'vcpu_info').fields.evtchn_pending_sel?.size).to.equal(sizes.sizeof_xen_ulong_t);
    });
  });
}

describe('layoutOf', () => {
  it('gives nested structures their own table', () => {
    expect(layoutOf('arm64', 'shared_info').fields.vcpu_info?.layout).to.equal(layoutOf('arm64', 'vcpu_info'));
  });

  it('says that start_info does not exist on Arm', () => {
    expect(() => layoutOf('arm32', 'start_info')).to.throw('start_info does not exist on arm32');
  });
});
