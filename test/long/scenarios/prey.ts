/**
 * A domain whose vCPU 1 is at what `args.state` says until its thread is ended, and one that goes on beside it: it sends to the
 * other, opens and closes channels with it, and takes the same locks, until it is told to stop.
 */
import { defineScenario, type Vcpu } from 'upcall';
import { DOMID_SELF, VIRQ_DEBUG, VIRQ_TIMER } from 'upcall/abi';

const PREY = 1;
const BYSTANDER = 2;
const SHARED_PIRQ = 3;

/** A hypercall that may be refused: ports come and go. Returns the port it gave, or 0. */
function attempt(call: () => unknown): number {
  try {
    return Number(call() ?? 0);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'HypercallError') throw error;
    return 0;
  }
}

/** Makes calls that take locks, of all kinds and for ever. */
function storm(vcpu: Vcpu): never {
  const { console, evtchn, physdev, sched, timer, vcpu: vcpuOps } = vcpu.hypercall;
  for (;;) {
    const port = 1 + Math.floor(vcpu.random() * 12);
    switch (vcpu.choose(14)) {
      case 0:
        attempt(() => evtchn.allocUnbound(DOMID_SELF, BYSTANDER));
        break;
      case 1:
        attempt(() => evtchn.bindInterdomain(BYSTANDER, port));
        break;
      case 2:
        attempt(() => evtchn.bindIpi(vcpu.choose(2)));
        break;
      case 3:
        attempt(() => evtchn.bindVirq(vcpu.choose(2) === 0 ? VIRQ_DEBUG : VIRQ_TIMER, vcpu.id));
        break;
      case 4:
        attempt(() => evtchn.bindPirq(SHARED_PIRQ, 1));
        break;
      case 5:
        attempt(() => evtchn.close(port));
        break;
      case 6:
        attempt(() => evtchn.unmask(port));
        break;
      case 7:
        attempt(() => evtchn.status(DOMID_SELF, port).status);
        break;
      case 8:
        attempt(() => evtchn.bindVcpu(port, vcpu.choose(2)));
        break;
      case 9:
        timer.setTimerOp(vcpu.now() + 50_000);
        break;
      case 10:
        attempt(() => physdev.eoi(SHARED_PIRQ));
        break;
      case 11:
        vcpuOps.getRunstateInfo(0);
        break;
      case 12:
        if (vcpu.choose(50) === 0) console.write('x');
        else attempt(() => sched.poll([port], 1));
        break;
      default:
        for (let i = 0; i < 20; i++) attempt(() => evtchn.send(port));
    }
  }
}

const STATES: Readonly<Record<string, (vcpu: Vcpu) => unknown>> = {
  'never leaving its code': () => {
    for (;;);
  },
  'running over its memory': (vcpu) => {
    for (;;) vcpu.words.scratch.add(1);
  },
  'spinning with relax': (vcpu) => {
    for (;;) vcpu.relax();
  },
  'in SCHEDOP_block': (vcpu) => {
    for (;;) vcpu.block();
  },
  'in SCHEDOP_poll': (vcpu) => {
    const port = vcpu.hypercall.evtchn.allocUnbound(DOMID_SELF, PREY);
    for (;;) vcpu.hypercall.sched.poll([port]);
  },
  'in SCHEDOP_poll with a timeout': (vcpu) => {
    const port = vcpu.hypercall.evtchn.allocUnbound(DOMID_SELF, PREY);
    for (;;) vcpu.hypercall.sched.poll([port], vcpu.now() + 200_000);
  },
  'in wait32': (vcpu) => {
    const { scratch } = vcpu.words;
    for (;;) vcpu.memory.wait32(scratch.address, scratch.load());
  },
  'in an upcall': (vcpu) => {
    vcpu.onUpcall(() => storm(vcpu));
    const port = vcpu.hypercall.evtchn.bindIpi(vcpu.id);
    vcpu.info.evtchn_upcall_mask.write(0);
    vcpu.hypercall.evtchn.send(port);
  },
  'in hypercalls': storm,
  sending: (vcpu) => {
    const port = vcpu.hypercall.evtchn.bindIpi(0);
    for (;;) vcpu.hypercall.evtchn.send(port);
  },
  'out of heap in hypercalls': (vcpu) => {
    const hoard: unknown[] = [];
    for (;;) {
      hoard.push(
        new Array(2000).fill(1.5),
        attempt(() => vcpu.hypercall.evtchn.bindIpi(0)),
      );
      attempt(() => vcpu.hypercall.evtchn.close(1 + vcpu.choose(12)));
    }
  },
  starting: () => {
    for (;;);
  },
};

function bystander(vcpu: Vcpu): void {
  const { console, evtchn, physdev } = vcpu.hypercall;
  const rounds = vcpu.id === 0 ? vcpu.words.rounds0 : vcpu.words.rounds1;
  const own = evtchn.bindIpi(vcpu.id);
  attempt(() => evtchn.bindPirq(SHARED_PIRQ, 1));
  while (vcpu.words.stop.load() === 0) {
    attempt(() => evtchn.send(own));
    attempt(() => evtchn.allocUnbound(DOMID_SELF, PREY));
    const port = attempt(() => evtchn.bindInterdomain(PREY, 1 + vcpu.choose(12)));
    attempt(() => evtchn.send(port));
    attempt(() => evtchn.close(4 + vcpu.choose(12)));
    attempt(() => physdev.eoi(SHARED_PIRQ));
    attempt(() => evtchn.send(1 + vcpu.choose(12)));
    if (rounds.add(1) % 500 === 0) console.write('.');
  }
}

export default defineScenario({
  name: 'prey',
  args: { state: 'in hypercalls' },
  domains: {
    prey: {
      pirqs: [SHARED_PIRQ],
      words: { ready: 0, scratch: 0 },
      guests: [
        (vcpu) => {
          vcpu.onUpcall(() => {});
          vcpu.hypercall.timer.setTimerOp(vcpu.now() + 1e6);
          for (;;) vcpu.block();
        },
        (vcpu) => {
          const run = STATES[vcpu.domain.args.state];
          vcpu.assert(run !== undefined, `there is no state ${vcpu.domain.args.state}`);
          vcpu.words.ready.store(1);
          return run?.(vcpu);
        },
      ],
    },
    bystander: { vcpus: 2, pirqs: [SHARED_PIRQ], words: { stop: 0, rounds0: 0, rounds1: 0 }, guest: bystander },
  },
  devices: {
    card(device) {
      for (;;) {
        device.raisePirq(SHARED_PIRQ);
        device.sleep(100_000);
      }
    },
  },
});
