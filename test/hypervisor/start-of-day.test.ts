import { expect } from 'chai';
import { ABI_NAMES, DOMID_SELF, layoutOf } from '../../lib/abi';
import { Hypervisor } from '../../lib/hypervisor/hypervisor';
import { createMachineImage, type DomainConfig, domainConfig } from '../../lib/hypervisor/image';
import { initialiseMachine, resetMachine } from '../../lib/hypervisor/start-of-day';
import { CHANNEL, DOMAIN, IRQ, MACHINE, PIRQ, VCPU } from '../../lib/hypervisor/state-layout';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import { TestMachine, TestPlatform } from './support/machine';

function buffersOf({ image }: Hypervisor): Uint8Array[] {
  return [image.global, ...image.domains.flatMap((domain) => [domain.guest, domain.private])].map((buffer) =>
    new Uint8Array(buffer).slice(),
  );
}

describe('start of day', () => {
  for (const abi of ABI_NAMES) {
    it(`leaves the bitmaps clear and upcalls masked in every slot, ${abi}`, () => {
      const machine = new TestMachine([domainConfig({ id: 1, vcpus: 2, abi })]);
      const { constants, guest, maskAddress, pendingAddress, sharedInfoAddress, vcpuInfoBytes } = machine.domain(1);
      const slots = Array.from(
        { length: constants.XEN_LEGACY_MAX_VCPUS },
        (_, i) => sharedInfoAddress + i * vcpuInfoBytes,
      );
      expect(slots.map((slot) => guest.read8(slot))).to.deep.equal(slots.map(() => 0));
      expect(slots.map((slot) => guest.read8(slot + 1))).to.deep.equal(
        slots.map(() => (abi.startsWith('x86') ? 1 : 0)),
      );
      for (let offset = 0; offset < 128; offset++) {
        expect(guest.read8(pendingAddress + offset) | guest.read8(maskAddress + offset)).to.equal(0);
      }
    });
  }

  for (const [abi, word] of [
    ['x86_64', 8],
    ['x86_32', 4],
  ] as const) {
    it(`fills in start_info, ${abi}`, () => {
      const machine = new TestMachine([
        domainConfig({ id: 1, abi, frames: 77, privileged: true, hardwareDomain: true }),
      ]);
      const { guest } = machine.domain(1);
      const { fields } = layoutOf(abi, 'start_info');
      const at = (name: string) => 0x2000 + (fields[name]?.offset as number);
      const magic = Array.from({ length: 8 }, (_, i) => String.fromCharCode(guest.read8(at('magic') + i))).join('');
      expect(magic).to.equal('xen-3.0-');
      expect(guest.read32(at('nr_pages'))).to.equal(77);
      expect(guest.read32(at('shared_info'))).to.equal(0x1000);
      expect(guest.read32(at('flags'))).to.equal(3);
      expect(fields.nr_pages?.size).to.equal(word);
    });
  }

  it('brings up the boot vCPU alone, or all', () => {
    const machine = new TestMachine([
      domainConfig({ id: 1, vcpus: 3, onlineVcpus: 'boot' }),
      domainConfig({ id: 2, vcpus: 3 }),
    ]);
    const up = (domain: number) => [0, 1, 2].map((id) => machine.hypervisor.vcpuOps.isUp(machine.vcpu(domain, 0), id));
    expect([up(1), up(2)]).to.deep.equal([
      [1, 0, 0],
      [1, 1, 1],
    ]);
  });
});

describe('resetMachine', () => {
  it('brings back every byte of the start of day', () => {
    const machine = new TestMachine(
      [
        domainConfig({ id: 1, vcpus: 2, privileged: true, hardwareDomain: true, pirqs: [3] }),
        domainConfig({ id: 2, abi: 'x86_32', maxPort: 300 }),
        domainConfig({ id: 3, abi: 'arm64', vcpus: 2 }),
      ],
      { wallclockSec: 99 },
    );
    const { hypervisor } = machine;
    const fresh = buffersOf(hypervisor);
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 200; i++) hypervisor.evtchn.bindIpi(machine.vcpu(2, 0), 0);
      hypervisor.evtchn.bindVirq(machine.vcpu(1, 1), 0, 1);
      hypervisor.evtchn.bindPirq(machine.vcpu(1, 0), 3, 0);
      hypervisor.raisePirq(3);
      hypervisor.vcpuOps.registerVcpuInfo(machine.vcpu(3, 0), 1, 20, 0);
      hypervisor.timers.setTimerOp(machine.vcpu(1, 0), 500);
      hypervisor.sched.watchdog(machine.vcpu(1, 0), 0, 5);
      hypervisor.consoleInput(new Uint8Array([1, 2, 3]));
      hypervisor.setVirqHandler(machine.domain(2), 4);
      hypervisor.updateWallclock(5, 5);
      hypervisor.time.calibrate();
      hypervisor.sched.shutdownDomain(machine.domain(3), 1);
      hypervisor.killDomain(machine.domain(3));
      machine.domain(1).guest.write32(0x30000, 77);
      resetMachine(hypervisor);
      expect(buffersOf(hypervisor)).to.deep.equal(fresh);
      expect(hypervisor.evtchn.allocUnbound(machine.vcpu(1, 0), DOMID_SELF, 2)).to.equal(1);
      resetMachine(hypervisor);
    }
  });
});

describe('a machine image', () => {
  it('can be viewed by several hypervisors at once', () => {
    const image = createMachineImage([domainConfig({ id: 1, vcpus: 2 })]);
    const views = [0, 1].map(() => new Hypervisor(image, (buffer) => new AtomicsMemory(buffer), new TestPlatform()));
    const [a, b] = views as [Hypervisor, Hypervisor];
    initialiseMachine(a);
    expect(a.evtchn.bindIpi(a.vcpu(1, 0), 1)).to.equal(1);
    expect(b.evtchn.send(b.vcpu(1, 1), 1)).to.equal(0);
    expect(a.evtchn.bindIpi(a.vcpu(1, 0), 1)).to.equal(2);
    expect(a.vcpu(1, 1).domain.guest.read8(a.vcpuInfoAddress(a.vcpu(1, 1)))).to.equal(1);
  });

  it('is plain data over shared buffers', () => {
    const image = createMachineImage([domainConfig({ id: 1 })]);
    expect(structuredClone(image.options)).to.deep.equal(image.options);
    expect(structuredClone(image.domains[0]?.config)).to.deep.equal(image.domains[0]?.config);
    expect(image.domains[0]?.guest.byteLength, 'memory and grant table').to.equal((64 + 4) * 4096);
  });

  it('is refused for what no machine can be', () => {
    const bad: [Partial<DomainConfig>, string][] = [
      [{ id: -1 }, 'domain id'],
      [{ id: 32752 }, 'domain id'],
      [{ vcpus: 0 }, 'vcpus'],
      [{ vcpus: 129 }, 'vcpus'],
      [{ maxPort: 0 }, 'maxPort'],
      [{ frames: 2 }, 'frames'],
      [{ sharedInfoFrame: 0 }, 'sharedInfoFrame'],
      [{ startInfoFrame: 64 }, 'startInfoFrame'],
      [{ mappable: { from: 0, to: 4 } }, 'mappable'],
      [{ mappable: { from: 8, to: 4 } }, 'mappable'],
      [{ periodicTimerNs: -1 }, 'periodicTimerNs'],
    ];
    for (const [config, message] of bad) {
      expect(() => createMachineImage([domainConfig({ id: 1, ...config })])).to.throw(RangeError, message);
    }
    expect(() => createMachineImage([])).to.throw(RangeError, 'number of domains');
    expect(() => createMachineImage([domainConfig({ id: 1 }), domainConfig({ id: 1 })])).to.throw('same id');
    const hardware = [1, 2].map((id) => domainConfig({ id, hardwareDomain: true }));
    expect(() => createMachineImage(hardware)).to.throw('hardware domain');
    expect(() => createMachineImage([domainConfig({ id: 1 })], { irqs: -1 })).to.throw('irqs');
  });
});

describe('the hypervisor object', () => {
  it('finds domains and vCPUs, and knows those it does not have', () => {
    const machine = new TestMachine([domainConfig({ id: 7, vcpus: 2 })]);
    expect(machine.hypervisor.domain(7)?.id).to.equal(7);
    for (const id of [0, 8, -1, 1.5, Number.NaN, 2 ** 40]) expect(machine.hypervisor.domain(id)).to.equal(undefined);
    expect(() => machine.hypervisor.vcpu(7, 2)).to.throw(RangeError, 'no vCPU 2 in domain 7');
    expect(() => machine.hypervisor.vcpu(8, 0)).to.throw(RangeError);
  });
});

describe('private state', () => {
  it('keeps what senders read apart from what changes with every event', () => {
    const line = (table: typeof VCPU, field: string) => Math.floor((table.fields[field]?.offset as number) / 64);
    expect(line(VCPU, 'vcpu_info')).not.to.equal(line(VCPU, 'pause_flags'));
    expect(line(VCPU, 'virq_lock')).not.to.equal(line(VCPU, 'vcpu_info'));
    expect(line(DOMAIN, 'valid_evtchns')).not.to.equal(line(DOMAIN, 'event_lock'));
    for (const [table, bytes] of [
      [CHANNEL, 64],
      [VCPU, 64],
      [DOMAIN, 64],
      [IRQ, 64],
      [PIRQ, 8],
      [MACHINE, 64],
    ] as const) {
      expect(table.size % bytes, table.name).to.equal(0);
    }
  });
});
