import { expect } from 'chai';
import { ABI_NAMES, type AbiName, Errno, XENFEAT, XENVER } from '../../lib/abi';
import { quiet, TestMachine } from './support/machine';

const AT = 0x9000;
const { EFAULT, EINVAL, ENOBUFS, ENODATA, ENOSYS, EPERM } = Errno;

function machineOf(abi: AbiName): TestMachine {
  return new TestMachine([
    quiet({ id: 300, abi, privileged: true, hardwareDomain: true, frames: 16 }),
    quiet({ id: 2, abi }),
  ]);
}

function textAt(machine: TestMachine, domainId: number, address: number): string {
  const { guest } = machine.domain(domainId);
  let text = '';
  for (let i = address; guest.read8(i) !== 0; i++) text += String.fromCharCode(guest.read8(i));
  return text;
}

for (const abi of ABI_NAMES) {
  describe(`xen_version, ${abi}`, () => {
    const ask = (machine: TestMachine, command: number, address = AT, domainId = 300) =>
      machine.hypervisor.version.op(machine.vcpu(domainId, 0), command, address);

    it('names version 4.23', () => {
      const machine = machineOf(abi);
      expect(ask(machine, XENVER.XENVER_version)).to.equal((4 << 16) | 23);
      expect(machine.hypervisor.version.version()).to.equal((4 << 16) | 23);
      expect(ask(machine, XENVER.XENVER_extraversion)).to.equal(0);
      expect(textAt(machine, 300, AT)).to.equal('-unstable');
    });

    it('fills the text fields to their size, and none beyond memory', () => {
      const sizes = new Map<number, number>([
        [XENVER.XENVER_extraversion, 16],
        [XENVER.XENVER_compile_info, 144],
        [XENVER.XENVER_capabilities, 1024],
        [XENVER.XENVER_changeset, 64],
        [XENVER.XENVER_guest_handle, 16],
        [XENVER.XENVER_commandline, 1024],
      ]);
      for (const [command, size] of sizes) {
        const machine = machineOf(abi);
        const { guest } = machine.domain(300);
        for (let i = 0; i < 2048; i++) guest.write8(AT + i, 0xee);
        expect(ask(machine, command), `command ${command}`).to.equal(0);
        expect([guest.read8(AT + size - 1) === 0xee, guest.read8(AT + size)]).to.deep.equal([false, 0xee]);
        expect(ask(machine, command, 16 * 4096 - size + 1)).to.equal(-EFAULT);
        expect(ask(machine, command, 16 * 4096 - size)).to.equal(0);
        expect(ask(machine, command, 0)).to.equal(-EFAULT);
      }
    });

    it('describes the guests it can run', () => {
      const machine = machineOf(abi);
      ask(machine, XENVER.XENVER_capabilities);
      const [arch] = abi.startsWith('x86') ? ['x86_64'] : ['armv7l'];
      expect(textAt(machine, 300, AT))
        .to.match(/^xen-3\.0-/)
        .and.to.include(arch);
      ask(machine, XENVER.XENVER_guest_handle);
      expect([14, 15].map((i) => machine.domain(300).guest.read8(AT + i))).to.deep.equal([1, 44]);
    });

    it('tells where it begins in as many bytes as a word of the guest has', () => {
      const machine = machineOf(abi);
      const { constants, guest } = machine.domain(300);
      guest.write32(AT + 4, 7);
      expect(ask(machine, XENVER.XENVER_platform_parameters)).to.equal(0);
      const upper = { x86_64: 0xffff8000, x86_32: 7, arm64: 0, arm32: 0 }[abi];
      expect(guest.read32(AT + 4) >>> 0).to.equal(upper);
      expect(ask(machine, XENVER.XENVER_platform_parameters, 16 * 4096 - constants.sizeof_xen_ulong_t + 1)).to.equal(
        -EFAULT,
      );
    });

    it('reports the features there are', () => {
      const machine = machineOf(abi);
      const { guest } = machine.domain(300);
      guest.write32(AT, 0);
      expect(ask(machine, XENVER.XENVER_get_features)).to.equal(0);
      const features = guest.read32(AT + 4);
      const has = (feature: number) => (features & (1 << feature)) !== 0;
      expect(has(XENFEAT.XENFEAT_dom0)).to.equal(true);
      expect(has(XENFEAT.XENFEAT_auto_translated_physmap)).to.equal(!abi.startsWith('x86'));
      expect(has(XENFEAT.XENFEAT_runstate_phys_area)).to.equal(abi.startsWith('x86'));
      guest.write32(AT, 1);
      expect(ask(machine, XENVER.XENVER_get_features)).to.equal(-EINVAL);
      expect(ask(machine, XENVER.XENVER_get_features, 16 * 4096 - 4)).to.equal(-EFAULT);
    });

    it('keeps some things from ordinary domains', () => {
      const machine = machineOf(abi);
      expect(ask(machine, XENVER.XENVER_commandline, AT, 2)).to.equal(0);
      expect(textAt(machine, 2, AT)).to.equal('<denied>');
      expect(ask(machine, XENVER.XENVER_build_id, AT, 2)).to.equal(-EPERM);
      expect(ask(machine, XENVER.XENVER_build_id)).to.equal(-ENODATA);
    });

    it('gives texts of any length with their size in front', () => {
      const machine = machineOf(abi);
      const { guest } = machine.domain(300);
      expect(ask(machine, XENVER.XENVER_extraversion2, 0)).to.equal(9);
      guest.write32(AT, 8);
      expect(ask(machine, XENVER.XENVER_extraversion2)).to.equal(-ENOBUFS);
      guest.write32(AT, 9);
      expect(ask(machine, XENVER.XENVER_extraversion2)).to.equal(9);
      expect(textAt(machine, 300, AT + 4)).to.equal('-unstable');
      guest.write32(16 * 4096 - 12, 9);
      expect(ask(machine, XENVER.XENVER_extraversion2, 16 * 4096 - 12)).to.equal(-EFAULT);
      expect(ask(machine, XENVER.XENVER_extraversion2, 16 * 4096)).to.equal(-EFAULT);
      for (const command of [XENVER.XENVER_capabilities2, XENVER.XENVER_changeset2]) {
        expect(ask(machine, command, 0)).to.be.greaterThan(10);
      }
      expect(ask(machine, XENVER.XENVER_commandline2, 0)).to.equal(-ENODATA);
      expect(ask(machine, XENVER.XENVER_commandline2, 0, 2)).to.equal('<denied>'.length);
    });

    it('answers the rest as Xen does', () => {
      const machine = machineOf(abi);
      expect(ask(machine, XENVER.XENVER_pagesize, 0)).to.equal(4096);
      expect(ask(machine, XENVER.XENVER_pagesize)).to.equal(-EINVAL);
      for (const unknown of [15, 0xffffffff, -1, Number.NaN]) expect(ask(machine, unknown)).to.equal(-ENOSYS);
    });
  });
}
