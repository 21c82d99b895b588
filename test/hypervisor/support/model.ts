/**
 * A model of event channels as sets and maps: no memory, no locks, no bit operations. It says what each operation returns
 * and how the shared page looks afterwards; the hypervisor is compared with it.
 */
const [EPERM, ENOENT, ESRCH, EBUSY, EEXIST, EINVAL, ENOSPC] = [-1, -2, -3, -16, -17, -22, -28];
export const SELF = 0x7ff0;
const PER_VCPU = new Set([0, 1, 7, 13]);
const PER_DOMAIN = new Set([11]);

export interface ModelConfig {
  readonly id: number;
  readonly vcpus: number;
  /** Ports per selector bit. */
  readonly width: 32 | 64;
  readonly maxPort: number;
  readonly privileged: boolean;
  readonly hardware: boolean;
  readonly pirqs: readonly number[];
}

type Source =
  | { kind: 'unbound'; dom: number }
  | { kind: 'interdomain'; dom: number; port: number }
  | { kind: 'virq'; virq: number }
  | { kind: 'pirq'; pirq: number; shares: boolean }
  | { kind: 'ipi' };

interface Channel {
  source: Source;
  vcpu: number;
}

class ModelVcpu {
  pending = false;
  masked = true;
  blocked = false;
  /** What it polls for. */
  polls: 'any' | number | undefined;
  readonly selector = new Set<number>();

  /** Sets the upcall flag; wakes the vCPU if it was clear. */
  mark(): void {
    if (!this.pending) wake(this);
    this.pending = true;
  }

  get deliverable(): boolean {
    return this.pending && !this.masked;
  }
}

export class ModelDomain {
  readonly channels = new Map<number, Channel>();
  readonly pending = new Set<number>();
  readonly masked = new Set<number>();
  readonly vcpus: readonly ModelVcpu[];
  validPorts = 64;
  paused = 0;

  constructor(readonly config: ModelConfig) {
    this.vcpus = Array.from({ length: config.vcpus }, () => new ModelVcpu());
  }

  vcpu(id: number): ModelVcpu {
    return this.vcpus[id] as ModelVcpu;
  }

  isValid(port: number): boolean {
    return port < this.validPorts;
  }

  /** The lowest free port, or an error. */
  freePort(): number {
    let port = 1;
    while (this.channels.has(port)) port++;
    if (port > this.config.maxPort || port >= this.config.width ** 2) return ENOSPC;
    if (port >= this.validPorts) this.validPorts += 64;
    return port;
  }

  add(port: number, source: Source, vcpu = 0): number {
    this.channels.set(port, { source, vcpu });
    return port;
  }

  /** An event at a port that is in use. */
  raise(port: number): void {
    if (this.pending.has(port)) return;
    this.pending.add(port);
    if (!this.masked.has(port)) this.announce(port);
    for (const vcpu of this.vcpus) {
      if (vcpu.polls === 'any' || vcpu.polls === port) wake(vcpu);
    }
  }

  announce(port: number): void {
    const vcpu = this.vcpu((this.channels.get(port) as Channel).vcpu);
    const bit = Math.floor(port / this.config.width);
    if (vcpu.selector.has(bit)) return;
    vcpu.selector.add(bit);
    vcpu.mark();
  }

  virqPort(virq: number, vcpuId: number): number | undefined {
    for (const [port, { source, vcpu }] of this.channels) {
      if (source.kind !== 'virq' || source.virq !== virq) continue;
      if (!PER_VCPU.has(virq) || vcpu === vcpuId) return port;
    }
    return undefined;
  }

  pirqPort(pirq: number): number | undefined {
    for (const [port, { source }] of this.channels) if (source.kind === 'pirq' && source.pirq === pirq) return port;
    return undefined;
  }
}

function wake(vcpu: ModelVcpu): void {
  vcpu.blocked = false;
  vcpu.polls = undefined;
}

export class Model {
  readonly domains: readonly ModelDomain[];
  private readonly handlers = new Map<number, number>();

  constructor(configs: readonly ModelConfig[]) {
    this.domains = configs.map((config) => new ModelDomain(config));
  }

  domain(id: number): ModelDomain | undefined {
    return this.domains.find(({ config }) => config.id === id);
  }

  private named(current: ModelDomain, id: number): ModelDomain | undefined {
    return id === SELF ? current : this.domain(id);
  }

  private may(current: ModelDomain, domain: ModelDomain): boolean {
    return current === domain || current.config.privileged;
  }

  allocUnbound(current: ModelDomain, dom: number, remoteDom: number): number {
    const domain = this.named(current, dom);
    if (domain === undefined) return ESRCH;
    const port = domain.freePort();
    if (port < 0) return port;
    if (!this.may(current, domain)) return EPERM;
    return domain.add(port, { kind: 'unbound', dom: remoteDom === SELF ? current.config.id : remoteDom });
  }

  bindInterdomain(current: ModelDomain, remoteDom: number, remotePort: number): number {
    const remote = this.named(current, remoteDom);
    if (remote === undefined) return ESRCH;
    const port = current.freePort();
    if (port < 0) return port;
    const far = remote.channels.get(remotePort);
    if (far?.source.kind !== 'unbound' || far.source.dom !== current.config.id) return EINVAL;
    far.source = { kind: 'interdomain', dom: current.config.id, port };
    current.add(port, { kind: 'interdomain', dom: remote.config.id, port: remotePort });
    current.raise(port);
    return port;
  }

  bindVirq(current: ModelDomain, virq: number, vcpu: number): number {
    if (virq >= 24) return EINVAL;
    if (!PER_VCPU.has(virq) && vcpu !== 0) return EINVAL;
    if (vcpu >= current.vcpus.length) return ENOENT;
    if (!PER_VCPU.has(virq) && !PER_DOMAIN.has(virq) && this.handler(virq) !== current) return EBUSY;
    if (current.virqPort(virq, vcpu) !== undefined) return EEXIST;
    const port = current.freePort();
    return port < 0 ? port : current.add(port, { kind: 'virq', virq }, vcpu);
  }

  bindIpi(current: ModelDomain, vcpu: number): number {
    if (vcpu >= current.vcpus.length) return ENOENT;
    const port = current.freePort();
    return port < 0 ? port : current.add(port, { kind: 'ipi' }, vcpu);
  }

  bindPirq(current: ModelDomain, pirq: number, shares: boolean): number {
    if (pirq >= 16) return EINVAL;
    if (!current.config.pirqs.includes(pirq)) return EPERM;
    if (current.pirqPort(pirq) !== undefined) return EEXIST;
    const port = current.freePort();
    if (port < 0) return port;
    for (const other of this.domains) {
      const used = other.channels.get(other.pirqPort(pirq) ?? -1)?.source;
      if (used?.kind === 'pirq' && !(used.shares && shares)) return EBUSY;
    }
    return current.add(port, { kind: 'pirq', pirq, shares });
  }

  close(current: ModelDomain, port: number): number {
    const channel = current.channels.get(port);
    if (channel === undefined) return EINVAL;
    if (channel.source.kind === 'interdomain') {
      const peer = this.domain(channel.source.dom)?.channels.get(channel.source.port) as Channel;
      peer.source = { kind: 'unbound', dom: current.config.id };
    }
    current.channels.delete(port);
    current.pending.delete(port);
    return 0;
  }

  send(current: ModelDomain, port: number): number {
    const channel = current.channels.get(port);
    switch (channel?.source.kind) {
      case 'interdomain':
        this.domain(channel.source.dom)?.raise(channel.source.port);
        return 0;
      case 'ipi':
        current.raise(port);
        return 0;
      case 'unbound':
        return 0;
      default:
        return EINVAL;
    }
  }

  /** [result, status fields…] */
  status(current: ModelDomain, dom: number, port: number): readonly unknown[] {
    const domain = this.named(current, dom);
    if (domain === undefined) return [ESRCH];
    if (!domain.isValid(port)) return [EINVAL];
    if (!this.may(current, domain)) return [EPERM];
    const channel = domain.channels.get(port);
    if (channel === undefined) return [0, { status: 0, vcpu: 0 }];
    const status = ['closed', 'unbound', 'interdomain', 'pirq', 'virq', 'ipi'].indexOf(channel.source.kind);
    const { kind: _kind, ...rest } = channel.source as Source & { shares?: boolean };
    delete rest.shares;
    return [0, { status, vcpu: channel.vcpu, ...rest }];
  }

  bindVcpu(current: ModelDomain, port: number, vcpu: number): number {
    if (vcpu >= current.vcpus.length) return ENOENT;
    const channel = current.channels.get(port);
    if (channel === undefined || channel.source.kind === 'ipi') return EINVAL;
    if (channel.source.kind === 'virq' && PER_VCPU.has(channel.source.virq)) return EINVAL;
    channel.vcpu = vcpu;
    return 0;
  }

  unmask(current: ModelDomain, port: number): number {
    if (!current.isValid(port)) return EINVAL;
    if (!current.channels.has(port)) return 0;
    if (current.masked.delete(port) && current.pending.has(port)) current.announce(port);
    return 0;
  }

  reset(current: ModelDomain, dom: number): number {
    const domain = this.named(current, dom);
    if (domain === undefined) return ESRCH;
    if (!this.may(current, domain)) return EPERM;
    if (domain !== current && domain.paused === 0) return EINVAL;
    for (const port of [...domain.channels.keys()].sort((a, b) => a - b)) this.close(domain, port);
    return 0;
  }

  block(vcpu: ModelVcpu): number {
    vcpu.masked = false;
    vcpu.blocked = !vcpu.pending;
    return 0;
  }

  poll(domain: ModelDomain, vcpu: ModelVcpu, ports: readonly number[]): number {
    if (ports.length > 128) return EINVAL;
    if (vcpu.deliverable) return 0;
    for (const port of ports) {
      if (!domain.channels.has(port)) return EINVAL;
      if (domain.pending.has(port)) return 0;
    }
    vcpu.blocked = true;
    vcpu.polls = ports.length === 1 ? (ports[0] as number) : 'any';
    return 0;
  }

  pollTimeout(vcpu: ModelVcpu): void {
    if (vcpu.polls !== undefined) wake(vcpu);
  }

  private handler(virq: number): ModelDomain | undefined {
    const named = this.handlers.get(virq);
    return named === undefined ? this.domains.find(({ config }) => config.hardware) : this.domain(named);
  }

  setHandler(domain: ModelDomain, virq: number): number {
    if (virq >= 24 || PER_VCPU.has(virq) || PER_DOMAIN.has(virq)) return EINVAL;
    const present = this.handler(virq);
    if (present !== domain && present?.virqPort(virq, 0) !== undefined) return EBUSY;
    this.handlers.set(virq, domain.config.id);
    return 0;
  }

  sendVirq(domain: ModelDomain, vcpu: number, virq: number): void {
    const port = domain.virqPort(virq, vcpu);
    if (port !== undefined) domain.raise(port);
  }

  sendGlobalVirq(virq: number): void {
    const handler = this.handler(virq);
    if (handler !== undefined) this.sendVirq(handler, 0, virq);
  }

  /** The guest's handler: what it serves, in order. */
  serve(domain: ModelDomain, vcpu: ModelVcpu): number[] {
    vcpu.pending = false;
    const words = [...vcpu.selector];
    vcpu.selector.clear();
    const served = [...domain.pending]
      .filter((port) => words.includes(Math.floor(port / domain.config.width)) && !domain.masked.has(port))
      .sort((a, b) => a - b);
    for (const port of served) domain.pending.delete(port);
    return served;
  }
}
