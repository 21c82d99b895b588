import { expect } from 'chai';
import { ABI_NAMES, layoutOf, structLayout } from '../../lib/abi';
import { AddressNames, domainRanges } from '../../lib/memory/names';

const BYTES = 0x8000;
const WORDS = { rounds: 0x3000, slots: [0x3040, 0x3080, 0x30c0], 'slots.sum': 0x3100 } as const;

function namesOf(abi: (typeof ABI_NAMES)[number]): AddressNames {
  return new AddressNames(
    domainRanges({ abi, sharedInfoAddress: 0x1000, startInfoAddress: 0x2000, words: WORDS, frames: BYTES / 4096 }),
  );
}

describe('AddressNames of a domain', () => {
  const names = namesOf('x86_64');

  it('name fields, elements of arrays, and fields of elements', () => {
    expect(names.nameOf(0x1a08)).to.equal('shared_info.evtchn_mask[1]');
    expect(names.nameOf(0x1080)).to.equal('shared_info.vcpu_info[2].evtchn_upcall_pending');
    expect(names.nameOf(0x1081)).to.equal('shared_info.vcpu_info[2].evtchn_upcall_mask');
    expect(names.nameOf(0x1020)).to.equal('shared_info.vcpu_info[0].time.version');
    expect(names.nameOf(0x2048)).to.equal('start_info.console.domU.mfn');
  });

  it('call the upper half of a 64-bit field as the views do', () => {
    expect(names.nameOf(0x100c)).to.equal('shared_info.vcpu_info[0].evtchn_pending_sel.hi');
    expect(names.nameOf(0x1a0c)).to.equal('shared_info.evtchn_mask[1].hi');
  });

  it("name the scenario's words, and whatever else by frame", () => {
    expect(names.nameOf(0x3000)).to.equal('rounds');
    expect(names.nameOf(0x3080)).to.equal('slots[1]');
    expect(names.nameOf(0x3002)).to.equal('rounds+0x2');
    expect(names.nameOf(0x3010)).to.equal('frame[3]+0x10');
    expect(names.nameOf(0x5000)).to.equal('frame[5]');
    expect(names.nameOf(0x1002)).to.equal('shared_info.vcpu_info[0]+0x2');
    expect(names.nameOf(BYTES)).to.equal('0x8000');
  });

  it('tell the ports of a 32-bit access to a bitmap', () => {
    expect(names.describe(0x1a08)).to.equal('shared_info.evtchn_mask[1] ports 64..95');
    expect(names.describe(0x1a0c)).to.equal('shared_info.evtchn_mask[1].hi ports 96..127');
    expect(names.describe(0x1000)).to.equal('shared_info.vcpu_info[0].evtchn_upcall_pending');
    expect(namesOf('x86_32').describe(0x1884)).to.equal('shared_info.evtchn_mask[1] ports 32..63');
  });

  it('tell the port of a bit operation, and the ports behind a selector bit', () => {
    expect(names.describeBits(0x1800, 1 << 5)).to.equal('shared_info.evtchn_pending[0] port 5');
    expect(names.describeBits(0x1804, 1 << 31)).to.equal('shared_info.evtchn_pending[0].hi port 63');
    expect(names.describeBits(0x1800, 0b1010)).to.equal('shared_info.evtchn_pending[0] port 1, port 3');
    expect(names.describeBits(0x1008, 2)).to.equal('shared_info.vcpu_info[0].evtchn_pending_sel ports 64..127');
    expect(names.describeBits(0x100c, 1)).to.equal('shared_info.vcpu_info[0].evtchn_pending_sel.hi ports 2048..2111');
    expect(namesOf('x86_32').describeBits(0x1004, 2)).to.equal(
      'shared_info.vcpu_info[0].evtchn_pending_sel ports 32..63',
    );
    expect(names.describeBits(0x3000, 4)).to.equal('rounds bit 2');
    expect(names.describeBits(0x1a00, -1)).to.equal('shared_info.evtchn_mask[0] ports 0..31');
    expect(names.describeBits(BYTES, 1)).to.equal('0x8000');
  });

  it('put a structure registered in a frame before the frame', () => {
    const moved = names.with({ name: 'vcpu_info of vCPU 3', address: 0x5040, layout: layoutOf('x86_64', 'vcpu_info') });
    expect(moved.nameOf(0x5048)).to.equal('vcpu_info of vCPU 3.evtchn_pending_sel');
    expect(moved.nameOf(0x5000)).to.equal('frame[5]');
    expect(names.nameOf(0x5048)).to.equal('frame[5]+0x48');
  });

  it('know no address for a name that nothing has', () => {
    for (const name of [
      '',
      'rounds[0]',
      'slots',
      'slots[3]',
      'shared_info.nothing',
      'shared_info.vcpu_info[32]',
      'x',
    ]) {
      expect(names.addressOf(name), name).to.equal(undefined);
    }
    for (const name of ['rounds+0x4', 'rounds.hi', 'frame[8]', 'frame[1]+0x1000', 'frame[1]+', '12']) {
      expect(names.addressOf(name), name).to.equal(undefined);
    }
  });

  for (const abi of ABI_NAMES) {
    it(`lead back to the address from the name of every byte, ${abi}`, () => {
      const all = namesOf(abi);
      for (let address = 0; address < BYTES + 8; address++) {
        expect(all.addressOf(all.nameOf(address)), all.nameOf(address)).to.equal(address);
      }
    });

    it(`give every field of shared_info the name its table has, ${abi}`, () => {
      for (const [field, { offset, size, count }] of Object.entries(layoutOf(abi, 'shared_info').fields)) {
        if (size === 0) continue;
        const name = namesOf(abi).nameOf(0x1000 + offset);
        expect(name.startsWith(`shared_info.${field}${count === undefined ? '' : '[0]'}`), name).to.equal(true);
      }
    });
  }
});

describe('AddressNames of a private region', () => {
  const channel = structLayout('x86_64', 'channel', { lock: 'uint32', state: 'uint32', word: 'uint64' });
  const vcpu = structLayout('x86_64', 'vcpu', { pause_flags: 'uint32', virq_port: { type: 'uint32', count: 24 } });
  const names = new AddressNames([
    { name: 'channel', address: 0, layout: channel, count: 4, stride: 64 },
    {
      name: 'vcpu',
      address: 0x100,
      layout: vcpu,
      count: 2,
      stride: 128,
      bits: { pause_flags: { 0: 'BLOCKED', 2: 'PARKED' } },
    },
    { name: 'event_word', address: 0x400, count: 8, bits: { '': { 31: 'PENDING', 30: 'MASKED' } } },
    { name: 'poll_mask', address: 0x500, size: 16, bits: { '': 'port' } },
  ]);

  it('name by structure tables of the same form', () => {
    expect(names.nameOf(0x44)).to.equal('channel[1].state');
    expect(names.nameOf(0x184)).to.equal('vcpu[1].virq_port[0]');
    expect(names.nameOf(0x50)).to.equal('0x50');
  });

  it('name bits by the names the range gives them', () => {
    expect(names.describeBits(0x180, 1)).to.equal('vcpu[1].pause_flags BLOCKED');
    expect(names.describeBits(0x100, 0b101)).to.equal('vcpu[0].pause_flags BLOCKED, PARKED');
    expect(names.describeBits(0x100, 0b1000)).to.equal('vcpu[0].pause_flags bit 3');
    expect(names.describeBits(0x404, 1 << 31)).to.equal('event_word[1] PENDING');
    expect(names.describeBits(0x504, 1)).to.equal('poll_mask+0x4 port 32');
  });
});
