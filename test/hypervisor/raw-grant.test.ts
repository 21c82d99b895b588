import { expect } from 'chai';
import {
  ABI_NAMES,
  type AbiName,
  DOMID_SELF,
  Errno,
  GNTMAP,
  GNTST,
  GNTTABOP,
  HYPERCALLS,
  layoutOf,
  type StructName,
} from '../../lib/abi';
import { getUint16, getUint32, getUint64, putUint16, putUint32, putUint64 } from '../../lib/hypervisor/guest-access';
import { createHypercalls } from '../../lib/hypervisor/hypercalls';
import { FRAMES, GrantMachine, page } from './support/grants';

const { EFAULT, EINVAL, ENOSYS } = Errno;
const ARG = 0x3000;
const END = FRAMES * 4096;
const REF = 8;
const GET = { 2: getUint16, 4: getUint32, 8: getUint64 };
const PUT = { 2: putUint16, 4: putUint32, 8: putUint64 };

class RawGrantMachine extends GrantMachine {
  private readonly hypercalls;

  constructor(abi: AbiName) {
    super(abi);
    this.hypercalls = createHypercalls(this.hypervisor, this.vcpu(2, 0), { enter() {}, exit() {} });
  }

  call(command: number, address = ARG, count = 1): number {
    return this.hypercalls.raw(HYPERCALLS.__HYPERVISOR_grant_table_op, command, address, count);
  }

  bytes(struct: StructName): number {
    return layoutOf(this.user.abi, struct).size;
  }

  /** Writes element `index` of an array of structures. */
  put(struct: StructName, members: Record<string, number>, index = 0): void {
    const { size, fields } = layoutOf(this.user.abi, struct);
    for (const [name, value] of Object.entries(members)) {
      const field = fields[name]!;
      PUT[field.size as 2 | 4 | 8](this.user.guest, ARG + index * size + field.offset, value);
    }
  }

  get(struct: StructName, name: string, index = 0): number {
    const { size, fields } = layoutOf(this.user.abi, struct);
    const field = fields[name]!;
    const value = GET[field.size as 2 | 4 | 8](this.user.guest, ARG + index * size + field.offset);
    return field.type === 'int16' ? (value << 16) >> 16 : value;
  }
}

for (const abi of ABI_NAMES) {
  describe(`grant_table_op, ${abi}`, () => {
    it('maps, copies and unmaps a batch, each operation with its own status', () => {
      const machine = new RawGrantMachine(abi);
      machine.grant(REF, 5);
      machine.grant(REF + 2, 6);
      for (const i of [0, 1, 2]) {
        const map = { host_addr: page(i), flags: GNTMAP.GNTMAP_host_map, ref: REF + i, dom: 1, status: 99 };
        machine.put('gnttab_map_grant_ref', map, i);
      }
      expect(machine.call(GNTTABOP.GNTTABOP_map_grant_ref, ARG, 3)).to.equal(0);
      const statuses = (struct: StructName, count: number) =>
        Array.from({ length: count }, (_, i) => machine.get(struct, 'status', i));
      expect(statuses('gnttab_map_grant_ref', 3)).to.deep.equal([0, GNTST.GNTST_general_error, 0]);
      const handles = [0, 2].map((i) => machine.get('gnttab_map_grant_ref', 'handle', i));
      expect(machine.get('gnttab_map_grant_ref', 'dev_bus_addr', 2)).to.equal(2 ** 32 + 6 * 4096);
      machine.put('gnttab_unmap_grant_ref', { host_addr: page(0), dev_bus_addr: 0, handle: handles[0]! }, 0);
      machine.put('gnttab_unmap_grant_ref', { host_addr: page(0), dev_bus_addr: 0, handle: 9 }, 1);
      machine.put('gnttab_unmap_grant_ref', { host_addr: page(2), dev_bus_addr: 0, handle: handles[1]! }, 2);
      expect(machine.call(GNTTABOP.GNTTABOP_unmap_grant_ref, ARG, 3)).to.equal(0);
      expect(statuses('gnttab_unmap_grant_ref', 3)).to.deep.equal([0, GNTST.GNTST_bad_handle, 0]);
      expect([0, 1, 2].map((i) => machine.windowWord(i))).to.deep.equal([0, 0, 0]);
    });

    it('copies by reference and by frame', () => {
      const machine = new RawGrantMachine(abi);
      machine.grant(REF, 5);
      machine.granter.guest.write32(5 * 4096 + 16, 0x1234);
      machine.put('gnttab_copy', { 'source.u.ref': REF, 'source.domid': 1, 'source.offset': 16 });
      machine.put('gnttab_copy', { 'dest.u.gmfn': 7, 'dest.domid': DOMID_SELF, 'dest.offset': 32, len: 4, flags: 1 });
      expect(machine.call(GNTTABOP.GNTTABOP_copy)).to.equal(0);
      expect(machine.get('gnttab_copy', 'status')).to.equal(0);
      expect(machine.user.guest.read32(7 * 4096 + 32)).to.equal(0x1234);
    });

    it('tells the frames of the table', () => {
      const machine = new RawGrantMachine(abi);
      const { sizeof_xen_pfn_t } = machine.user.constants;
      const list = 0x5000;
      machine.put('gnttab_setup_table', { dom: DOMID_SELF, nr_frames: 3, frame_list: list, status: 99 });
      expect(machine.call(GNTTABOP.GNTTABOP_setup_table)).to.equal(0);
      expect(machine.get('gnttab_setup_table', 'status')).to.equal(0);
      const at = (i: number) => GET[sizeof_xen_pfn_t as 4 | 8](machine.user.guest, list + i * sizeof_xen_pfn_t);
      expect([0, 1, 2].map(at)).to.deep.equal([FRAMES, FRAMES + 1, FRAMES + 2]);
      machine.put('gnttab_setup_table', { frame_list: END - sizeof_xen_pfn_t });
      expect(machine.call(GNTTABOP.GNTTABOP_setup_table)).to.equal(0);
      expect(machine.get('gnttab_setup_table', 'status')).to.equal(GNTST.GNTST_bad_virt_addr);
      machine.put('gnttab_query_size', { dom: DOMID_SELF });
      expect(machine.call(GNTTABOP.GNTTABOP_query_size)).to.equal(0);
      const size = ['nr_frames', 'max_nr_frames', 'status'].map((name) => machine.get('gnttab_query_size', name));
      expect(size).to.deep.equal([3, 4, 0]);
    });

    it('answers about versions', () => {
      const machine = new RawGrantMachine(abi);
      machine.put('gnttab_set_version', { version: 2 });
      expect(machine.call(GNTTABOP.GNTTABOP_set_version)).to.equal(-ENOSYS);
      expect(machine.get('gnttab_set_version', 'version')).to.equal(1);
      machine.put('gnttab_get_version', { dom: DOMID_SELF, version: 9 });
      expect(machine.call(GNTTABOP.GNTTABOP_get_version)).to.equal(0);
      expect(machine.get('gnttab_get_version', 'version')).to.equal(1);
    });

    it('refuses what concerns the whole call', () => {
      const machine = new RawGrantMachine(abi);
      expect(machine.call(GNTTABOP.GNTTABOP_copy, ARG, 2 ** 31)).to.equal(-EINVAL);
      expect(machine.call(GNTTABOP.GNTTABOP_copy | 0x1000)).to.equal(-EINVAL);
      expect(machine.call(GNTTABOP.GNTTABOP_setup_table, ARG, 2)).to.equal(-EINVAL);
      expect(machine.call(GNTTABOP.GNTTABOP_query_size, ARG, 0)).to.equal(-EINVAL);
      for (const command of [GNTTABOP.GNTTABOP_dump_table, 13, 99]) expect(machine.call(command)).to.equal(-ENOSYS);
      expect(machine.call(GNTTABOP.GNTTABOP_map_grant_ref, ARG, 0)).to.equal(0);
    });

    it('faults at an element that is not in memory, those before it done', () => {
      const machine = new RawGrantMachine(abi);
      machine.grant(REF, 5);
      const at = END - machine.bytes('gnttab_map_grant_ref');
      machine.put('gnttab_map_grant_ref', { host_addr: page(0), flags: GNTMAP.GNTMAP_host_map, ref: REF, dom: 1 });
      for (let i = 0; i < machine.bytes('gnttab_map_grant_ref'); i++) {
        machine.user.guest.write8(at + i, machine.user.guest.read8(ARG + i));
      }
      expect(machine.call(GNTTABOP.GNTTABOP_map_grant_ref, at, 2)).to.equal(-EFAULT);
      expect(machine.windowWord(0)).not.to.equal(0);
      for (const command of Object.values(GNTTABOP).filter((number) => number !== GNTTABOP.GNTTABOP_dump_table)) {
        expect(machine.call(command, END - 2)).to.equal(-EFAULT);
      }
    });
  });
}
