import { expect } from 'chai';
import * as abi from '../../lib/abi';
import recorded from '../fixtures/constants.json';

type Group = Readonly<Record<string, number | bigint>>;

/** The recording spells what a double cannot hold, and masks, as text. */
function normalise(value: unknown): unknown {
  return typeof value === 'string' || typeof value === 'bigint' ? BigInt(value) : value;
}

/** A recorded group without its notes. */
function numbersOf(group: object): Record<string, unknown> {
  const entries = Object.entries(group).filter(([key]) => !key.startsWith('_note'));
  return Object.fromEntries(entries.map(([key, value]) => [key, normalise(value)]));
}

/** Recorded group -> ours; where the names differ. */
const RENAMED: Readonly<Record<string, object>> = {
  hypercalls: abi.HYPERCALLS,
  errno: abi.Errno,
  errno_internal: abi.ERRNO_INTERNAL,
  channel_states_internal: abi.ECS,
  toolstack_defaults: abi.TOOLSTACK_DEFAULTS,
};

/** Groups that get a test of their own below. */
const SPECIAL = ['hypercalls_relevant', 'VIRQ_class', 'XEN_RUNSTATE_UPDATE', 'FIFO_masks', 'arm_guest'];
const TEXT_OR_BIG = ['VCPUOP_limits', 'set_timer_op_limits'];

describe('constants', () => {
  for (const [name, group] of Object.entries(recorded)) {
    if (typeof group !== 'object' || name.startsWith('_') || SPECIAL.includes(name)) continue;
    it(`have every number of the group ${name}, and no other`, () => {
      const ours = (RENAMED[name] ?? (abi as Record<string, unknown>)[name]) as Group;
      const wanted = numbersOf(group);
      if (TEXT_OR_BIG.includes(name)) {
        const big = (all: object) =>
          Object.fromEntries(Object.entries(all).map(([key, value]) => [key, BigInt(value)]));
        expect(big(ours)).to.deep.equal(big(wanted));
      } else {
        expect(ours).to.deep.equal(wanted);
      }
    });
  }

  it('are exported one by one where they are used most', () => {
    const { EVTCHNOP, EVTCHNSTAT, ECS, VIRQ, SCHEDOP, SHUTDOWN, VCPUOP, RUNSTATE, DOMID } = abi;
    for (const group of [EVTCHNOP, EVTCHNSTAT, ECS, VIRQ, SCHEDOP, SHUTDOWN, VCPUOP, RUNSTATE, DOMID]) {
      expect(abi).to.include(group);
    }
  });

  it('name the hypercalls that Upcall is about', () => {
    for (const [name, number] of Object.entries(recorded.hypercalls_relevant)) {
      expect(abi.HYPERCALLS).to.have.property(`__HYPERVISOR_${name}`, number);
    }
  });

  it('sort the VIRQs into classes, unnamed ones being global', () => {
    expect(abi.NR_VIRQS).to.equal(recorded.NR_VIRQS);
    const byNumber = Array<string>(abi.NR_VIRQS).fill('global');
    for (const [name, kind] of Object.entries(recorded.VIRQ_class))
      byNumber[(abi.VIRQ as Group)[name] as number] = kind;
    expect(abi.VIRQ_CLASS).to.deep.equal(byNumber);
  });

  it('have the masks of a FIFO event word where its bit numbers say', () => {
    const { PENDING, MASKED, LINKED, BUSY, LINK } = recorded.FIFO_masks;
    const wanted = { PENDING, MASKED, LINKED, BUSY, LINK };
    expect(abi.FIFO_MASKS).to.deep.equal(Object.fromEntries(Object.entries(wanted).map(([k, v]) => [k, Number(v)])));
    expect(abi.FIFO_MASKS.LINK).to.equal(2 ** abi.FIFO.EVTCHN_FIFO_LINK_BITS - 1);
    expect(abi.FIFO_MASKS.BUSY).to.equal(2 ** abi.FIFO.EVTCHN_FIFO_BUSY);
  });

  it('have the update flag of a runstate record', () => {
    expect(abi.XEN_RUNSTATE_UPDATE_BIT).to.equal(recorded.XEN_RUNSTATE_UPDATE.bit);
    expect(abi.XEN_RUNSTATE_UPDATE).to.equal(BigInt(recorded.XEN_RUNSTATE_UPDATE.hex));
  });

  it('have the single ones', () => {
    expect(abi.GUEST_EVTCHN_PPI).to.equal(recorded.arm_guest.GUEST_EVTCHN_PPI);
    expect(abi.SHUTDOWN_CODE_INVALID).to.equal(recorded.SHUTDOWN_CODE_INVALID_internal);
  });
});
