import { expect } from 'chai';
import { GNTMAP, GTF } from '../../../lib/abi';
import { snapshotDomain } from '../../../lib/engine/snapshot/domain';
import { makeDump } from '../../../lib/engine/snapshot/dump';
import { parseDump } from '../../../lib/engine/snapshot/dump-file';
import { Onlooker, peekBuffers } from '../../../lib/engine/snapshot/onlooker';
import type { ServicePage } from '../../../lib/engine/snapshot/rings';
import type { DomainSnapshot } from '../../../lib/engine/snapshot/schema';
import { lockGrant } from '../../../lib/hypervisor/grant-entries';
import type { HvDomain } from '../../../lib/hypervisor/hypervisor';
import { GRANT_TABLE_MAPTRACK_LOCK, GRANT_TABLE_NR_GRANT_FRAMES } from '../../../lib/hypervisor/state-layout';
import { grantLines, servicePageLines } from '../../../lib/report/listing/grants';
import { GrantMachine, page } from '../../hypervisor/support/grants';

const { GNTMAP_host_map, GNTMAP_device_map, GNTMAP_readonly } = GNTMAP;
const REF = 8;

/** A domain as it comes back from a dump's text. */
function look(machine: GrantMachine, of: HvDomain, servicePages: readonly ServicePage[] = []): DomainSnapshot {
  const { guest, private: state } = peekBuffers(machine.hypervisor.image);
  const onlooker = (domain: HvDomain): Onlooker =>
    new Onlooker(domain, { guest: (at) => guest(domain.id, at), private: (at) => state(domain.id, at) });
  const others = (id: number): Onlooker | undefined => {
    const domain = machine.hypervisor.domain(id);
    return domain && onlooker(domain);
  };
  const domain = snapshotDomain(onlooker(of), { others, servicePages });
  const result = { scenario: 's', engine: 'threads', seed: 1, failure: null, domains: [] };
  const dump = makeDump({ result, systemTime: 1, domains: [domain], lastAccesses: null });
  return parseDump(JSON.stringify(dump), 'memory').domains[0] as DomainSnapshot;
}

/** Grant 8 is mapped writable at page 2 and read-only at page 0, grant 9 for a device alone. */
function machineWithMappings(): GrantMachine {
  const machine = new GrantMachine();
  machine.grant(REF, 5);
  machine.grant(REF + 1, 6);
  machine.map(REF, page(2));
  machine.map(REF, page(0), GNTMAP_host_map | GNTMAP_readonly);
  machine.map(REF + 1, page(3), GNTMAP_device_map);
  return machine;
}

describe('the snapshot of grants', () => {
  it('has those in use, as the hypervisor and as the guest has them', () => {
    const machine = machineWithMappings();
    machine.grant(REF, 7, GTF.GTF_permit_access | GTF.GTF_reading, 3);
    expect(look(machine, machine.granter).grants).to.deep.equal({
      ...{ frames: 1, maxFrames: 2, maptrack: 0, maxMaptrack: 512, mappings: [], omitted: 0 },
      active: [
        { ref: 8, domain: 2, frame: 5, pin: 0x0101, entry: { domain: 3, frame: 7, flags: 9 } },
        { ref: 9, domain: 2, frame: 6, pin: 0x010000, entry: { domain: 2, frame: 6, flags: 0x19 } },
      ],
    });
  });

  it('has what the domain has mapped, with the pages of its window', () => {
    const machine = machineWithMappings();
    expect(look(machine, machine.user).grants?.mappings).to.deep.equal([
      { handle: 0, domain: 1, ref: 8, flags: 2, readonly: false, address: page(2) },
      { handle: 1, domain: 1, ref: 8, flags: 6, readonly: true, address: page(0) },
      { handle: 2, domain: 1, ref: 9, flags: 1, readonly: false },
    ]);
    machine.unmap(0, page(2));
    expect(look(machine, machine.user).grants?.mappings.map(({ handle }) => handle)).to.deep.equal([1, 2]);
  });

  it('is absent where there are none', () => {
    const machine = new GrantMachine();
    machine.grant(REF, 5);
    expect(look(machine, machine.granter)).not.to.have.property('grants');
  });

  it("is listed as Xen's debug key g does", () => {
    const machine = machineWithMappings();
    expect(grantLines(look(machine, machine.granter))).to.deep.equal([
      'Grant table of domain 1 (v1):',
      '    1 frames (2 max), 0 maptrack entries (512 max)',
      '    [ref]    by frame    pin         for gmfn     flags',
      '    [0x008]    d2 0x000005 0x00000101    d2 0x000005 0x0019  1 host writable, 1 host read-only; GTF_reading,GTF_writing',
      '    [0x009]    d2 0x000006 0x00010000    d2 0x000006 0x0019  1 device writable; GTF_reading,GTF_writing',
    ]);
    expect(grantLines(look(machine, machine.user)).slice(2)).to.deep.equal([
      '    no active grant table entries',
      '    handle 0: d1 ref 0x008 at 0x80002000',
      '    handle 1: d1 ref 0x008 at 0x80000000, read-only',
      '    handle 2: d1 ref 0x009 at no page',
    ]);
  });

  it('names the locks of grants that are held', () => {
    const machine = new GrantMachine();
    lockGrant(machine.granter, REF);
    machine.granter.state.writeLock(machine.granter.grantTableAddress + GRANT_TABLE_MAPTRACK_LOCK);
    expect(look(machine, machine.granter).locks.map(({ name }) => name)).to.deep.equal([
      'grant_table.maptrack_lock',
      'active_grant[8].lock',
    ]);
  });

  it('is bounded and whole whatever the tables hold', () => {
    const machine = machineWithMappings();
    const { granter, user } = machine;
    let random = 12345;
    for (let round = 0; round < 10; round++) {
      for (const { state, grantTableAddress } of [granter, user]) {
        for (let at = grantTableAddress; at < state.byteLength; at += 4) {
          random = Math.imul(random, 1664525) + 1013904223;
          state.write32(at, round === 0 ? -1 : random);
        }
        state.write32(grantTableAddress + GRANT_TABLE_NR_GRANT_FRAMES, -1);
      }
      const [a, b] = [look(machine, granter).grants, look(machine, user).grants];
      expect(a?.active.length).to.equal(1024);
      expect(b?.mappings.length).to.be.within(3, 4);
      expect(grantLines(look(machine, granter)).length).to.be.below(1024 + 600);
    }
  });
});

describe('the snapshot of the pages shared with Domain-0', () => {
  const PAGES = [
    { service: 'xenstore', address: 0x3000 },
    { service: 'console', address: 0x4000 },
  ];

  it('has the indices of each ring and the connection', () => {
    const machine = new GrantMachine();
    const { guest } = machine.granter;
    for (const [at, index] of [24, 30, 16, 16].entries()) guest.write32(0x3000 + 2048 + at * 4, index);
    guest.write32(0x3000 + 2048 + 20, 1);
    for (const [at, index] of [1, 3, 0, 5000].entries()) guest.write32(0x4000 + 3072 + at * 4, index);
    guest.write32(0x4000 + 3072 + 16, 0xffffff00 | 0);
    const domain = look(machine, machine.granter, PAGES);
    expect(
      domain.servicePages?.map(({ service, connected, error, rings }) => ({ service, connected, error, rings })),
    ).to.deep.equal([
      {
        ...{ service: 'xenstore', connected: false, error: 0 },
        rings: [
          { name: 'req', size: 1024, prod: 30, cons: 24 },
          { name: 'rsp', size: 1024, prod: 16, cons: 16 },
        ],
      },
      {
        ...{ service: 'console', connected: true, error: undefined },
        rings: [
          { name: 'in', size: 1024, prod: 3, cons: 1 },
          { name: 'out', size: 2048, prod: 5000, cons: 0 },
        ],
      },
    ]);
    expect(servicePageLines(domain)).to.deep.equal([
      'Pages that domain 1 shares with Domain-0:',
      '    xenstore at 0x3000: not connected, req prod=30 cons=24 (6 bytes), rsp prod=16 cons=16',
      '    console at 0x4000: connected, in prod=3 cons=1 (2 bytes), out prod=5000 cons=0 (corrupt)',
    ]);
  });
});
