import { expect } from 'chai';
import { checkInvariants, type InvariantSpec, type Moment } from '../../lib/engine/invariants';
import { CHANNEL_NOTIFY_VCPU_ID } from '../../lib/hypervisor/state-layout';
import { RecordedMachine, type RecordedOptions } from './support/recorded-machine';

const DOMID_SELF = 0x7ff0;
const WC_VERSION = 0xc00;
const WC_SEC = 0xc04;
const WC_NSEC = 0xc08;

function machine(options: RecordedOptions): RecordedMachine {
  return new RecordedMachine(options);
}

function broken({ prepared, view, history }: RecordedMachine, when: Moment = 'end'): string | undefined {
  return checkInvariants(prepared, when, view, history);
}

/** An IPI port of vCPU `id`. */
function bindIpi(on: RecordedMachine, id: number): number {
  return on.hypervisor.evtchn.bindIpi(on.as(id), id);
}

function send(on: RecordedMachine, from: number, port: number): void {
  expect(on.hypervisor.evtchn.send(on.as(from), port)).to.equal(0);
}

/** The guest's side: clears the upcall flag, takes the selector. */
function takeUpcall(on: RecordedMachine, id: number): void {
  const { guest } = on;
  on.as(id);
  guest.write8(on.info(id), 0);
  guest.exchange32(on.info(id) + 8, 0);
}

function clearPending(on: RecordedMachine, id: number, port: number): void {
  on.as(id);
  on.guest.and32(on.domain.pendingAddress, ~(1 << port));
}

describe('invariant no-dead-port', () => {
  const invariants: InvariantSpec[] = ['no-dead-port'];

  it('holds while the vCPU of a pending port has its upcall flag set', () => {
    const on = machine({ invariants });
    send(on, 0, bindIpi(on, 1));
    expect(broken(on)).to.equal(undefined);
  });

  it('names the port and the vCPU when the flag was cleared and the port left', () => {
    const on = machine({ invariants });
    const port = bindIpi(on, 1);
    send(on, 0, port);
    takeUpcall(on, 1);
    expect(broken(on)).to.match(
      /^no-dead-port: port 1 is pending and not masked, .*vCPU 1, to which it is bound, is clear$/,
    );
  });

  it('lets masked and closed ports be', () => {
    const on = machine({ invariants });
    const port = bindIpi(on, 1);
    on.guest.or32(on.domain.maskAddress, 1 << port);
    send(on, 0, port);
    expect(broken(on)).to.equal(undefined);
    on.guest.and32(on.domain.maskAddress, ~(1 << port));
    expect(broken(on)).to.contain('no-dead-port');
    on.hypervisor.evtchn.close(on.as(1), port);
    on.guest.or32(on.domain.pendingAddress, 1 << port);
    expect(broken(on)).to.equal(undefined);
  });

  it('goes by the present binding', () => {
    const on = machine({ invariants });
    const { evtchn } = on.hypervisor;
    const port = evtchn.allocUnbound(on.as(0), DOMID_SELF, DOMID_SELF);
    on.guest.or32(on.domain.maskAddress, 1 << 2);
    evtchn.bindInterdomain(on.as(0), DOMID_SELF, port);
    send(on, 0, 2);
    expect(broken(on)).to.equal(undefined);
    on.domain.state.write32(on.domain.channelAddress(port) + CHANNEL_NOTIFY_VCPU_ID, 1);
    expect(broken(on)).to.contain('vCPU 1');
  });

  it('is not looked at when an execution is cut off', () => {
    const on = machine({ invariants });
    send(on, 0, bindIpi(on, 1));
    takeUpcall(on, 1);
    expect(broken(on, 'quiescence')).to.contain('no-dead-port');
    expect(broken(on, 'cut-off')).to.equal(undefined);
  });
});

describe('invariant no-dead-upcall', () => {
  const invariants: InvariantSpec[] = ['no-dead-upcall'];

  it('holds after a send and after the upcall', () => {
    const on = machine({ invariants });
    send(on, 0, bindIpi(on, 1));
    expect(broken(on)).to.equal(undefined);
    takeUpcall(on, 1);
    expect(broken(on)).to.equal(undefined);
  });

  it('finds a selector bit whose upcall flag was wiped out', () => {
    const on = machine({ invariants });
    send(on, 0, bindIpi(on, 1));
    on.guest.write8(on.info(1), 0);
    expect(broken(on)).to.equal(
      'no-dead-upcall: evtchn_pending_sel of vCPU 1 is not 0 and its evtchn_upcall_pending is clear',
    );
  });

  it('finds a vCPU that sleeps with an upcall it could take', () => {
    const on = machine({ invariants });
    on.hypervisor.sched.block(on.as(1));
    on.domain.state.or32(on.vcpu(1).pauseFlagsAddress, 1);
    expect(broken(on)).to.equal(undefined);
    on.guest.write8(on.info(1), 1);
    expect(broken(on)).to.equal('no-dead-upcall: vCPU 1 sleeps although an upcall is pending and not masked');
    on.guest.write8(on.info(1) + 1, 1);
    expect(broken(on)).to.equal(undefined);
  });
});

describe('invariant no-sleeper-with-work', () => {
  it('finds a poller whose port is pending', () => {
    const on = machine({ invariants: ['no-sleeper-with-work'] });
    const port = bindIpi(on, 1);
    on.domain.state.or32(on.vcpu(1).pauseFlagsAddress, 1);
    on.domain.state.write32(on.vcpu(1).pollEvtchnAddress, port);
    expect(broken(on)).to.equal(undefined);
    on.guest.or32(on.domain.pendingAddress, 1 << port);
    expect(broken(on)).to.match(/vCPU 1 sleeps in SCHEDOP_poll although port 1, which it polls, is pending/);
  });

  it('finds a sleeper whose guest has work', () => {
    const runnable: InvariantSpec = { name: 'no-sleeper-with-work', runnable: 'queued', vcpu: 1 };
    const on = machine({ words: { queued: 3 }, invariants: [runnable] });
    expect(broken(on)).to.equal(undefined);
    on.domain.state.or32(on.vcpu(0).pauseFlagsAddress, 1);
    expect(broken(on)).to.equal(undefined);
    on.domain.state.or32(on.vcpu(1).pauseFlagsAddress, 1);
    expect(broken(on)).to.equal('no-sleeper-with-work: vCPU 1 sleeps although queued is 3');
    on.guest.write32(on.at('queued'), 0);
    expect(broken(on)).to.equal(undefined);
  });
});

describe('invariant delivery', () => {
  const options: RecordedOptions = { words: { runs: 0 }, invariants: [{ name: 'delivery', port: 1, runs: 'runs' }] };

  it('holds when each event taken is followed by a run', () => {
    const on = machine(options);
    send(on, 0, bindIpi(on, 1));
    clearPending(on, 1, 1);
    on.guest.add32(on.at('runs'), 1);
    expect(broken(on)).to.equal(undefined);
  });

  it('finds an event that is taken after the handler has begun', () => {
    const on = machine(options);
    send(on, 0, bindIpi(on, 1));
    on.as(1);
    on.guest.add32(on.at('runs'), 1);
    clearPending(on, 1, 1);
    expect(broken(on)).to.match(
      /^delivery: port 1: vCPU 1 took its last event and no run of its handler \(runs\) begins/,
    );
  });

  it('judges the order of things, not the order in which they happened to be executed', () => {
    const on = machine(options);
    send(on, 0, bindIpi(on, 1));
    clearPending(on, 1, 1);
    // Another vCPU's run, which nothing orders after the event.
    on.as(0);
    on.guest.add32(on.at('runs'), 1);
    expect(broken(on)).to.contain('delivery');
  });

  it('finds a run for nothing', () => {
    const on = machine(options);
    send(on, 0, bindIpi(on, 1));
    clearPending(on, 1, 1);
    on.guest.add32(on.at('runs'), 1);
    on.guest.add32(on.at('runs'), 1);
    expect(broken(on)).to.equal('delivery: port 1: 2 runs of its handler (runs) for 1 events');
  });

  it('does not take the clearing of a close for an event', () => {
    const on = machine(options);
    const port = bindIpi(on, 1);
    send(on, 0, port);
    on.hypervisor.evtchn.close(on.as(1), port);
    expect(broken(on)).to.equal(undefined);
  });

  it('needs a history', () => {
    const on = machine(options);
    send(on, 0, bindIpi(on, 1));
    clearPending(on, 1, 1);
    expect(checkInvariants(on.prepared, 'end', on.view)).to.equal(undefined);
  });
});

describe('invariant no-overlap', () => {
  it('finds the second run that begins before the first has ended', () => {
    const on = machine({ words: { running: 0 }, invariants: [{ name: 'no-overlap', running: 'running' }] });
    const running = on.at('running');
    on.as(0);
    on.guest.add32(running, 1);
    on.guest.add32(running, -1);
    on.guest.add32(running, 1);
    expect(broken(on, 'cut-off')).to.equal(undefined);
    on.as(1);
    on.guest.add32(running, 1);
    on.guest.add32(running, -1);
    expect(broken(on, 'cut-off')).to.equal(
      'no-overlap: vCPU 1 enters a handler that is running already (running is 2)',
    );
  });
});

describe('invariant bit-conservation', () => {
  const invariants: InvariantSpec[] = ['bit-conservation'];

  it('holds for atomic operations, whoever makes them', () => {
    const on = machine({ invariants });
    send(on, 0, bindIpi(on, 1));
    on.as(1);
    on.guest.read32(on.domain.pendingAddress);
    clearPending(on, 1, 1);
    takeUpcall(on, 1);
    expect(broken(on)).to.equal(undefined);
  });

  it('finds a store to the pending bitmap that undoes what was set meanwhile', () => {
    const on = machine({ invariants });
    bindIpi(on, 1);
    const port = bindIpi(on, 1);
    const { pendingAddress } = on.domain;
    on.as(1);
    const old = on.guest.read32(pendingAddress);
    send(on, 0, port);
    on.as(1);
    on.guest.write32(pendingAddress, old & ~2);
    expect(broken(on)).to.match(
      /^bit-conservation: vCPU 1 stores to word 0 of evtchn_pending .* was 0x0 then and is 0x4 now$/,
    );
  });

  it('allows a store of what nobody has changed, and one by who never looked', () => {
    const on = machine({ invariants });
    const { maskAddress } = on.domain;
    on.as(0);
    on.guest.write32(maskAddress, on.guest.read32(maskAddress) | 4);
    on.as(1);
    on.guest.write32(maskAddress, -1);
    expect(broken(on)).to.equal(undefined);
  });

  it('allows the owner to clear evtchn_upcall_pending, but not together with the mask', () => {
    const on = machine({ invariants });
    const port = bindIpi(on, 1);
    const info = on.info(1);
    on.as(1);
    on.guest.read32(info);
    send(on, 0, port);
    on.as(1);
    on.guest.write8(info, 0);
    expect(broken(on)).to.equal(undefined);

    on.guest.exchange32(info + 8, 0);
    clearPending(on, 1, port);
    const both = on.guest.read32(info);
    send(on, 0, port);
    on.as(1);
    on.guest.write32(info, both & ~0xff00);
    expect(broken(on)).to.contain('the upcall word of vCPU 1');
  });

  it('watches words of the scenario too', () => {
    const on = machine({ words: { flags: 1 }, invariants: [{ name: 'bit-conservation', words: ['flags'] }] });
    const flags = on.at('flags');
    on.as(0);
    on.guest.read32(flags);
    on.as(1);
    on.guest.or32(flags, 2);
    on.as(0);
    on.guest.store32(flags, 0);
    expect(broken(on)).to.contain('flags');
  });
});

describe('invariant snapshot', () => {
  function publish(on: RecordedMachine, version: number, seconds: number, nanoseconds: number): void {
    const base = on.domain.sharedInfoAddress;
    on.as(1);
    on.guest.write32(base + WC_VERSION, version - 1);
    on.guest.write32(base + WC_SEC, seconds);
    on.guest.write32(base + WC_NSEC, nanoseconds);
    on.guest.write32(base + WC_VERSION, version);
  }
  function copy(on: RecordedMachine, seconds: number, nanoseconds: number): void {
    on.as(0);
    on.guest.write32(on.at('copy', 0), seconds);
    on.guest.write32(on.at('copy', 1), nanoseconds);
  }
  const options: RecordedOptions = {
    words: { copy: [0, 0] },
    invariants: [{ name: 'snapshot', record: 'wallclock', copy: ['copy[0]', 'copy[1]'] }],
  };

  it('holds for writers that make the version odd first, the hypervisor among them', () => {
    const on = machine({ invariants: ['snapshot'] });
    publish(on, 6, 1, 1);
    on.hypervisor.updateWallclock(7, 7);
    on.hypervisor.updateVcpuTime(on.as(0));
    expect(broken(on)).to.equal(undefined);
  });

  it('finds a writer that changes a field while the version is even', () => {
    const on = machine({ invariants: ['snapshot'] });
    publish(on, 6, 1, 1);
    on.guest.write32(on.domain.sharedInfoAddress + WC_SEC, 2);
    expect(broken(on)).to.equal('snapshot: vCPU 1 changes the wallclock while its version is 6, which is even');
  });

  it('accepts copies of what was published, old or new', () => {
    const on = machine(options);
    publish(on, 6, 1, 1);
    copy(on, 1, 1);
    publish(on, 8, 2, 2);
    copy(on, 2, 2);
    copy(on, 1, 1);
    expect(broken(on)).to.equal(undefined);
  });

  it('finds a copy that is half of either', () => {
    const on = machine(options);
    publish(on, 6, 1, 1);
    publish(on, 8, 2, 2);
    copy(on, 1, 2);
    expect(broken(on)).to.equal('snapshot: vCPU 0 has read 1, 2 from the wallclock: that was never published');
  });

  it('wants the times of a runstate copy to add up', () => {
    const names = ['copy[0]', 'copy[1]', 'copy[2]', 'copy[3]', 'copy[4]'];
    const on = machine({
      words: { copy: [0, 0, 0, 0, 0] },
      invariants: [{ name: 'snapshot', record: 'runstate', copy: names }],
    });
    const store = (...values: number[]) => {
      for (const [i, value] of values.entries()) on.guest.write32(on.at('copy', i), value);
    };
    store(30, 10, 0, 20, 0);
    expect(broken(on)).to.equal(undefined);
    store(30, 10, 0, 5, 0);
    expect(broken(on)).to.contain('times add up to 15 ns, and state_entry_time is 30 ns');
  });
});

describe('invariant ring', () => {
  const options: RecordedOptions = {
    words: { prod: 0xfffffffe, cons: 0xfffffffe },
    invariants: [{ name: 'ring', prod: 'prod', cons: 'cons', size: 2, consumer: 1 }],
  };

  it('holds for a ring that is filled and emptied across the wrap of its indices', () => {
    const on = machine(options);
    on.as(0);
    for (const value of [0xffffffff, 0]) on.guest.write32(on.at('prod'), value);
    on.as(1);
    on.guest.read32(on.at('prod'));
    for (const value of [0xffffffff, 0]) on.guest.write32(on.at('cons'), value);
    on.as(0);
    on.guest.read32(on.at('cons'));
    on.guest.write32(on.at('prod'), 1);
    expect(broken(on)).to.equal(undefined);
  });

  it('finds a producer that did not see room for what it adds', () => {
    const on = machine(options);
    on.as(1);
    on.guest.write32(on.at('cons'), 0xfffffffe);
    on.as(0);
    on.guest.write32(on.at('prod'), 1);
    expect(broken(on)).to.equal(
      'ring: vCPU 0 stores 1 to prod: the producer is then 3 ahead of the consumer, in a ring of 2',
    );
  });

  it('finds a consumer that overtakes the producer', () => {
    const on = machine(options);
    on.as(1);
    on.guest.write32(on.at('cons'), 0xffffffff);
    expect(broken(on)).to.contain('the producer is then 1 behind the consumer');
  });

  it('finds a consumer that sleeps though the ring has something and nobody has told it', () => {
    const on = machine(options);
    on.as(0);
    on.guest.write32(on.at('prod'), 0xffffffff);
    on.domain.state.or32(on.vcpu(1).pauseFlagsAddress, 1);
    expect(broken(on)).to.equal('ring: vCPU 1 sleeps although prod is 1 ahead of the consumer');
    on.guest.write8(on.info(1), 1);
    expect(broken(on)).to.equal(undefined);
  });
});

describe('invariant ownership', () => {
  const options: RecordedOptions = {
    words: { owners: [0, 0, 0], runs: [0, 0, 0] },
    invariants: [{ name: 'ownership', table: 'owners', runs: 'runs' }],
  };

  it('holds when the table names an owner for just the ports in use', () => {
    const on = machine(options);
    const port = bindIpi(on, 0);
    on.guest.store32(on.at('owners', port), 7);
    expect(broken(on)).to.equal(undefined);
    on.guest.store32(on.at('owners', port), 0);
    on.hypervisor.evtchn.close(on.as(0), port);
    expect(broken(on)).to.equal(undefined);
  });

  it('finds a port in use without an owner, and an owner of a port not in use', () => {
    const on = machine(options);
    bindIpi(on, 0);
    expect(broken(on)).to.equal('ownership: port 1 is in use and owners[1] is 0: its events have no handler');
    on.guest.store32(on.at('owners', 1), 7);
    on.guest.store32(on.at('owners', 2), 8);
    expect(broken(on)).to.equal('ownership: port 2 is not in use and owners[2] is 8');
  });

  it('finds a handler that runs although its port has been closed, but not one of the next owner', () => {
    const on = machine(options);
    const port = bindIpi(on, 0);
    on.guest.add32(on.at('runs', port), 1);
    on.hypervisor.evtchn.close(on.as(0), port);
    expect(broken(on, 'cut-off')).to.equal(undefined);
    expect(bindIpi(on, 0)).to.equal(port);
    on.guest.add32(on.at('runs', port), 1);
    expect(broken(on, 'cut-off')).to.equal(undefined);
    on.hypervisor.evtchn.close(on.as(0), port);
    on.guest.add32(on.at('runs', port), 1);
    expect(broken(on, 'cut-off')).to.match(
      /^ownership: port 1: vCPU 0 runs its handler \(runs\[1\]\) and vCPU 0 has closed it/,
    );
  });

  it('finds a handler that nothing keeps from running after the close', () => {
    const on = machine(options);
    const port = bindIpi(on, 0);
    on.as(1);
    on.guest.add32(on.at('runs', port), 1);
    on.hypervisor.evtchn.close(on.as(0), port);
    expect(broken(on, 'cut-off')).to.contain('vCPU 1 runs its handler');
  });
});
