import { expect } from 'chai';
import { DOMID_SELF, Errno, FIFO_MASKS, VIRQ_TIMER } from '../../lib/abi';
import { PAGE_BYTES, privateLayout } from '../../lib/hypervisor/image';
import { resetMachine } from '../../lib/hypervisor/start-of-day';
import { CHANNEL_BYTES } from '../../lib/hypervisor/state-layout';
import { CONTROL_BLOCK_SPACING, CONTROL_FRAME, FifoDomain } from './support/fifo';
import { quiet, TestMachine } from './support/machine';
import { RacingMemory } from './support/racing-memory';

const { EACCES, EINVAL, ENOENT, ENOSPC, ENOSYS, EOPNOTSUPP } = Errno;
const { BUSY, LINKED, MASKED, PENDING } = FIFO_MASKS;

/** Domain 1 has three vCPUs, domain 2 one. */
function twoDomains(): TestMachine {
  return new TestMachine([quiet({ id: 1, vcpus: 3, maxPort: 3000 }), quiet({ id: 2 })]);
}

function fifoDomain(pages = 1): { machine: TestMachine; fifo: FifoDomain } {
  const machine = twoDomains();
  return { machine, fifo: new FifoDomain(machine, 1, pages) };
}

/** A queue with one event on it, and a port to send on; the guest may get in between the accesses. */
function racingDomain(): { fifo: FifoDomain; tail: number; port: number } {
  const machine = new TestMachine([quiet({ id: 1, vcpus: 3 })], {}, (buffer) => new RacingMemory(buffer));
  const fifo = new FifoDomain(machine, 1);
  const [tail, port] = [fifo.bindIpi(0), fifo.bindIpi(0)];
  fifo.send(tail);
  return { fifo, tail, port };
}

describe('evtchn_fifo_init_control', () => {
  it('checks vCPU and place, and switches the domain with the first success', () => {
    const machine = twoDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    expect(evtchn.initControl(current, 9, 0, 3)).to.equal(-ENOENT);
    expect(evtchn.initControl(current, 9, 4032, 0)).to.equal(-EINVAL);
    expect(evtchn.initControl(current, 9, 12, 0)).to.equal(-EINVAL);
    expect(evtchn.initControl(current, 9, 2 ** 32, 0)).to.equal(-EINVAL);
    expect(evtchn.initControl(current, 64, 0, 0)).to.equal(-EINVAL);
    expect(evtchn.expandArray(current, 10)).to.equal(-EOPNOTSUPP);
    expect(evtchn.setPriority(current, 1, 1)).to.equal(-ENOSYS);
    expect(evtchn.initControl(current, 9, 4024, 0)).to.equal(17);
    expect(evtchn.initControl(current, 9, 0, 0)).to.equal(-EINVAL);
    expect(evtchn.initControl(current, 9, 128, 1)).to.equal(17);
    expect(evtchn.expandArray(current, 10)).to.equal(0);
    expect(evtchn.expandArray(current, 64)).to.equal(-EINVAL);
  });

  it('leaves domains beside it alone', () => {
    const { machine } = fifoDomain();
    const { evtchn } = machine.hypervisor;
    expect(evtchn.setPriority(machine.vcpu(2, 0), 1, 1)).to.equal(-ENOSYS);
    const port = evtchn.bindIpi(machine.vcpu(2, 0), 0);
    evtchn.send(machine.vcpu(2, 0), port);
    expect(machine.isPending(machine.domain(2), port)).to.equal(true);
  });

  it('takes over ports that exist, and raises what was pending when their page is there', () => {
    const machine = twoDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    const ports = [1, 2].map(() => evtchn.bindIpi(current, 0));
    evtchn.send(current, ports[1] as number);
    const fifo = new FifoDomain(machine, 1);
    expect(fifo.consume(0)).to.deep.equal([ports[1]]);
    fifo.send(ports[0] as number);
    expect(fifo.consume(0)).to.deep.equal([ports[0]]);
  });

  it('costs a domain that stays on the 2-level ABI no memory to speak of', () => {
    const { fifo, grantTable } = privateLayout(quiet({ id: 1, vcpus: 2, maxPort: 1023 }), 0);
    expect((grantTable - fifo) / (1024 * CHANNEL_BYTES)).to.be.below(0.05);
  });
});

describe('evtchn_fifo_expand_array', () => {
  it('takes 128 pages', () => {
    const { machine } = fifoDomain(0);
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    for (let page = 0; page < 128; page++) expect(evtchn.expandArray(current, 10 + (page % 50))).to.equal(0);
    expect(evtchn.expandArray(current, 10)).to.equal(-ENOSPC);
  });

  it('raises events that came before there was a word for them', () => {
    const { machine, fifo } = fifoDomain(0);
    const port = fifo.bindIpi(1);
    fifo.send(port);
    expect(machine.observer.take()).to.deep.equal([]);
    fifo.addPage(0);
    expect(machine.observer.take()).to.deep.equal([`raised d1v1 port ${port}`, 'kicked d1v1']);
    expect(fifo.consume(1)).to.deep.equal([port]);
  });
});

describe('evtchn_fifo_set_pending', () => {
  it('links events in the order in which they come, the first from the head', () => {
    const { fifo } = fifoDomain();
    const [a, b, c] = [fifo.bindIpi(1), fifo.bindIpi(1), fifo.bindIpi(1)];
    for (const port of [b, a, c]) fifo.send(port);
    expect(fifo.head(1, 7)).to.equal(b);
    expect([b, a, c].map((port) => fifo.describe(port))).to.deep.equal([
      `PENDING LINKED ${a}`,
      `PENDING LINKED ${c}`,
      'PENDING LINKED 0',
    ]);
    expect(fifo.ready(1)).to.equal(1 << 7);
    expect(fifo.consume(1)).to.deep.equal([b, a, c]);
  });

  it('marks the vCPU only for an event that starts a queue which was not ready', () => {
    const { fifo, machine } = fifoDomain();
    const ports = [fifo.bindIpi(1), fifo.bindIpi(1), fifo.bindIpi(1)] as const;
    machine.hypervisor.evtchn.setPriority(fifo.boot, ports[2], 3);
    for (const port of ports) fifo.send(port);
    expect(machine.observer.take().filter((line) => line.startsWith('kicked'))).to.deep.equal(['kicked d1v1']);
    expect(fifo.ready(1)).to.equal((1 << 7) | (1 << 3));
    expect(fifo.consume(1)).to.deep.equal([ports[2], ports[0], ports[1]]);
  });

  it('sets PENDING of a masked event and leaves it off the queues until it is unmasked', () => {
    const { fifo, machine } = fifoDomain();
    const port = fifo.bindIpi(0);
    fifo.setBits(port, MASKED);
    fifo.send(port);
    expect(fifo.describe(port)).to.equal('PENDING MASKED 0');
    machine.hypervisor.evtchn.unmask(fifo.boot, port);
    expect(fifo.describe(port)).to.equal('PENDING LINKED 0');
  });

  it('drops events of a vCPU without a control block', () => {
    const machine = twoDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    evtchn.initControl(current, CONTROL_FRAME, 0, 0);
    evtchn.expandArray(current, CONTROL_FRAME + 1);
    const port = evtchn.bindIpi(current, 1);
    expect(evtchn.send(current, port)).to.equal(0);
    expect(machine.domain(1).guest.read32((CONTROL_FRAME + 1) * PAGE_BYTES + port * 4)).to.equal(0);
  });

  it('does not add to an old queue through an event that has moved to another', () => {
    const { fifo, machine } = fifoDomain();
    const { evtchn } = machine.hypervisor;
    const port = evtchn.allocUnbound(machine.vcpu(2, 0), DOMID_SELF, 1);
    const moved = evtchn.bindInterdomain(fifo.boot, 2, port);
    const other = fifo.bindIpi(0);
    expect(fifo.consume(0)).to.deep.equal([moved]);
    // It was the tail of vCPU 0's queue; now it is linked on vCPU 1's.
    evtchn.bindVcpu(fifo.boot, moved, 1);
    evtchn.send(machine.vcpu(2, 0), port);
    fifo.send(other);
    expect(fifo.describe(moved)).to.equal('PENDING LINKED 0');
    expect([fifo.consume(0), fifo.consume(1)]).to.deep.equal([[other], [moved]]);
  });

  it('delivers VIRQs, and events from other domains', () => {
    const { fifo, machine } = fifoDomain();
    const { evtchn } = machine.hypervisor;
    const timer = evtchn.bindVirq(fifo.boot, VIRQ_TIMER, 2);
    machine.hypervisor.sendVcpuVirq(machine.vcpu(1, 2), VIRQ_TIMER);
    expect(fifo.consume(2)).to.deep.equal([timer]);
    const own = evtchn.allocUnbound(fifo.boot, DOMID_SELF, 2);
    const far = evtchn.bindInterdomain(machine.vcpu(2, 0), 1, own);
    evtchn.send(machine.vcpu(2, 0), far);
    expect(fifo.consume(0)).to.deep.equal([own]);
  });

  it('gives up on a tail that the guest keeps changing, and clears BUSY', () => {
    const { fifo, tail, port } = racingDomain();
    const guest = fifo.domain.guest as RacingMemory;
    const word = fifo.wordAddress(tail);
    let changes = 0;
    guest.rival = (memory, address) => {
      if (address === word) changes += (memory.xor32(address, MASKED) & BUSY) !== 0 ? 1 : 0;
    };
    fifo.send(port);
    guest.rival = undefined;
    expect(changes).to.be.within(4, 6);
    expect(fifo.describe(tail)).to.match(/^PENDING (MASKED )?LINKED 0$/);
    expect(fifo.describe(port)).to.equal('PENDING LINKED 0');
  });

  it('starts the queue anew if the guest takes the tail off between two looks', () => {
    const { fifo, tail, port } = racingDomain();
    const guest = fifo.domain.guest as RacingMemory;
    const word = fifo.wordAddress(tail);
    let looks = 0;
    guest.rival = (memory, address) => {
      if (address === word && ++looks === 2) memory.and32(address, ~LINKED);
    };
    fifo.send(port);
    guest.rival = undefined;
    expect(looks).to.be.greaterThan(2);
    expect(fifo.head(0, 7)).to.equal(port);
    expect(guest.read32(word) & BUSY).to.equal(0);
  });
});

describe('a port under the FIFO ABI', () => {
  it('is not given out again until it is off its queue', () => {
    const { fifo, machine } = fifoDomain();
    const { evtchn } = machine.hypervisor;
    const port = fifo.bindIpi(1);
    fifo.send(port);
    expect(evtchn.close(fifo.boot, port)).to.equal(0);
    expect(fifo.describe(port)).to.equal('LINKED 0');
    const second = fifo.bindIpi(1);
    expect(second).to.equal(port + 1);
    expect(fifo.consume(1)).to.deep.equal([]);
    expect(fifo.bindIpi(1)).to.equal(port);
    expect(fifo.bindIpi(1)).to.equal(second + 1);
  });

  it('begins with the default priority, whoever had it before', () => {
    const { fifo, machine } = fifoDomain();
    const { evtchn } = machine.hypervisor;
    const port = fifo.bindIpi(0);
    for (const priority of [16, -1, 0.5, Number.NaN, 2 ** 32]) {
      expect(evtchn.setPriority(fifo.boot, port, priority)).to.equal(-EINVAL);
    }
    expect(evtchn.setPriority(fifo.boot, port, 15)).to.equal(0);
    expect(evtchn.setPriority(fifo.boot, port + 1, 0)).to.equal(-EACCES);
    expect(evtchn.setPriority(fifo.boot, 64, 0)).to.equal(-EINVAL);
    evtchn.close(fifo.boot, port);
    expect(fifo.bindIpi(0)).to.equal(port);
    fifo.send(port);
    expect(fifo.head(0, 7)).to.equal(port);
  });

  it('may have a number far beyond those of the 2-level ABI', () => {
    const machine = new TestMachine([quiet({ id: 1, maxPort: 5000, abi: 'x86_32', frames: 32 })]);
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    for (let port = 1; port < 1024; port++) evtchn.bindIpi(current, 0);
    expect(evtchn.bindIpi(current, 0)).to.equal(-ENOSPC);
    const fifo = new FifoDomain(machine, 1, 5);
    for (let port = 1024; port <= 5000; port++) expect(fifo.bindIpi(0)).to.equal(port);
    expect(fifo.bindIpi(0)).to.equal(-ENOSPC);
    for (const port of [5000, 1024, 1, 4096]) fifo.send(port);
    expect(fifo.consume(0)).to.deep.equal([5000, 1024, 1, 4096]);
  });
});

describe('evtchn_reset of a domain on the FIFO ABI', () => {
  it('puts it back on the 2-level one', () => {
    const { fifo, machine } = fifoDomain();
    const { evtchn } = machine.hypervisor;
    const current = fifo.boot;
    fifo.send(fifo.bindIpi(1));
    const pending = fifo.domain.guest.read32(fifo.wordAddress(1));
    expect(pending & PENDING).not.to.equal(0);
    expect(evtchn.reset(current, DOMID_SELF)).to.equal(0);
    expect(evtchn.setPriority(current, 1, 1)).to.equal(-ENOSYS);
    const port = evtchn.bindIpi(current, 0);
    evtchn.send(current, port);
    expect(machine.isPending(fifo.domain, port)).to.equal(true);
    expect(evtchn.initControl(current, CONTROL_FRAME, CONTROL_BLOCK_SPACING, 0)).to.equal(17);
  });

  it('is nothing a machine remembers after it has been put back to its start of day', () => {
    const { fifo, machine } = fifoDomain();
    fifo.send(fifo.bindIpi(1));
    const image = machine.hypervisor.image.domains[0];
    const buffers = [image?.private, image?.guest].map((buffer) => Buffer.from(buffer as SharedArrayBuffer));
    const fresh = twoDomains().hypervisor.image.domains[0];
    resetMachine(machine.hypervisor);
    expect(buffers[0]?.equals(Buffer.from(fresh?.private as SharedArrayBuffer))).to.equal(true);
    expect(buffers[1]?.equals(Buffer.from(fresh?.guest as SharedArrayBuffer))).to.equal(true);
  });
});
