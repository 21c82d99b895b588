import { expect } from 'chai';
import {
  ABI_NAMES,
  type AbiName,
  CONSOLEIO,
  Errno,
  EVTCHNOP,
  HYPERCALLS,
  layoutOf,
  PHYSDEVOP,
  SCHEDOP,
  SHUTDOWN_crash,
  type StructName,
  VCPUOP,
  VMASST,
  XENVER,
} from '../../lib/abi';
import { createHypercalls } from '../../lib/hypervisor/hypercalls';
import { quiet, TestMachine } from './support/machine';

const {
  __HYPERVISOR_console_io,
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_physdev_op,
  __HYPERVISOR_sched_op,
  __HYPERVISOR_sched_op_compat,
  __HYPERVISOR_set_timer_op,
  __HYPERVISOR_vcpu_op,
  __HYPERVISOR_vm_assist,
  __HYPERVISOR_xen_version,
} = HYPERCALLS;
const { EACCES, EFAULT, EINVAL, ENOENT, ENOSYS, ESRCH } = Errno;

const ARG = 0x9000;
const FRAMES = 16;
const END = FRAMES * 4096;
const READ_ONLY_FRAME = 12;

class RawMachine extends TestMachine {
  private readonly hypercalls;

  constructor(readonly abi: AbiName = 'x86_64') {
    super(
      [
        quiet({
          id: 1,
          vcpus: 2,
          abi,
          privileged: true,
          frames: FRAMES,
          readOnlyFrames: [READ_ONLY_FRAME],
          pirqs: [4],
        }),
        quiet({ id: 2 }),
      ],
      { irqs: 16 },
    );
    this.hypercalls = createHypercalls(this.hypervisor, this.vcpu(1, 0), { enter() {}, exit() {} });
  }

  raw(number: number, ...args: number[]): number {
    return this.hypercalls.raw(number, ...(args as [number, number, number]));
  }

  /** Writes a structure, byte by byte; members not named are all ones. Returns its address. */
  put(struct: StructName, members: Readonly<Record<string, number | bigint>>, address = ARG): number {
    const { fields, size } = layoutOf(this.abi, struct);
    for (let i = 0; i < size; i++) this.domain(1).guest.write8(address + i, 0xff);
    for (const [name, value] of Object.entries(members)) {
      const field = fields[name];
      if (field === undefined) throw new Error(`${struct} has no ${name}`);
      for (let i = 0; i < field.size; i++) {
        const byte = Number((BigInt(value) >> BigInt(8 * i)) & 0xffn);
        this.domain(1).guest.write8(address + field.offset + i, byte);
      }
    }
    return address;
  }

  get(struct: StructName, member: string, address = ARG): bigint {
    const field = layoutOf(this.abi, struct).fields[member];
    if (field === undefined) throw new Error(`${struct} has no ${member}`);
    let value = 0n;
    for (let i = field.size - 1; i >= 0; i--) {
      value = (value << 8n) | BigInt(this.domain(1).guest.read8(address + field.offset + i));
    }
    return value;
  }

  evtchn(op: keyof typeof EVTCHNOP, address: number): number {
    return this.raw(__HYPERVISOR_event_channel_op, EVTCHNOP[op], address);
  }
}

for (const abi of ABI_NAMES) {
  describe(`raw hypercalls, ${abi}`, () => {
    it('bind and send with structures in guest memory', () => {
      const machine = new RawMachine(abi);
      expect(machine.evtchn('EVTCHNOP_bind_ipi', machine.put('evtchn_bind_ipi', { vcpu: 0 }))).to.equal(0);
      expect(machine.get('evtchn_bind_ipi', 'port')).to.equal(1n);
      expect(machine.evtchn('EVTCHNOP_send', machine.put('evtchn_send', { port: 1 }))).to.equal(0);
      expect(machine.upcallPending(machine.vcpu(1, 0))).to.equal(1);
      expect(machine.evtchn('EVTCHNOP_send', machine.put('evtchn_send', { port: 2 }))).to.equal(-EINVAL);
    });

    it('accept structures at any alignment', () => {
      for (let offset = 0; offset < 4; offset++) {
        const machine = new RawMachine(abi);
        const at = machine.put('evtchn_alloc_unbound', { dom: 1, remote_dom: 2 }, ARG + offset);
        expect(machine.evtchn('EVTCHNOP_alloc_unbound', at)).to.equal(0);
        expect(machine.get('evtchn_alloc_unbound', 'port', at)).to.equal(1n);
        const status = machine.put('evtchn_status', { dom: 1, port: 1 }, ARG + offset);
        expect(machine.evtchn('EVTCHNOP_status', status)).to.equal(0);
        expect(machine.get('evtchn_status', 'u.unbound.dom', status)).to.equal(2n);
      }
    });

    it('read deadlines and ports in the widths of the ABI', () => {
      const machine = new RawMachine(abi);
      const { guest } = machine.domain(1);
      machine.hypervisor.evtchn.bindIpi(machine.vcpu(1, 0), 1);
      guest.write32(0xa001 & ~3, 1);
      const timeout = (5n << 32n) + 7n;
      machine.platform.asleep = () => {
        expect(machine.hypervisor.nextDeadline()).to.equal(Number(timeout));
        machine.hypervisor.runExpiredTimers(Number(timeout));
      };
      const poll = machine.put('sched_poll', { ports: 0xa000, nr_ports: 1, timeout });
      expect(machine.raw(__HYPERVISOR_sched_op, SCHEDOP.SCHEDOP_poll, poll)).to.equal(0);
      expect(machine.platform.sleeps).to.have.length(1);
      machine.put('sched_poll', { ports: END - 4, nr_ports: 2, timeout: 0 });
      expect(machine.raw(__HYPERVISOR_sched_op, SCHEDOP.SCHEDOP_poll, ARG)).to.equal(-EFAULT);
      machine.put('sched_poll', { ports: 0xa000, nr_ports: 129, timeout: 0 });
      expect(machine.raw(__HYPERVISOR_sched_op, SCHEDOP.SCHEDOP_poll, ARG)).to.equal(-EINVAL);
    });

    it('fault where a structure is not wholly in memory', () => {
      const machine = new RawMachine(abi);
      for (const bad of [0, 8, 4095, END - 2, END, -1, 2 ** 32, 2 ** 64, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        for (const op of Object.values(EVTCHNOP)) {
          // Only reset is content with two bytes.
          if (op === EVTCHNOP.EVTCHNOP_reset && bad === END - 2) continue;
          expect(machine.raw(__HYPERVISOR_event_channel_op, op, bad), `${op} at ${bad}`).to.equal(-EFAULT);
        }
        for (const op of [
          'SCHEDOP_shutdown',
          'SCHEDOP_shutdown_code',
          'SCHEDOP_poll',
          'SCHEDOP_remote_shutdown',
          'SCHEDOP_watchdog',
        ] as const) {
          expect(machine.raw(__HYPERVISOR_sched_op, SCHEDOP[op], bad)).to.equal(-EFAULT);
        }
      }
    });

    it('fault where a result cannot be stored, and leave the port allocated', () => {
      const machine = new RawMachine(abi);
      const at = READ_ONLY_FRAME * 4096;
      machine.put('evtchn_bind_ipi', { vcpu: 0 }, at);
      expect(machine.evtchn('EVTCHNOP_bind_ipi', at)).to.equal(-EFAULT);
      expect(machine.evtchn('EVTCHNOP_bind_ipi', machine.put('evtchn_bind_ipi', { vcpu: 0 }))).to.equal(0);
      expect(machine.get('evtchn_bind_ipi', 'port')).to.equal(2n);
      machine.put('evtchn_status', { dom: 1, port: 1 }, at);
      expect(machine.evtchn('EVTCHNOP_status', at)).to.equal(-EFAULT);
    });

    it('register a vcpu_info and a runstate area', () => {
      const machine = new RawMachine(abi);
      machine.put('vcpu_register_vcpu_info', { mfn: 10, offset: 64 });
      const register = VCPUOP.VCPUOP_register_vcpu_info;
      expect(machine.raw(__HYPERVISOR_vcpu_op, register, 5, 0)).to.equal(-ENOENT, 'the vCPU before the address');
      expect(machine.raw(__HYPERVISOR_vcpu_op, register, 0, 0)).to.equal(-EFAULT);
      expect(machine.raw(__HYPERVISOR_vcpu_op, register, 0, ARG)).to.equal(0);
      expect(machine.hypervisor.vcpuInfoAddress(machine.vcpu(1, 0))).to.equal(10 * 4096 + 64);
      machine.put('vcpu_register_vcpu_info', { mfn: READ_ONLY_FRAME, offset: 0 });
      expect(machine.raw(__HYPERVISOR_vcpu_op, register, 1, ARG)).to.equal(-EACCES);
      machine.put('vcpu_register_runstate_memory_area', { addr: 0xa010 });
      expect(machine.raw(__HYPERVISOR_vcpu_op, VCPUOP.VCPUOP_register_runstate_memory_area, 0, ARG)).to.equal(0);
      expect(machine.domain(1).guest.read32(0xa010)).to.equal(3, 'offline: no thread runs it yet');
    });

    it('answer what there is not', () => {
      const machine = new RawMachine(abi);
      expect(machine.raw(__HYPERVISOR_event_channel_op, 15, ARG)).to.equal(-ENOSYS);
      expect(machine.raw(__HYPERVISOR_sched_op, 99, ARG)).to.equal(-ENOSYS);
      expect(machine.raw(__HYPERVISOR_vcpu_op, 99, 0, ARG)).to.equal(abi.startsWith('x86') ? -ENOSYS : -EINVAL);
      expect(machine.raw(__HYPERVISOR_physdev_op, 99, ARG)).to.equal(-ENOSYS);
      for (const number of [0, 12, 22, 63, -1, Number.NaN, 2 ** 40]) expect(machine.raw(number, 0)).to.equal(-ENOSYS);
    });
  });
}

for (const abi of ['x86_64', 'x86_32'] as const) {
  describe(`raw vcpu_op, ${abi}`, () => {
    const op = (machine: RawMachine, name: keyof typeof VCPUOP, vcpu = 0, arg = 0) =>
      machine.raw(__HYPERVISOR_vcpu_op, VCPUOP[name], vcpu, arg);

    it('gets the runstate in the layout of the ABI', () => {
      const machine = new RawMachine(abi);
      machine.hypervisor.sched.switchIn(machine.vcpu(1, 0));
      machine.platform.timeNs = 2 ** 33 + 5;
      expect(op(machine, 'VCPUOP_get_runstate_info', 0, ARG + 4)).to.equal(0);
      const { fields } = layoutOf(abi, 'vcpu_runstate_info');
      const running = ARG + 4 + (fields.time?.offset as number);
      const { guest } = machine.domain(1);
      expect([guest.read32(running), guest.read32(running + 4)]).to.deep.equal([5, 2]);
      expect(op(machine, 'VCPUOP_get_runstate_info', 0, END - 8)).to.equal(-EFAULT);
    });

    it('sets timers from structures', () => {
      const machine = new RawMachine(abi);
      machine.put('vcpu_set_singleshot_timer', { timeout_abs_ns: 2n ** 33n, flags: 0 });
      expect(op(machine, 'VCPUOP_set_singleshot_timer', 1, 0)).to.equal(-EINVAL, 'another vCPU, before the address');
      expect(op(machine, 'VCPUOP_set_singleshot_timer', 0, 0)).to.equal(-EFAULT);
      expect(op(machine, 'VCPUOP_set_singleshot_timer', 0, ARG)).to.equal(0);
      expect(machine.hypervisor.nextDeadline()).to.equal(2 ** 33);
      expect(op(machine, 'VCPUOP_stop_singleshot_timer')).to.equal(0);
      machine.put('vcpu_set_periodic_timer', { period_ns: 5_000_000_000n });
      expect(op(machine, 'VCPUOP_set_periodic_timer', 1, ARG)).to.equal(0);
      expect(machine.hypervisor.nextDeadline()).to.equal(5e9);
      expect(op(machine, 'VCPUOP_stop_periodic_timer', 1)).to.equal(0);
      expect(machine.hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
      expect(op(machine, 'VCPUOP_set_periodic_timer', 1, 1)).to.equal(-EFAULT);
    });

    it('brings vCPUs up and down', () => {
      const machine = new RawMachine(abi);
      expect(op(machine, 'VCPUOP_down', 1)).to.equal(0);
      expect(op(machine, 'VCPUOP_is_up', 1)).to.equal(0);
      expect(op(machine, 'VCPUOP_up', 1)).to.equal(0);
      expect(op(machine, 'VCPUOP_is_up', 1)).to.equal(1);
      const context = abi === 'x86_32' ? 2800 : 5168;
      expect(op(machine, 'VCPUOP_initialise', 1, END - context + 1)).to.equal(-EFAULT);
      expect(op(machine, 'VCPUOP_initialise', 1, END - context)).to.equal(-Errno.EEXIST);
    });

    it('registers areas by physical address', () => {
      const machine = new RawMachine(abi);
      const at = (addr: bigint | number) => machine.put('vcpu_register_runstate_memory_area', { addr });
      expect(op(machine, 'VCPUOP_register_runstate_phys_area', 0, at(0xa000))).to.equal(0);
      expect(op(machine, 'VCPUOP_register_runstate_phys_area', 0, at(2n ** 64n - 1n))).to.equal(0);
      expect(op(machine, 'VCPUOP_register_runstate_phys_area', 0, at(0xafff))).to.equal(-Errno.ENXIO);
      expect(op(machine, 'VCPUOP_register_runstate_phys_area', 0, at(2n ** 40n))).to.equal(-EINVAL);
      expect(op(machine, 'VCPUOP_register_vcpu_time_phys_area', 0, at(0xa000))).to.equal(0);
      expect(machine.domain(1).guest.read32(0xa000)).to.be.greaterThan(0);
      expect(op(machine, 'VCPUOP_register_vcpu_time_memory_area', 0, at(0xa100))).to.equal(0);
      expect(op(machine, 'VCPUOP_register_vcpu_time_memory_area', 0, 1)).to.equal(-EFAULT);
    });

    it('knows the odds and ends', () => {
      const machine = new RawMachine(abi);
      expect(op(machine, 'VCPUOP_send_nmi')).to.equal(0);
      expect(op(machine, 'VCPUOP_send_nmi', 0, 4)).to.equal(-EINVAL);
      expect(op(machine, 'VCPUOP_get_physid', 0, ARG)).to.equal(-EINVAL);
    });
  });
}

describe('raw set_timer_op', () => {
  it('takes a signed 64-bit deadline in one argument, or in two on x86_32', () => {
    const wide = new RawMachine('x86_64');
    expect(wide.raw(__HYPERVISOR_set_timer_op, 2 ** 33 + 1)).to.equal(0);
    expect(wide.hypervisor.nextDeadline()).to.equal(2 ** 33 + 1);
    wide.raw(__HYPERVISOR_set_timer_op, 2 ** 64 - 2 ** 20);
    expect(wide.hypervisor.nextDeadline()).to.equal(1e8, 'negative');
    const narrow = new RawMachine('x86_32');
    expect(narrow.raw(__HYPERVISOR_set_timer_op, -1, 2)).to.equal(0);
    expect(narrow.hypervisor.nextDeadline()).to.equal(3 * 2 ** 32 - 1);
    narrow.raw(__HYPERVISOR_set_timer_op, 0, 0);
    expect(narrow.hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
    expect(new RawMachine('arm64').raw(__HYPERVISOR_set_timer_op, 5)).to.equal(-ENOSYS);
  });
});

describe('raw sched_op', () => {
  it('yields, blocks, shuts down, and watches', () => {
    const machine = new RawMachine();
    const {
      SCHEDOP_block,
      SCHEDOP_remote_shutdown,
      SCHEDOP_shutdown,
      SCHEDOP_shutdown_code,
      SCHEDOP_watchdog,
      SCHEDOP_yield,
    } = SCHEDOP;
    expect(machine.raw(__HYPERVISOR_sched_op, SCHEDOP_yield)).to.equal(0);
    expect(machine.raw(__HYPERVISOR_sched_op, SCHEDOP_block)).to.equal(0);
    expect(
      machine.raw(__HYPERVISOR_sched_op, SCHEDOP_watchdog, machine.put('sched_watchdog', { id: 0, timeout: 9 })),
    ).to.equal(1);
    machine.put('sched_remote_shutdown', { domain_id: 77, reason: 0 });
    expect(machine.raw(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, ARG)).to.equal(-ESRCH);
    machine.put('sched_shutdown', { reason: SHUTDOWN_crash });
    expect(machine.raw(__HYPERVISOR_sched_op, SCHEDOP_shutdown_code, ARG)).to.equal(0);
    machine.put('sched_shutdown', { reason: 0 });
    expect(machine.raw(__HYPERVISOR_sched_op, SCHEDOP_shutdown, ARG)).to.equal(0);
    expect(machine.platform.shutdowns).to.deep.equal([{ domainId: 1, code: SHUTDOWN_crash }]);
  });

  it('has an older form whose argument is the reason', () => {
    const machine = new RawMachine();
    expect(machine.raw(__HYPERVISOR_sched_op_compat, SCHEDOP.SCHEDOP_yield)).to.equal(0);
    expect(machine.raw(__HYPERVISOR_sched_op_compat, SCHEDOP.SCHEDOP_block)).to.equal(0);
    expect(machine.raw(__HYPERVISOR_sched_op_compat, SCHEDOP.SCHEDOP_shutdown, SHUTDOWN_crash)).to.equal(0);
    expect(machine.raw(__HYPERVISOR_sched_op_compat, SCHEDOP.SCHEDOP_poll)).to.equal(-ENOSYS);
    expect(machine.platform.shutdowns).to.deep.equal([{ domainId: 1, code: SHUTDOWN_crash }]);
  });
});

describe('raw physdev_op, console_io, vm_assist and xen_version', () => {
  it('reach the same operations', () => {
    const machine = new RawMachine();
    machine.put('evtchn_bind_pirq', { pirq: 4, flags: 0 });
    expect(machine.evtchn('EVTCHNOP_bind_pirq', ARG)).to.equal(0);
    machine.hypervisor.raisePirq(4);
    const { PHYSDEVOP_eoi, PHYSDEVOP_irq_status_query, PHYSDEVOP_pirq_eoi_gmfn_v2 } = PHYSDEVOP;
    machine.put('physdev_irq_status_query', { irq: 4 });
    expect(machine.raw(__HYPERVISOR_physdev_op, PHYSDEVOP_irq_status_query, ARG)).to.equal(0);
    expect(machine.get('physdev_irq_status_query', 'flags')).to.equal(1n);
    machine.put('physdev_irq_status_query', { irq: 400 });
    expect(machine.raw(__HYPERVISOR_physdev_op, PHYSDEVOP_irq_status_query, ARG)).to.equal(-EINVAL);
    expect(machine.raw(__HYPERVISOR_physdev_op, PHYSDEVOP_irq_status_query, 0)).to.equal(-EFAULT);
    expect(machine.raw(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, machine.put('physdev_eoi', { irq: 4 }))).to.equal(0);
    expect(machine.hypervisor.pirqInService(4)).to.equal(false);
    expect(machine.raw(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, 0)).to.equal(-EFAULT);
    machine.put('physdev_pirq_eoi_gmfn', { gmfn: 10 });
    expect(machine.raw(__HYPERVISOR_physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v2, ARG)).to.equal(0);
    expect(machine.raw(__HYPERVISOR_physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v2, 0)).to.equal(-EFAULT);

    machine.domain(1).guest.write8(ARG, 0x78);
    expect(machine.raw(__HYPERVISOR_console_io, CONSOLEIO.CONSOLEIO_write, 1, ARG)).to.equal(0);
    expect(machine.platform.output).to.deep.equal(['d1v0: x']);
    expect(machine.raw(__HYPERVISOR_vm_assist, 0, VMASST.VMASST_TYPE_runstate_update_flag)).to.equal(0);
    expect(machine.raw(__HYPERVISOR_xen_version, XENVER.XENVER_version)).to.equal((4 << 16) | 23);
  });
});
