import { expect } from 'chai';
import { DOMID_SELF, FIFO_MASKS } from '../../../lib/abi';
import { snapshotDomain } from '../../../lib/engine/snapshot/domain';
import { makeDump } from '../../../lib/engine/snapshot/dump';
import { parseDump } from '../../../lib/engine/snapshot/dump-file';
import { Onlooker, peekBuffers, rangesOf } from '../../../lib/engine/snapshot/onlooker';
import type { DomainSnapshot } from '../../../lib/engine/snapshot/schema';
import { Events } from '../../../lib/guest';
import { PauseFlag } from '../../../lib/hypervisor/platform';
import { DOMAIN_EVENT_LOCK } from '../../../lib/hypervisor/state-layout';
import { GuestMachine, type GuestMachineOptions } from '../../support/guest-machine';

function look(machine: GuestMachine): DomainSnapshot {
  const { domain } = machine.hvVcpu(0);
  const { guest, private: state } = peekBuffers(machine.hypervisor.image);
  const peek = {
    guest: (at: number) => guest(domain.id, at),
    private: (at: number) => state(domain.id, at),
  };
  return snapshotDomain(new Onlooker(domain, peek), { words: { answer: 0x3000 } });
}

/** A machine whose first vCPU has two ports to itself and one that waits for domain 7. */
function machineWithPorts(options: GuestMachineOptions = {}) {
  const machine = new GuestMachine({ vcpus: 2, words: { answer: 42 }, ...options });
  const vcpu = machine.guest(0);
  vcpu.info.evtchn_upcall_mask.write(1);
  const events = new Events(vcpu);
  const ports = [events.bindIpi(() => {}), events.bindIpi(() => {})];
  const waiting = vcpu.hypercall.evtchn.allocUnbound(DOMID_SELF, 7);
  return { machine, vcpu, first: ports[0] as number, second: ports[1] as number, waiting };
}

describe('the snapshot of a domain', () => {
  it('has the channels in use with their bits, far ends and vCPUs', () => {
    const { machine, vcpu, first, second, waiting } = machineWithPorts();
    vcpu.hypercall.evtchn.send(first);
    vcpu.sharedInfo.evtchn_mask.word(0).or(1 << second);
    vcpu.hypercall.evtchn.send(second);
    const { channels, sharedInfo, vcpus, words, activePorts } = look(machine);
    expect(channels).to.deep.equal([
      { port: first, state: 6, vcpu: 0, xenConsumer: false, pending: true, masked: false, selected: true },
      { port: second, state: 6, vcpu: 0, xenConsumer: false, pending: true, masked: true, selected: true },
      {
        port: waiting,
        state: 2,
        vcpu: 0,
        xenConsumer: false,
        pending: false,
        masked: channels[2]?.masked,
        selected: true,
        remoteDomain: 7,
      },
    ]);
    expect(sharedInfo.pending).to.equal(`${first}-${second}`);
    expect(activePorts).to.equal(3);
    expect(vcpus[0]).to.include({ state: 'running', upcallPending: 1, upcallMask: 1, selector: '0x0000000000000001' });
    expect(vcpus[1]).to.include({ upcallPending: 0, selector: '0x0000000000000000' });
    expect(words).to.deep.equal([{ name: 'answer', address: 0x3000, value: 42 }]);
  });

  it('has a selector of 32 bits on x86_32, and no mask byte on Arm', () => {
    expect(look(machineWithPorts({ abi: 'x86_32' }).machine).vcpus[0]?.selector).to.equal('0x00000000');
    const arm = new GuestMachine({ abi: 'arm64' });
    arm.hvVcpu(0).domain.guest.write8(0x1001, 0xff);
    expect(look(arm).vcpus[0]?.upcallMask).to.equal(1);
  });

  it('tells a vCPU that polls from one that blocks and one that is down', () => {
    const { machine } = machineWithPorts();
    const { domain, pauseFlagsAddress, pollEvtchnAddress } = machine.hvVcpu(1);
    domain.state.write32(pauseFlagsAddress, PauseFlag.BLOCKED);
    expect(look(machine).vcpus[1]?.state).to.equal('blocked');
    domain.state.write32(pollEvtchnAddress, -1);
    expect(look(machine).vcpus[1]).to.include({ state: 'polling', pollPort: -1 });
    domain.state.write32(pauseFlagsAddress, PauseFlag.DOWN);
    expect(look(machine).vcpus[1]?.state).to.equal('offline');
  });

  it('tells which locks are held, without taking them', () => {
    const { machine } = machineWithPorts();
    const { domain } = machine.hvVcpu(0);
    domain.state.writeLock(DOMAIN_EVENT_LOCK);
    domain.state.readLock(domain.channelAddress(1));
    expect(look(machine).locks).to.deep.equal([
      { name: 'domain.event_lock', held: 'write', readers: 0 },
      { name: 'channel[1].lock', held: 'read', readers: 1 },
    ]);
  });

  it('has event words, control blocks and queues under the FIFO ABI', () => {
    const { machine, vcpu, first, second } = machineWithPorts({ events: 'fifo' });
    vcpu.hypercall.evtchn.setPriority(second, 3);
    vcpu.hypercall.evtchn.send(first);
    vcpu.hypercall.evtchn.send(second);
    const { events, fifo, channels } = look(machine);
    expect(events).to.equal('fifo');
    expect(fifo?.pages).to.have.length(1);
    expect(fifo?.controlBlocks.map(({ vcpu: id, ready }) => [id, ready])).to.deep.equal([
      [0, (1 << 3) | (1 << 7)],
      [1, 0],
    ]);
    expect(fifo?.controlBlocks[0]?.queues).to.deep.equal([
      { queue: 3, head: second, tail: second, linked: [second], ends: 'end' },
      { queue: 7, head: first, tail: first, linked: [first], ends: 'end' },
    ]);
    expect(channels[1]).to.include({
      pending: true,
      priority: 3,
      word: (FIFO_MASKS.PENDING | FIFO_MASKS.LINKED) >>> 0,
    });
  });

  it('follows a queue that a guest has tied into a circle, or led astray, for a bounded number of steps', () => {
    const { machine, vcpu, first, second } = machineWithPorts({ events: 'fifo' });
    vcpu.hypercall.evtchn.send(first);
    vcpu.hypercall.evtchn.send(second);
    const page = look(machine).fifo?.pages[0] as number;
    const { guest } = machine.hvVcpu(0).domain;
    const linkTo = (from: number, to: number): void => guest.write32(page + from * 4, FIFO_MASKS.LINKED | to | 0);
    const queue = () => look(machine).fifo?.controlBlocks[0]?.queues[0];
    linkTo(second, first);
    expect(queue()).to.include({ ends: 'cycle' });
    linkTo(second, 0x1ffff);
    expect(queue()).to.include({ ends: 'no event word' });
    linkTo(second, 40);
    expect(queue()).to.include({ ends: 'not linked' });
    for (let port = 3; port < 1000; port++) linkTo(port, port + 1);
    linkTo(second, 3);
    expect(queue()?.linked).to.have.length(32);
    expect(queue()).to.include({ ends: 'more' });
  });

  for (const events of ['2l', 'fifo'] as const) {
    for (const abi of ['x86_64', 'x86_32', 'arm64'] as const) {
      it(`is whole and bounded when all of the guest's memory is garbage (${events}, ${abi})`, () => {
        const { machine } = machineWithPorts({ events, abi });
        const words = new Int32Array(machine.hypervisor.image.domains[0]?.guest as SharedArrayBuffer);
        let random = 12345;
        for (let round = 0; round < 20; round++) {
          for (let i = 0; i < words.length; i++) {
            random = Math.imul(random, 1664525) + 1013904223;
            words[i] = round === 0 ? -1 : random;
          }
          const result = { scenario: 's', engine: 'threads', seed: 1, failure: null, domains: [] };
          const dump = makeDump({ result, systemTime: 1, domains: [look(machine)], lastAccesses: null });
          expect(parseDump(JSON.stringify(dump), 'memory').domains[0]?.channels).to.have.length(3);
        }
      });
    }
  }

  it('leaves out channels beyond the number asked for, and says how many', () => {
    const { machine } = machineWithPorts();
    const { domain } = machine.hvVcpu(0);
    const { guest, private: state } = peekBuffers(machine.hypervisor.image);
    const peek = { guest: (at: number) => guest(1, at), private: (at: number) => state(1, at) };
    const { channels, omittedChannels } = snapshotDomain(new Onlooker(domain, peek), { channels: 1 });
    expect([channels.length, omittedChannels]).to.deep.equal([1, 2]);
  });
});

describe('numbers as ranges', () => {
  it('are what Xen prints of a bitmap', () => {
    const of = (...numbers: number[]) => rangesOf(100, (number) => numbers.includes(number));
    expect([of(), of(0), of(0, 1, 2), of(3, 5, 6, 99)]).to.deep.equal(['', '0', '0-2', '3,5-6,99']);
  });
});
