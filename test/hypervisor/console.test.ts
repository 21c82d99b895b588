import { expect } from 'chai';
import { CONSOLEIO, Errno, VIRQ_CON_RING, VIRQ_CONSOLE } from '../../lib/abi';
import { quiet, TestMachine } from './support/machine';

const { CONSOLEIO_read, CONSOLEIO_write } = CONSOLEIO;
const { E2BIG, EFAULT, ENOSYS, EPERM } = Errno;
const BUFFER = 0x9000;
const encode = (text: string) => new TextEncoder().encode(text);

function machineOf(): TestMachine {
  return new TestMachine([
    quiet({ id: 1, privileged: true, hardwareDomain: true, frames: 16, readOnlyFrames: [12] }),
    quiet({ id: 2, frames: 16 }),
  ]);
}

function putText(machine: TestMachine, domainId: number, text: string, address = BUFFER): void {
  for (const [i, byte] of encode(text).entries()) machine.domain(domainId).guest.write8(address + i, byte);
}

describe('CONSOLEIO_write', () => {
  it('takes text from any domain and tells the handler of VIRQ_CON_RING', () => {
    const machine = machineOf();
    machine.hypervisor.evtchn.bindVirq(machine.vcpu(1, 0), VIRQ_CON_RING, 0);
    putText(machine, 2, 'hello');
    expect(machine.hypervisor.console.io(machine.vcpu(2, 0), CONSOLEIO_write, 5, BUFFER)).to.equal(0);
    expect(machine.platform.output).to.deep.equal(['d2v0: hello']);
    expect(machine.observer.take()).to.include('raised d1v0 port 1');
    expect(machine.hypervisor.console.io(machine.vcpu(2, 0), CONSOLEIO_write, 0, BUFFER)).to.equal(0);
    expect(machine.platform.output).to.have.length(1);
  });

  it('writes the whole portions of 127 before an address it cannot read', () => {
    const machine = machineOf();
    const start = 16 * 4096 - 300;
    putText(machine, 2, 'x'.repeat(300), start);
    expect(machine.hypervisor.console.io(machine.vcpu(2, 0), CONSOLEIO_write, 400, start)).to.equal(-EFAULT);
    expect(machine.platform.output).to.deep.equal([`d2v0: ${'x'.repeat(254)}`]);
    for (const bad of [0, 4095, 16 * 4096, -1, 2 ** 53]) {
      expect(machine.hypervisor.console.io(machine.vcpu(2, 0), CONSOLEIO_write, 1, bad)).to.equal(-EFAULT);
    }
    expect(machine.hypervisor.console.io(machine.vcpu(2, 0), CONSOLEIO_write, 0xffffffff, BUFFER)).to.equal(-EFAULT);
  });
});

describe('CONSOLEIO_read', () => {
  it('gives the control domain what was typed, in order, across the wrap of the buffer', () => {
    const machine = machineOf();
    const { console } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    for (let round = 0; round < 5; round++) {
      const line = `${round}${'abcdefghij'.repeat(5)}`;
      machine.hypervisor.consoleInput(encode(line));
      expect(console.io(current, CONSOLEIO_read, 20, BUFFER)).to.equal(20);
      const rest = new Uint8Array(100);
      expect(console.read(current, rest)).to.equal(31);
      const first = Array.from({ length: 20 }, (_, i) => current.domain.guest.read8(BUFFER + i));
      expect(String.fromCharCode(...first, ...rest.subarray(0, 31))).to.equal(line);
    }
    expect(console.io(current, CONSOLEIO_read, 20, BUFFER)).to.equal(0);
  });

  it('keeps 128 characters and raises VIRQ_CONSOLE for those it drops too', () => {
    const machine = machineOf();
    const current = machine.vcpu(1, 0);
    machine.hypervisor.evtchn.bindVirq(current, VIRQ_CONSOLE, 0);
    machine.hypervisor.consoleInput(encode('a'.repeat(128)));
    machine.acknowledge(current);
    machine.observer.take();
    machine.hypervisor.consoleInput(encode('b'));
    expect(machine.observer.take()).to.include('raised d1v0 port 1');
    const all = new Uint8Array(200);
    expect(machine.hypervisor.console.read(current, all)).to.equal(128);
    expect(new Set(all.subarray(0, 128))).to.deep.equal(new Set(encode('a')));
  });

  it('is for control domains, counts in an int, and loses nothing when it cannot store', () => {
    const machine = machineOf();
    const { console } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    machine.hypervisor.consoleInput(encode('xyz'));
    expect(console.io(machine.vcpu(2, 0), CONSOLEIO_read, 1, BUFFER)).to.equal(-EPERM);
    expect(console.read(machine.vcpu(2, 0), new Uint8Array(1))).to.equal(-EPERM);
    expect(console.io(current, CONSOLEIO_read, 2 ** 31, BUFFER)).to.equal(-E2BIG);
    expect(console.io(current, CONSOLEIO_read, 2, 12 * 4096)).to.equal(-EFAULT);
    expect(console.io(current, CONSOLEIO_read, 2 ** 31 - 1, BUFFER)).to.equal(3);
    expect(console.io(current, 2, 0, BUFFER)).to.equal(-ENOSYS);
    expect(console.io(machine.vcpu(2, 0), 2, 0, BUFFER)).to.equal(-EPERM);
  });
});
