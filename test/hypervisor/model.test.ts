import { expect } from 'chai';
import fc from 'fast-check';
import { PortStatus } from '../../lib/hypervisor/event-channel';
import type { HvDomain, HvVcpu } from '../../lib/hypervisor/hypervisor';
import { quiet, TestMachine } from './support/machine';
import { Model, type ModelConfig, type ModelDomain, SELF } from './support/model';

const LONG = process.env.UPCALL_LONG === '1';
const RUNS = LONG ? 30_000 : 1500;
const STEPS = 80;

/** Small tables make collisions likely: ports run out, VIRQs are taken, peers go away. */
const CONFIGS: readonly (ModelConfig & { readonly abi: 'x86_64' | 'x86_32' | 'arm64' })[] = [
  { id: 1, abi: 'x86_64', vcpus: 2, width: 64, maxPort: 200, privileged: true, hardware: true, pirqs: [1, 2, 3] },
  { id: 2, abi: 'x86_32', vcpus: 3, width: 32, maxPort: 70, privileged: false, hardware: false, pirqs: [2, 3] },
  { id: 3, abi: 'arm64', vcpus: 1, width: 64, maxPort: 6, privileged: false, hardware: false, pirqs: [] },
];

class Pair {
  readonly machine = new TestMachine(
    CONFIGS.map(({ hardware, width: _width, ...config }) =>
      quiet({ ...config, hardwareDomain: hardware, timekeeping: false }),
    ),
    { irqs: 16, irqEoiTimeoutNs: 0 },
  );
  readonly model = new Model(CONFIGS);
}

/** One operation of a vCPU, or of somebody else; made in both worlds. */
interface Operation {
  readonly name: string;
  readonly args: readonly number[];
}

/** The caller in both worlds; absent while it sleeps. */
interface Caller {
  readonly hv: HvVcpu;
  readonly domain: ModelDomain;
}

type Action = (
  pair: Pair,
  caller: Caller,
  args: readonly number[],
) => { readonly got: unknown; readonly expected: unknown };

function statusFields(pair: Pair, { hv }: Caller, dom: number, port: number): readonly unknown[] {
  const status = new PortStatus();
  const result = pair.machine.hypervisor.evtchn.status(hv, dom, port, status);
  if (result !== 0) return [result];
  return [0, Object.fromEntries(Object.entries(status).filter(([, value]) => value >= 0))];
}

/** Serves what the selector of the vCPU points at, as a guest would. */
function serve(machine: TestMachine, vcpu: HvVcpu): number[] {
  const { domain } = vcpu;
  const words = machine.selector(vcpu);
  const info = machine.hypervisor.vcpuInfoAddress(vcpu);
  domain.guest.write8(info, 0);
  for (let i = 0; i < domain.constants.sizeof_xen_ulong_t; i++)
    domain.guest.write8(info + domain.selectorOffset + i, 0);
  const served: number[] = [];
  const width = domain.constants.BITS_PER_EVTCHN_WORD;
  for (const word of words) {
    for (let port = word * width; port < (word + 1) * width; port++) {
      const byte = domain.pendingAddress + (port >> 3);
      const bit = 1 << (port & 7);
      const masked = domain.guest.read8(domain.maskAddress + (port >> 3)) & bit;
      if ((domain.guest.read8(byte) & bit) === 0 || masked !== 0) continue;
      domain.guest.and8(byte, ~bit);
      served.push(port);
    }
  }
  return served;
}

const at = (args: readonly number[], index: number): number => args[index] ?? 0;
const hvDomain = (pair: Pair, id: number): HvDomain => pair.machine.domain(id);
const modelDomain = (pair: Pair, id: number): ModelDomain => pair.model.domain(id) as ModelDomain;

const ACTIONS: Readonly<Record<string, Action>> = {
  alloc_unbound: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.evtchn.allocUnbound(hv, at(args, 0), at(args, 1)),
    expected: model.allocUnbound(domain, at(args, 0), at(args, 1)),
  }),
  bind_interdomain: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.evtchn.bindInterdomain(hv, at(args, 0), at(args, 1)),
    expected: model.bindInterdomain(domain, at(args, 0), at(args, 1)),
  }),
  /** A whole channel: the far domain allocates, the caller binds. */
  connect: (pair, { hv, domain }, args) => {
    const { machine, model } = pair;
    const far = modelDomain(pair, at(args, 0));
    const expectedPort = model.allocUnbound(far, SELF, domain.config.id);
    const port = machine.hypervisor.evtchn.allocUnbound(machine.vcpu(far.config.id, 0), SELF, hv.domainId);
    if (port < 0) return { got: port, expected: expectedPort };
    return {
      got: [port, machine.hypervisor.evtchn.bindInterdomain(hv, far.config.id, port)],
      expected: [expectedPort, model.bindInterdomain(domain, far.config.id, expectedPort)],
    };
  },
  bind_virq: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.evtchn.bindVirq(hv, at(args, 0), at(args, 1)),
    expected: model.bindVirq(domain, at(args, 0), at(args, 1)),
  }),
  bind_ipi: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.evtchn.bindIpi(hv, at(args, 0)),
    expected: model.bindIpi(domain, at(args, 0)),
  }),
  bind_pirq: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.evtchn.bindPirq(hv, at(args, 0), at(args, 1)),
    expected: hv.domain.isX86 ? model.bindPirq(domain, at(args, 0), at(args, 1) === 1) : -95,
  }),
  close: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.evtchn.close(hv, at(args, 0)),
    expected: model.close(domain, at(args, 0)),
  }),
  send: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.evtchn.send(hv, at(args, 0)),
    expected: model.send(domain, at(args, 0)),
  }),
  status: (pair, caller, args) => ({
    got: statusFields(pair, caller, at(args, 0), at(args, 1)),
    expected: pair.model.status(caller.domain, at(args, 0), at(args, 1)),
  }),
  bind_vcpu: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.evtchn.bindVcpu(hv, at(args, 0), at(args, 1)),
    expected: model.bindVcpu(domain, at(args, 0), at(args, 1)),
  }),
  unmask: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.evtchn.unmask(hv, at(args, 0)),
    expected: model.unmask(domain, at(args, 0)),
  }),
  reset: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.evtchn.reset(hv, at(args, 0)),
    expected: model.reset(domain, at(args, 0)),
  }),
  block: ({ machine, model }, { hv, domain }) => ({
    got: machine.hypervisor.sched.block(hv),
    expected: model.block(domain.vcpu(hv.vcpuId)),
  }),
  poll: ({ machine, model }, { hv, domain }, args) => ({
    got: machine.hypervisor.sched.poll(hv, args, 0),
    expected: model.poll(domain, domain.vcpu(hv.vcpuId), args),
  }),
  serve: ({ machine, model }, { hv, domain }) => ({
    got: serve(machine, hv),
    expected: model.serve(domain, domain.vcpu(hv.vcpuId)),
  }),
  mask: ({ machine }, { hv, domain }, args) => {
    machine.setMask(hv.domain, at(args, 0), true);
    domain.masked.add(at(args, 0));
    return { got: 0, expected: 0 };
  },
  clear_mask: ({ machine }, { hv, domain }, args) => {
    machine.setMask(hv.domain, at(args, 0), false);
    domain.masked.delete(at(args, 0));
    return { got: 0, expected: 0 };
  },
  upcall_mask: ({ machine }, { hv, domain }, args) => {
    const masked = at(args, 0) & 1;
    machine.hypervisor.vcpuState.setUpcallMask(hv, masked);
    domain.vcpu(hv.vcpuId).masked = masked === 1;
    return { got: machine.hypervisor.vcpuState.upcallMask(hv), expected: masked };
  },
  // Not hypercalls of a vCPU.
  vcpu_virq: ({ machine, model }, { hv, domain }, args) => {
    machine.hypervisor.sendVcpuVirq(hv, at(args, 0));
    if ([0, 1, 7, 13].includes(at(args, 0))) model.sendVirq(domain, hv.vcpuId, at(args, 0));
    return { got: 0, expected: 0 };
  },
  global_virq: ({ machine, model }, _caller, args) => {
    machine.hypervisor.sendGlobalVirq(at(args, 0));
    if (![0, 1, 7, 11, 13].includes(at(args, 0)) && at(args, 0) < 24) model.sendGlobalVirq(at(args, 0));
    return { got: 0, expected: 0 };
  },
  set_handler: (pair, { domain }, args) => ({
    got: pair.machine.hypervisor.setVirqHandler(hvDomain(pair, domain.config.id), at(args, 0)),
    expected: pair.model.setHandler(domain, at(args, 0)),
  }),
  pirq: (pair, { domain }, args) => {
    const port = domain.pirqPort(at(args, 0));
    pair.machine.hypervisor.pirqs.send(hvDomain(pair, domain.config.id), at(args, 0));
    if (port !== undefined) domain.raise(port);
    return { got: 0, expected: 0 };
  },
  kick: ({ machine }, { hv, domain }) => {
    machine.hypervisor.vcpuState.markEventsPending(hv);
    domain.vcpu(hv.vcpuId).mark();
    return { got: 0, expected: 0 };
  },
  poll_timeout: ({ machine, model }, { hv, domain }) => {
    machine.hypervisor.pollTimeout(hv);
    model.pollTimeout(domain.vcpu(hv.vcpuId));
    return { got: 0, expected: 0 };
  },
  pause: (pair, _caller, args) => {
    const id = (at(args, 0) % 3) + 1;
    pair.machine.hypervisor.pauseDomain(hvDomain(pair, id));
    modelDomain(pair, id).paused++;
    return { got: 0, expected: 0 };
  },
};

/** Actions that happen to a vCPU or its domain, asleep or not. */
const BY_OTHERS = new Set(['vcpu_virq', 'global_virq', 'set_handler', 'pirq', 'kick', 'poll_timeout', 'pause']);

/** The shared page a domain should have. */
function expectedPage({ config, masked, pending, vcpus }: ModelDomain, domain: HvDomain): Uint8Array {
  const page = new Uint8Array(4096);
  const set = (base: number, bit: number) => {
    page[base + (bit >> 3)] = (page[base + (bit >> 3)] as number) | (1 << (bit & 7));
  };
  const x86 = domain.isX86;
  for (let slot = 0; x86 && slot < 32; slot++) page[slot * 64 + 1] = 1;
  for (const [id, vcpu] of vcpus.entries()) {
    const info = id * (x86 ? 64 : 48);
    page[info] = vcpu.pending ? 1 : 0;
    page[info + 1] = x86 && vcpu.masked ? 1 : 0;
    for (const bit of vcpu.selector) set(info + (config.width === 64 ? 8 : 4), bit);
  }
  const [pendingAt, maskAt] = { x86_64: [2048, 2560], x86_32: [2048, 2176], arm64: [48, 560], arm32: [48, 560] }[
    domain.abi
  ] as [number, number];
  for (const port of pending) set(pendingAt, port);
  for (const port of masked) set(maskAt, port);
  return page;
}

function compareState({ machine, model }: Pair): void {
  for (const domain of model.domains) {
    const hv = machine.domain(domain.config.id);
    const page = Buffer.from(machine.hypervisor.image.domains[hv.index]?.guest as SharedArrayBuffer, 0x1000, 4096);
    const expected = expectedPage(domain, hv);
    if (!page.equals(expected)) expect(new Uint8Array(page)).to.deep.equal(expected);
    const asleep = hv.vcpus.filter((vcpu) => machine.isBlocked(vcpu)).map(({ vcpuId }) => vcpuId);
    const expectedAsleep = [...domain.vcpus.keys()].filter((id) => domain.vcpu(id).blocked);
    expect(asleep).to.deep.equal(expectedAsleep);
  }
}

const arbitraryPort = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 6 }) },
  { weight: 1, arbitrary: fc.integer({ min: 9, max: 80 }) },
  { weight: 1, arbitrary: fc.constantFrom(63, 64, 65, 127, 128, 199, 200, 1023, 1024, 4095, 4096, 0xffffffff) },
);
/** Ports whose bits the guest has. */
const arbitraryOwnPort = fc.integer({ min: 0, max: 70 });
const arbitraryDomid = fc.constantFrom(1, 2, 3, SELF, SELF, SELF, 4, 32753);
const arbitraryVcpu = fc.constantFrom(0, 0, 1, 2, 3, 0xffffffff);
const arbitraryVirq = fc.oneof(fc.constantFrom(0, 1, 2, 3, 11), fc.integer({ min: 0, max: 25 }));

const arbitraryPirq = fc.constantFrom(1, 2, 2, 3, 3, 4, 16);

function operation(name: string, ...args: fc.Arbitrary<number>[]): fc.Arbitrary<Operation> {
  return fc.record({ name: fc.constant(name), args: fc.tuple(...args) });
}

const arbitraryOperation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: operation('alloc_unbound', arbitraryDomid, arbitraryDomid) },
  { weight: 5, arbitrary: operation('bind_interdomain', arbitraryDomid, arbitraryPort) },
  { weight: 8, arbitrary: operation('connect', fc.integer({ min: 1, max: 3 })) },
  { weight: 8, arbitrary: operation('bind_virq', arbitraryVirq, arbitraryVcpu) },
  { weight: 4, arbitrary: operation('bind_ipi', arbitraryVcpu) },
  { weight: 6, arbitrary: operation('bind_pirq', arbitraryPirq, fc.integer({ min: 0, max: 1 })) },
  { weight: 9, arbitrary: operation('close', arbitraryPort) },
  { weight: 20, arbitrary: operation('send', arbitraryPort) },
  { weight: 6, arbitrary: operation('status', arbitraryDomid, arbitraryPort) },
  { weight: 4, arbitrary: operation('bind_vcpu', arbitraryPort, arbitraryVcpu) },
  { weight: 6, arbitrary: operation('unmask', arbitraryPort) },
  { weight: 1, arbitrary: operation('reset', arbitraryDomid) },
  { weight: 2, arbitrary: operation('block') },
  { weight: 2, arbitrary: operation('poll', arbitraryPort) },
  { weight: 1, arbitrary: operation('poll', arbitraryPort, arbitraryPort, arbitraryPort) },
  { weight: 6, arbitrary: operation('serve') },
  { weight: 5, arbitrary: operation('mask', arbitraryOwnPort) },
  { weight: 3, arbitrary: operation('clear_mask', arbitraryOwnPort) },
  { weight: 3, arbitrary: operation('upcall_mask', fc.integer({ min: 0, max: 1 })) },
  { weight: 4, arbitrary: operation('vcpu_virq', arbitraryVirq) },
  { weight: 3, arbitrary: operation('global_virq', arbitraryVirq) },
  { weight: 2, arbitrary: operation('set_handler', arbitraryVirq) },
  { weight: 3, arbitrary: operation('pirq', arbitraryPirq) },
  { weight: 4, arbitrary: operation('kick') },
  { weight: 3, arbitrary: operation('poll_timeout') },
  { weight: 1, arbitrary: operation('pause', fc.integer({ min: 0, max: 2 })) },
);

/** [domain, vCPU, operation] */
const arbitraryStep = fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 2 }), arbitraryOperation);

/** The vCPU meant, or the next one that is awake if it has to be. */
function callerOf(pair: Pair, domainIndex: number, vcpuIndex: number, name: string): Caller | undefined {
  const domains = pair.model.domains.slice(domainIndex).concat(pair.model.domains.slice(0, domainIndex));
  for (const domain of domains) {
    for (let i = 0; i < domain.vcpus.length; i++) {
      const vcpuId = (vcpuIndex + i) % domain.vcpus.length;
      if (domain.vcpu(vcpuId).blocked && !BY_OTHERS.has(name)) continue;
      return { hv: pair.machine.vcpu(domain.config.id, vcpuId), domain };
    }
  }
  return undefined;
}

describe('the hypervisor beside a model of event channels', () => {
  it('returns the same and leaves the same shared pages, whatever is called', function () {
    this.timeout(LONG ? 600_000 : 60_000);
    let calls = 0;
    const successes = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(arbitraryStep, { minLength: STEPS / 2, maxLength: STEPS }), (steps) => {
        const pair = new Pair();
        for (const [domainIndex, vcpuIndex, { args, name }] of steps) {
          const caller = callerOf(pair, domainIndex, vcpuIndex, name);
          if (caller === undefined) continue;
          const { expected, got } = (ACTIONS[name] as Action)(pair, caller, args);
          expect(got, `d${caller.domain.config.id}v${caller.hv.vcpuId} ${name}(${args.join()})`).to.deep.equal(
            expected,
          );
          compareState(pair);
          calls++;
          successes.set(name, (successes.get(name) ?? 0) + (typeof got === 'number' && got < 0 ? 0 : 1));
        }
      }),
      { numRuns: RUNS, seed: 20261123 },
    );
    expect(calls).to.be.greaterThan(RUNS * STEPS * 0.5);
    const rare = Object.keys(ACTIONS).filter((name) => (successes.get(name) ?? 0) < RUNS / 150);
    expect(rare, 'operations that hardly ever succeeded').to.deep.equal([]);
  });
});
