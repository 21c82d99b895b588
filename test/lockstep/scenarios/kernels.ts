/** Small kernels: each uses another part of the machine. Some fail under some schedules, and are meant to. */
import { defineScenario, HypercallError, type Scenario } from 'upcall';
import { DOMID_SELF, SHUTDOWN_poweroff, VIRQ_DEBUG } from 'upcall/abi';
import {
  Completion,
  Events,
  haltUntil,
  irqDisable,
  irqEnable,
  PvSpinlock,
  Spinlock,
  systemTimeNs,
  Timers,
} from 'upcall/guest';

const PIRQ = 5;
const MICROSECOND = 1000;

/** Both vCPUs send each other IPIs and halt until one has come. */
const ipis = defineScenario({
  name: 'ipis',
  vcpus: 2,
  words: { ports: [0, 0] },
  guest(vcpu) {
    const { ports } = vcpu.words;
    const events = new Events(vcpu);
    let received = 0;
    irqDisable(vcpu);
    ports[vcpu.id]!.store(events.bindIpi(() => received++));
    while (ports[1 - vcpu.id]!.load() === 0) vcpu.relax();
    vcpu.hypercall.evtchn.send(ports[1 - vcpu.id]!.load());
    haltUntil(vcpu, () => received > 0);
    vcpu.cover('an IPI was received');
    return received;
  },
});

/** A flag is looked at and then SCHEDOP_block called, with nothing between the two to keep the wake-up. */
const lostWakeUp = defineScenario({
  name: 'lost-wake-up',
  vcpus: 2,
  words: { port: 0, flag: 0 },
  guest(vcpu) {
    const { port, flag } = vcpu.words;
    if (vcpu.id === 1) {
      while (port.load() === 0) vcpu.relax();
      flag.store(1);
      vcpu.hypercall.evtchn.send(port.load());
      return;
    }
    const events = new Events(vcpu);
    port.store(events.bindIpi(() => {}));
    irqEnable(vcpu);
    while (flag.load() === 0) vcpu.block();
  },
});

/** SCHEDOP_poll with and without a time limit. */
const polls = defineScenario({
  name: 'polls',
  vcpus: 2,
  words: { port: 0 },
  guest(vcpu) {
    const { port } = vcpu.words;
    const { evtchn, sched } = vcpu.hypercall;
    if (vcpu.id === 0) {
      const mine = evtchn.bindIpi(0);
      port.store(mine);
      const from = vcpu.now();
      sched.poll([mine], from + 20 * MICROSECOND);
      const pending = ((vcpu.memory.read32(vcpu.sharedInfo.evtchn_pending.address) >>> mine) & 1) === 1;
      if (!pending) sched.poll([mine], 0);
      return [pending, vcpu.now() - from];
    }
    while (port.load() === 0) vcpu.relax();
    evtchn.send(port.load());
    return undefined;
  },
});

/** One-shot and periodic timers, and time read in between. */
const timers = defineScenario({
  name: 'timers',
  vcpus: 2,
  guest(vcpu) {
    const events = new Events(vcpu);
    const service = new Timers(events);
    let ticks = 0;
    let shots = 0;
    const periodic = service.create(() => {
      if (++ticks === 2) periodic.stop();
    });
    const oneShot = service.create(() => shots++);
    const started = systemTimeNs(vcpu);
    periodic.startEvery(10 * MICROSECOND);
    oneShot.startAt(started + (vcpu.id + 1) * 7 * MICROSECOND);
    haltUntil(vcpu, () => ticks === 2 && shots === 1);
    return vcpu.now() - started;
  },
});

/** The clock of a spin-wait: nothing but time goes on. */
const spinForTime = defineScenario({
  name: 'spin-for-time',
  vcpus: 2,
  words: { done: 0 },
  guest(vcpu) {
    const until = vcpu.now() + (vcpu.id + 1) * 3 * MICROSECOND;
    while (vcpu.now() < until) vcpu.relax();
    return vcpu.words.done.add(1);
  },
});

/** Two domains, an event channel between them. */
const domains = defineScenario({
  name: 'domains',
  domains: {
    server: {
      words: { port: 0, knocks: 0 },
      guest(vcpu) {
        const events = new Events(vcpu);
        let knocks = 0;
        events.bindEvtchn(vcpu.words.port.read(), (port) => {
          knocks++;
          vcpu.words.knocks.store(knocks);
          vcpu.hypercall.evtchn.send(port);
        });
        haltUntil(vcpu, () => knocks > 0);
        return knocks;
      },
    },
    client: {
      words: { port: 0 },
      guest(vcpu) {
        const events = new Events(vcpu);
        let echoes = 0;
        const port = events.bindInterdomain(vcpu.domain.domains.server!, vcpu.words.port.read(), () => echoes++);
        vcpu.hypercall.evtchn.send(port);
        haltUntil(vcpu, () => echoes > 0);
        return echoes;
      },
    },
  },
  setup({ domains: { server, client } }) {
    const port = server!.hypercall.evtchn.allocUnbound(DOMID_SELF, client!.id);
    server!.words.port.write(port);
    client!.words.port.write(port);
  },
  check({ domains: { server } }) {
    if (server!.words.knocks.read() === 2) throw new Error('the knock that was made up came on its own');
  },
});

/** A device raises physical interrupts, from before anybody listens; another one raises a VIRQ. */
const devices = defineScenario({
  name: 'devices',
  pirqs: [PIRQ],
  words: { interrupts: 0 },
  devices: {
    nic(device) {
      for (let i = 0; i < 10; i++) {
        if (device.choose(2) === 1) device.sleep(MICROSECOND);
        device.raisePirq(PIRQ);
      }
      device.log('serviced', device.pirqInService(PIRQ), device.random() < 2);
    },
    button(device) {
      device.sleep(2 * MICROSECOND);
      device.raiseVirq(device.domain.id, 0, VIRQ_DEBUG);
    },
  },
  guest(vcpu) {
    const { interrupts } = vcpu.words;
    const events = new Events(vcpu);
    let pressed = false;
    irqDisable(vcpu);
    events.bindVirq(VIRQ_DEBUG, () => {
      pressed = true;
    });
    events.bindPirq(PIRQ, () => {
      interrupts.write(interrupts.read() + 1);
      vcpu.hypercall.physdev.eoi(PIRQ);
    });
    haltUntil(vcpu, () => interrupts.read() > 0);
    return [interrupts.read(), pressed, vcpu.now()];
  },
});

/** Ports are allocated and closed by several vCPUs at a time: the hypervisor's own locks. */
const ports = defineScenario({
  name: 'ports',
  vcpus: 3,
  guest(vcpu) {
    const { evtchn } = vcpu.hypercall;
    const port = evtchn.bindIpi(vcpu.id);
    if (vcpu.id === 0) evtchn.close(port);
    else if (vcpu.id === 1) evtchn.bindVcpu(evtchn.allocUnbound(DOMID_SELF, DOMID_SELF), 2);
    return vcpu.hypercall.raw(32, 4, 0x3000) < 0 ? [port, 'refused'] : port;
  },
});

/** A port is sent to, moved and closed at the same time. */
const contended = defineScenario({
  name: 'contended',
  vcpus: 3,
  words: { port: 0 },
  guest(vcpu) {
    const { evtchn } = vcpu.hypercall;
    const { port } = vcpu.words;
    const tries: number[] = [];
    const attempt = (operation: () => unknown): void => {
      try {
        operation();
        tries.push(0);
      } catch (error) {
        if (!(error instanceof HypercallError)) throw error;
        tries.push(error.errno);
      }
    };
    if (vcpu.id === 0) port.store(evtchn.allocUnbound(DOMID_SELF, DOMID_SELF));
    while (port.load() === 0) vcpu.relax();
    if (vcpu.id === 0) for (let to = 1; to < 3; to++) attempt(() => evtchn.bindVcpu(port.load(), to));
    else for (let i = 0; i < 2; i++) attempt(() => evtchn.send(port.load()));
    if (vcpu.id === 2) attempt(() => evtchn.close(port.load()));
    return tries;
  },
});

/** An interrupt comes while its port is bound and closed: its sender gives up where the port's lock is taken. */
const unplugged = defineScenario({
  name: 'unplugged',
  vcpus: 2,
  pirqs: [PIRQ],
  devices: {
    nic(device) {
      for (let i = 0; i < 12; i++) device.raisePirq(PIRQ);
    },
  },
  guest(vcpu) {
    const { evtchn, physdev } = vcpu.hypercall;
    for (let i = 0; i < 3; i++) {
      if (vcpu.id === 0) evtchn.close(evtchn.bindPirq(PIRQ));
      else physdev.eoi(PIRQ);
    }
  },
});

/** vCPU 0 brings up vCPU 1, waits for it, and shuts the domain down. */
const bringUp = defineScenario({
  name: 'bring-up',
  vcpus: 3,
  start: 'boot',
  words: { hello: 0 },
  guest(vcpu) {
    const { hello } = vcpu.words;
    if (vcpu.id !== 0) {
      hello.store(vcpu.id);
      while (vcpu.choose(2) === 0) vcpu.hypercall.sched.yield();
      vcpu.hypercall.vcpu.down(vcpu.id);
      return;
    }
    vcpu.hypercall.vcpu.initialise(1);
    vcpu.hypercall.vcpu.up(1);
    while (hello.load() === 0) vcpu.relax();
    const up = vcpu.hypercall.vcpu.isUp(1);
    vcpu.log('vCPU 1 said hello', up);
    if (!up) vcpu.hypercall.sched.shutdown(SHUTDOWN_poweroff);
    vcpu.hypercall.sched.shutdown(SHUTDOWN_poweroff);
  },
});

/** Locks of the library, one of which sleeps; each counts alone, so that together they may miscount. */
const locks = defineScenario({
  name: 'locks',
  vcpus: 2,
  words: { spin: 0, poll: 0, counter: 0 },
  guest(vcpu) {
    const { words } = vcpu;
    const spin = new Spinlock(vcpu, words.spin);
    const poll = new PvSpinlock(vcpu, words.poll, 1);
    spin.lock();
    words.counter.write(words.counter.read() + 1);
    spin.unlock();
    poll.lock();
    words.counter.write(words.counter.read() + 1);
    poll.unlock();
  },
  check({ words }) {
    if (words.counter.read() !== 4) throw new Error(`counted ${words.counter.read()}`);
  },
});

/** One waits for a completion with a handler that the other's event runs. */
const completions = defineScenario({
  name: 'completions',
  vcpus: 2,
  words: { completion: 0 },
  guest(vcpu) {
    const events = new Events(vcpu);
    const completion = new Completion(events, vcpu.words.completion);
    if (vcpu.id === 0) completion.complete();
    else completion.wait();
    return vcpu.id;
  },
});

/** An event arrives before a callback is registered. */
const noCallback = defineScenario({
  name: 'no-callback',
  vcpus: 2,
  words: { port: 0 },
  guest(vcpu) {
    const { port } = vcpu.words;
    if (vcpu.id === 0) {
      port.store(vcpu.hypercall.evtchn.bindIpi(0));
      irqEnable(vcpu);
      if (vcpu.choose(2) === 1) vcpu.onUpcall(() => {});
      while (port.load() !== 0) vcpu.relax();
    } else {
      while (port.load() === 0) vcpu.relax();
      vcpu.hypercall.evtchn.send(port.load());
      port.store(0);
    }
  },
});

/** Store buffering: both may read 0 under tso. */
const storeBuffering = defineScenario({
  name: 'store-buffering',
  vcpus: 2,
  words: { flags: [0, 0] },
  guest(vcpu) {
    const { flags } = vcpu.words;
    flags[vcpu.id]!.write(1);
    return flags[1 - vcpu.id]!.read();
  },
  check({ results }) {
    if (results[0] === 0 && results[1] === 0) throw new Error('both flags were read before either was set');
  },
});

/** Waits for what never comes. */
const endless = defineScenario({
  name: 'endless',
  vcpus: 2,
  words: { never: 0, turns: 0 },
  guest(vcpu) {
    if (vcpu.id === 0) while (vcpu.words.never.load() === 0) vcpu.relax();
    else for (let i = 0; i < 5; i++) vcpu.words.turns.add(1);
  },
});

/** Results that are no numbers. */
const results = defineScenario({
  name: 'results',
  vcpus: 3,
  words: { order: 0 },
  guest(vcpu) {
    const order = vcpu.words.order.add(1);
    if (order === 0) return { first: vcpu.id, list: [1, null, 'two'] };
    if (order === 1) return Promise.resolve(vcpu.id);
    return undefined;
  },
});

export const kernels: readonly Scenario[] = [
  ipis,
  lostWakeUp,
  polls,
  timers,
  spinForTime,
  domains,
  devices,
  ports,
  contended,
  unplugged,
  bringUp,
  locks,
  completions,
  noCallback,
  storeBuffering,
  endless,
  results,
];
