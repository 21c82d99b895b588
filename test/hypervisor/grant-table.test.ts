import { expect } from 'chai';
import { DOMID_SELF, Errno, GNTCOPY, GNTMAP, GNTST, GNTTAB_CACHE, GTF } from '../../lib/abi';
import { machineAddress } from '../../lib/hypervisor/grant-mappings';
import { TableSize } from '../../lib/hypervisor/grant-table';
import { resetMachine } from '../../lib/hypervisor/start-of-day';
import { ACTIVE_GRANT_PIN } from '../../lib/hypervisor/state-layout';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import { mappedAddress, mappedDomainIndex, mappingAllows } from '../../lib/memory/grant-window';
import { FRAMES, GrantMachine, page, READ_ONLY_FRAME } from './support/grants';

const { GTF_permit_access, GTF_readonly, GTF_reading, GTF_writing, GTF_sub_page, GTF_accept_transfer } = GTF;
const { GNTMAP_host_map, GNTMAP_device_map, GNTMAP_readonly, GNTMAP_contains_pte, GNTMAP_application_map } = GNTMAP;
const { GNTST_okay, GNTST_general_error, GNTST_bad_domain, GNTST_bad_gntref, GNTST_bad_handle, GNTST_bad_page } = GNTST;
const { GNTCOPY_source_gref, GNTCOPY_dest_gref } = GNTCOPY;
const REF = 8;
const FRAME = 5;

describe('map_grant_ref', () => {
  it('shows exactly that frame at that page, and marks the grant', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    expect(machine.map(REF, page(2))).to.equal(0);
    const word = machine.windowWord(2);
    expect(mappedDomainIndex(word)).to.equal(machine.granter.index);
    expect(mappedAddress(word, page(2) + 0x123)).to.equal(FRAME * 4096 + 0x123);
    expect([mappingAllows(word, false), mappingAllows(word, true)]).to.deep.equal([true, true]);
    expect(machine.flags(REF)).to.equal(GTF_permit_access | GTF_reading | GTF_writing);
    expect([machine.windowWord(0), machine.windowWord(1), machine.windowWord(3)]).to.deep.equal([0, 0, 0]);
  });

  it('marks a read-only mapping as reading alone', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME, GTF_permit_access | GTF_readonly);
    expect(machine.map(REF)).to.equal(GNTST_general_error);
    expect(machine.flags(REF)).to.equal(GTF_permit_access | GTF_readonly);
    expect(machine.map(REF, page(0), GNTMAP_host_map | GNTMAP_readonly)).to.equal(0);
    expect(machine.flags(REF)).to.equal(GTF_permit_access | GTF_readonly | GTF_reading);
    expect(mappingAllows(machine.windowWord(0), true)).to.equal(false);
  });

  it('takes a frame that is granted again and again, and counts', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    const handles = [0, 1].map((number) => machine.map(REF, page(number), GNTMAP_host_map | GNTMAP_readonly));
    expect(machine.flags(REF)).to.equal(GTF_permit_access | GTF_reading);
    const writable = machine.map(REF, page(2));
    expect(machine.flags(REF)).to.equal(GTF_permit_access | GTF_reading | GTF_writing);
    expect(machine.unmap(writable, page(2))).to.equal(GNTST_okay);
    expect(machine.flags(REF)).to.equal(GTF_permit_access | GTF_reading);
    for (const [number, handle] of handles.entries()) expect(machine.unmap(handle, page(number))).to.equal(GNTST_okay);
    expect(machine.flags(REF)).to.equal(GTF_permit_access);
  });

  it('keeps the frame that was granted when the entry changes under it', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    machine.map(REF, page(0));
    machine.grant(REF, 7, GTF_permit_access | GTF_reading | GTF_writing);
    machine.map(REF, page(1));
    expect(mappedAddress(machine.windowWord(1), page(1))).to.equal(FRAME * 4096);
    expect(machine.unmap(0, page(0))).to.equal(GNTST_okay);
  });

  const REFUSED: readonly [string, number, (machine: GrantMachine) => number][] = [
    ['neither a host nor a device mapping', GNTST_bad_gntref, (m) => m.map(REF, page(0), GNTMAP_readonly)],
    ['a domain there is not', GNTST_bad_domain, (m) => m.map(REF, page(0), GNTMAP_host_map, 9)],
    ['DOMID_SELF', GNTST_bad_domain, (m) => m.map(REF, page(0), GNTMAP_host_map, DOMID_SELF)],
    ['an entry behind the table', GNTST_bad_gntref, (m) => m.map(512)],
    ['an entry that is invalid', GNTST_general_error, (m) => m.map(REF + 1)],
    ['page 0 of memory', GNTST_general_error, (m) => m.map(REF, 4096)],
    ['an address within a page', GNTST_general_error, (m) => m.map(REF, page(0) + 8)],
    ['a page behind the window', GNTST_general_error, (m) => m.map(REF, page(4))],
    ['no number', GNTST_general_error, (m) => m.map(REF, Number.NaN)],
    ['a page table entry', GNTST_general_error, (m) => m.map(REF, page(0), GNTMAP_host_map | GNTMAP_contains_pte)],
  ];
  for (const [what, status, attempt] of REFUSED) {
    it(`refuses ${what}, and leaves nothing behind`, () => {
      const machine = new GrantMachine();
      machine.grant(REF, FRAME);
      expect(attempt(machine)).to.equal(status);
      expect(machine.flags(REF)).to.equal(GTF_permit_access);
      expect([0, 1, 2, 3].map((number) => machine.windowWord(number))).to.deep.equal([0, 0, 0, 0]);
      // The handle it took meanwhile is free again.
      expect([0, 1, 2, 3].map((number) => machine.map(REF, page(number))).sort()).to.deep.equal([0, 1, 2, 3]);
    });
  }

  const BAD_ENTRIES: readonly [string, number, number, number?, number?][] = [
    ['for another domain', GNTST_general_error, GTF_permit_access, FRAME, 3],
    ['for a transfer', GNTST_general_error, GTF_accept_transfer],
    ['of a part of a page', GNTST_general_error, GTF_permit_access | GTF_sub_page],
    ['of no frame', GNTST_bad_page, GTF_permit_access, 0],
    ['of a frame behind the memory', GNTST_bad_page, GTF_permit_access, FRAMES + 1],
    ['of a frame nobody may write', GNTST_general_error, GTF_permit_access, READ_ONLY_FRAME],
  ];
  for (const [what, status, flags, frame = FRAME, dom = 2] of BAD_ENTRIES) {
    it(`refuses a grant ${what}, and leaves its flags`, () => {
      const machine = new GrantMachine();
      machine.grant(REF, frame, flags, dom);
      expect(machine.map(REF)).to.equal(status);
      expect(machine.flags(REF)).to.equal(flags);
    });
  }

  it('takes a read-only mapping of a frame nobody may write, and frames of the table itself', () => {
    const machine = new GrantMachine();
    machine.grant(REF, READ_ONLY_FRAME);
    expect(machine.map(REF, page(0), GNTMAP_host_map | GNTMAP_readonly)).to.equal(0);
    machine.grant(REF + 1, FRAMES);
    expect(machine.map(REF + 1, page(1))).to.equal(1);
  });

  it('lets a domain map what it grants itself', () => {
    const machine = new GrantMachine();
    const { guest } = machine.user;
    guest.write32(machine.user.grantEntryAddress(REF) + 4, FRAME);
    guest.write32(machine.user.grantEntryAddress(REF), (2 << 16) | GTF_permit_access);
    expect(machine.map(REF, page(0), GNTMAP_host_map, 2)).to.equal(0);
    expect(mappedDomainIndex(machine.windowWord(0))).to.equal(machine.user.index);
  });

  it('has no more handles than the domain may map', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    for (let number = 0; number < 4; number++) expect(machine.map(REF, page(number))).to.equal(number);
    expect(machine.map(REF, page(3))).to.equal(GNTST.GNTST_no_device_space);
    expect(machine.unmap(2, page(2))).to.equal(GNTST_okay);
    expect(machine.map(REF, page(2))).to.equal(2);
  });

  it('refuses a page that is taken', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    machine.map(REF);
    expect(machine.map(REF)).to.equal(GNTST_general_error);
    expect(machine.unmap(0)).to.equal(GNTST_okay);
    expect(machine.flags(REF)).to.equal(GTF_permit_access);
  });

  it('gives up on an entry that changes all the time', () => {
    let changes = 0;
    class Restless extends AtomicsMemory {
      override compareExchange32(address: number, expected: number, replacement: number): number {
        if (changes > 0 && address === FRAMES * 4096 + REF * 8) {
          changes--;
          super.xor32(address, GTF.GTF_PWT);
        }
        return super.compareExchange32(address, expected, replacement);
      }
    }
    const machine = new GrantMachine('x86_64', (buffer) => new Restless(buffer));
    machine.grant(REF, FRAME);
    changes = 4;
    expect(machine.map(REF)).to.equal(0);
    machine.unmap(0);
    changes = 5;
    expect(machine.map(REF)).to.equal(GNTST_general_error);
  });

  it('stops before a count overflows', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    machine.map(REF, page(0));
    machine.granter.state.write32(machine.granter.activeGrantAddress(REF) + ACTIVE_GRANT_PIN, 0x80);
    expect(machine.map(REF, page(1))).to.equal(GNTST_general_error);
  });

  it('counts device mappings by themselves', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    const handle = machine.map(REF, page(0), GNTMAP_host_map | GNTMAP_device_map);
    const address = machineAddress(machine.granter, FRAME);
    expect(machine.unmap(handle, page(0))).to.equal(GNTST_okay);
    expect(machine.flags(REF)).to.equal(GTF_permit_access | GTF_reading | GTF_writing);
    expect(machine.unmap(handle, 0, address + 4096)).to.equal(GNTST_general_error);
    expect(machine.unmap(handle, 0, address)).to.equal(GNTST_okay);
    expect(machine.flags(REF)).to.equal(GTF_permit_access);
    expect(machine.unmap(handle, 0, address)).to.equal(GNTST_bad_handle);
  });

  it('is for page tables and devices on x86 only', () => {
    const machine = new GrantMachine('arm64');
    machine.grant(REF, FRAME);
    for (const flag of [GNTMAP_device_map, GNTMAP_application_map, GNTMAP_contains_pte, 1 << 16]) {
      expect(machine.map(REF, page(0), GNTMAP_host_map | flag)).to.equal(GNTST_general_error);
    }
    expect(machine.map(REF)).to.be.at.least(0);
  });
});

describe('unmap_grant_ref', () => {
  it('refuses handles that mean nothing', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    for (const handle of [0, 4, 0xffffffff, -1, 0.5]) expect(machine.unmap(handle)).to.equal(GNTST_bad_handle);
    machine.map(REF);
    expect(machine.unmap(0)).to.equal(GNTST_okay);
    expect(machine.unmap(0)).to.equal(GNTST_bad_handle);
  });

  it('wants the page the mapping is at, and does nothing without one', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    machine.grant(REF + 1, FRAME + 1);
    machine.map(REF, page(0));
    machine.map(REF + 1, page(1));
    for (const address of [page(1), page(2), page(0) + 4, 0x5000]) {
      expect(machine.unmap(0, address)).to.equal(GNTST_general_error);
    }
    expect(machine.unmap(0, 0)).to.equal(GNTST_okay);
    expect(machine.flags(REF)).to.equal(GTF_permit_access | GTF_reading | GTF_writing);
    expect(machine.unmap(0, page(0))).to.equal(GNTST_okay);
    expect(machine.windowWord(0)).to.equal(0);
  });

  it('has nothing to put in the place: unmap_and_replace with an address is refused', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    machine.map(REF);
    const { mappings } = machine.hypervisor.grants;
    expect(mappings.unmap(machine.vcpu(2, 0), page(0), 0, 0, 0x5000)).to.equal(GNTST_general_error);
    expect(mappings.unmap(machine.vcpu(2, 0), page(0), 0, 0, 0)).to.equal(GNTST_okay);
  });
});

describe('GNTTABOP_copy', () => {
  const self = (frame: number, offset = 0) => ({ domid: DOMID_SELF, refOrFrame: frame, offset });
  const granted = (ref: number, offset = 0) => ({ domid: 1, refOrFrame: ref, offset });

  it('copies any bytes at any offsets, and gives the grants back', () => {
    for (const [from, to, len] of [
      [0, 0, 4096],
      [1, 5, 100],
      [3, 2, 61],
      [4092, 0, 4],
      [7, 7, 0],
    ] as const) {
      const machine = new GrantMachine();
      machine.grant(REF, FRAME, GTF_permit_access | GTF_readonly);
      for (let i = 0; i < 4096; i++) machine.granter.guest.write8(FRAME * 4096 + i, (i * 7 + 1) & 0xff);
      const args = { from: granted(REF, from), to: self(6, to), len, flags: GNTCOPY_source_gref };
      expect(machine.copy(args)).to.equal(GNTST_okay);
      for (let i = 0; i < 4096; i++) {
        const wanted = i >= to && i < to + len ? ((i - to + from) * 7 + 1) & 0xff : 0;
        expect(machine.user.guest.read8(6 * 4096 + i)).to.equal(wanted);
      }
      expect(machine.flags(REF)).to.equal(GTF_permit_access | GTF_readonly);
    }
  });

  it('copies the other way into a grant that may be written', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    machine.user.guest.write32(6 * 4096, 77);
    const args = { from: self(6), to: granted(REF, 8), len: 4, flags: GNTCOPY_dest_gref };
    expect(machine.copy(args)).to.equal(GNTST_okay);
    expect(machine.granter.guest.read32(FRAME * 4096 + 8)).to.equal(77);
    machine.grant(REF, FRAME, GTF_permit_access | GTF_readonly);
    expect(machine.copy(args)).to.equal(GNTST_general_error);
    expect(machine.flags(REF)).to.equal(GTF_permit_access | GTF_readonly);
  });

  it('refuses what Xen refuses', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    const from = granted(REF);
    const flags = GNTCOPY_source_gref;
    const copy = (given: Partial<Parameters<GrantMachine['copy']>[0]>) =>
      machine.copy({ from, to: self(6), len: 8, flags, ...given });
    expect(copy({ from: granted(FRAME), flags: 0 })).to.equal(GNTST.GNTST_permission_denied);
    expect(copy({ to: { domid: 1, refOrFrame: 6 } })).to.equal(GNTST.GNTST_permission_denied);
    expect(copy({ from: { domid: 9, refOrFrame: REF } })).to.equal(GNTST_bad_domain);
    expect(copy({ from: granted(4000) })).to.equal(GNTST_bad_gntref);
    expect(copy({ from: granted(REF + 1) })).to.equal(GNTST_general_error);
    expect(copy({ to: self(99) })).to.equal(GNTST_bad_page);
    expect(copy({ to: self(0) })).to.equal(GNTST_bad_page);
    expect(copy({ to: self(READ_ONLY_FRAME) })).to.equal(GNTST_general_error);
    expect(copy({ from: granted(REF, 4090) })).to.equal(GNTST.GNTST_bad_copy_arg);
    expect(copy({ to: self(6, 4090) })).to.equal(GNTST.GNTST_bad_copy_arg);
    expect(machine.flags(REF)).to.equal(GTF_permit_access);
  });
});

describe('grant tables', () => {
  it('tell their size, and grow as far as the toolstack lets them', () => {
    const machine = new GrantMachine();
    const { grants } = machine.hypervisor;
    const [current, control] = [machine.vcpu(1, 0), machine.vcpu(3, 0)];
    const size = new TableSize();
    expect(grants.querySize(current, DOMID_SELF, size)).to.equal(GNTST_okay);
    expect({ ...size }).to.deep.equal({ nrFrames: 1, maxNrFrames: 2 });
    expect(grants.setupTable(current, DOMID_SELF, 3)).to.equal(GNTST_general_error);
    machine.grant(600, FRAME);
    expect(machine.map(600)).to.equal(GNTST_bad_gntref);
    expect(grants.setupTable(control, 1, 2)).to.equal(GNTST_okay);
    expect(grants.firstFrame(control, 1)).to.equal(FRAMES);
    expect(machine.map(600)).to.equal(0);
    expect(grants.querySize(control, 1, size)).to.equal(GNTST_okay);
    expect(size.nrFrames).to.equal(2);
    for (const ask of [grants.querySize(current, 2, size), grants.setupTable(current, 2, 1)]) {
      expect(ask).to.equal(GNTST.GNTST_permission_denied);
    }
    expect(grants.querySize(current, 9, size)).to.equal(GNTST_bad_domain);
  });

  it('are of version 1', () => {
    const machine = new GrantMachine();
    const { grants } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    expect([0, 1, 2, 3].map((version) => grants.setVersion(version))).to.deep.equal([
      -Errno.EINVAL,
      0,
      -Errno.ENOSYS,
      -Errno.EINVAL,
    ]);
    expect([DOMID_SELF, 2, 9].map((dom) => grants.getVersion(current, dom))).to.deep.equal([
      1,
      -Errno.EPERM,
      -Errno.ESRCH,
    ]);
    expect([0, 1].map((n) => grants.getStatusFrames(current, DOMID_SELF, n))).to.deep.equal([0, GNTST_general_error]);
  });

  it('refuse transfers', () => {
    const machine = new GrantMachine();
    const { grants } = machine.hypervisor;
    expect(grants.transfer(machine.vcpu(1, 0), FRAME)).to.equal(GNTST_general_error);
    expect(grants.transfer(machine.vcpu(1, 0), 99)).to.equal(GNTST_bad_page);
  });

  it('let two entries change places unless one is used', () => {
    const machine = new GrantMachine();
    const { grants } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    machine.grant(REF, FRAME);
    expect(grants.swapGrantRef(current, REF, 100)).to.equal(GNTST_okay);
    expect([machine.flags(REF), machine.flags(100)]).to.deep.equal([0, GTF_permit_access]);
    expect(grants.swapGrantRef(current, REF, 512)).to.equal(GNTST_bad_gntref);
    machine.map(100);
    expect(grants.swapGrantRef(current, REF, 100)).to.equal(GNTST.GNTST_eagain);
    expect(grants.swapGrantRef(current, 100, 100)).to.equal(GNTST_okay);
  });

  it('check what is to be flushed from the caches', () => {
    for (const [abi, result] of [
      ['x86_64', -Errno.EOPNOTSUPP],
      ['arm64', 0],
    ] as const) {
      const machine = new GrantMachine(abi);
      machine.grant(REF, FRAME);
      const flush = (address: number, offset = 0, length = 8, op: number = GNTTAB_CACHE.GNTTAB_CACHE_CLEAN) =>
        machine.hypervisor.grants.cacheFlush(machine.vcpu(2, 0), address, offset, length, op);
      const foreign = machineAddress(machine.granter, FRAME);
      expect(flush(machineAddress(machine.user, 5))).to.equal(result);
      expect(flush(foreign)).to.equal(-Errno.EINVAL);
      machine.map(REF);
      expect(flush(foreign)).to.equal(result);
      expect(flush(foreign, 4090)).to.equal(-Errno.EINVAL);
      expect(flush(foreign, 0, 8, 4)).to.equal(-Errno.EINVAL);
      expect(flush(5)).to.equal(-Errno.EINVAL);
      expect(flush(foreign, 0, 0)).to.equal(0);
    }
  });

  it('are free of a domain that dies, which leaves others what they have mapped of it', () => {
    const machine = new GrantMachine();
    const { hypervisor } = machine;
    machine.grant(REF, FRAME);
    const { guest } = machine.user;
    guest.write32(machine.user.grantEntryAddress(REF) + 4, 6);
    guest.write32(machine.user.grantEntryAddress(REF), (2 << 16) | GTF_permit_access);
    const kept = machine.map(REF, page(0));
    machine.map(REF, page(1), GNTMAP_host_map, 2);
    hypervisor.killDomain(machine.granter);
    expect(mappingAllows(machine.windowWord(0), true)).to.equal(true);
    machine.grant(REF + 1, FRAME);
    expect(machine.map(REF + 1, page(2))).to.equal(GNTST_bad_page);
    const copied = { from: { domid: 1, refOrFrame: REF }, to: { domid: DOMID_SELF, refOrFrame: 7 }, len: 4 };
    expect(machine.copy({ ...copied, flags: GNTCOPY_source_gref })).to.equal(GNTST_bad_domain);
    hypervisor.removeDomain(machine.granter);
    expect(machine.map(REF, page(2))).to.equal(GNTST_bad_domain);
    expect(machine.unmap(kept, page(0))).to.equal(GNTST_okay);
    hypervisor.killDomain(machine.user);
    expect(machine.windowWord(1)).to.equal(0);
    expect(guest.read32(machine.user.grantEntryAddress(REF)) & 0xffff).to.equal(GTF_permit_access);
  });

  it('give back the grants of others when their user dies', () => {
    const machine = new GrantMachine();
    machine.grant(REF, FRAME);
    machine.map(REF, page(0), GNTMAP_host_map | GNTMAP_device_map);
    machine.map(REF, page(1), GNTMAP_host_map | GNTMAP_readonly);
    machine.hypervisor.killDomain(machine.user);
    expect(machine.flags(REF)).to.equal(GTF_permit_access);
  });

  it('are as at the start of day when the machine is reset', () => {
    const machine = new GrantMachine();
    const images = () => machine.hypervisor.image.domains.flatMap(({ guest, private: state }) => [guest, state]);
    const copies = () => images().map((buffer) => Buffer.from(buffer).toString('base64'));
    const fresh = copies();
    machine.hypervisor.grants.setupTable(machine.vcpu(1, 0), DOMID_SELF, 2);
    for (const ref of [REF, 700]) machine.grant(ref, FRAME);
    for (const [number, ref] of [REF, 700].entries()) machine.map(ref, page(number));
    machine.unmap(0, page(0));
    resetMachine(machine.hypervisor);
    expect(copies()).to.deep.equal(fresh);
  });
});
