/** Whether the hypervisor's tables fit together while nobody is at work: every link has its other half, every count is right. */
import { ECS_FREE, ECS_INTERDOMAIN, ECS_PIRQ, ECS_RESERVED, ECS_UNBOUND, ECS_VIRQ, NR_VIRQS } from '../../../lib/abi';
import { ecsOf } from '../../../lib/hypervisor/channels';
import type { HvDomain, Hypervisor } from '../../../lib/hypervisor/hypervisor';
import { eachLock } from '../../../lib/hypervisor/lock-list';
import {
  CHANNEL_NOTIFY_VCPU_ID,
  CHANNEL_REMOTE_DOMID,
  CHANNEL_REMOTE_PORT,
  CHANNEL_STATE,
  DOMAIN_ACTIVE_EVTCHNS,
  DOMAIN_ALIVE,
  DOMAIN_FIRST_FREE_EVTCHN,
  DOMAIN_XEN_EVTCHNS,
  IRQ_IN_FLIGHT,
  IRQ_NR_GUESTS,
  MACHINE_IRQS_IN_FLIGHT,
  PIRQ_MASKED,
  VCPU_VIRQ_TO_EVTCHN,
  XEN_CONSUMER,
} from '../../../lib/hypervisor/state-layout';
import { isVcpuVirq } from '../../../lib/hypervisor/virq';
import { isFifo } from '../../support/fifo-guest';
import { lookAtDestroyed, lookAtGrants, lookAtMappings } from './grant-calls';

type Say = (what: string) => void;

function field(domain: HvDomain, port: number, offset: number): number {
  return domain.state.read32(domain.channelAddress(port) + offset);
}

function stateOf(domain: HvDomain, port: number): number {
  return ecsOf(field(domain, port, CHANNEL_STATE));
}

/** A channel that is bound to a number: VIRQ or PIRQ. */
function isBoundTo(domain: HvDomain, port: number, ecs: number, number: number): boolean {
  return stateOf(domain, port) === ecs && field(domain, port, CHANNEL_REMOTE_PORT) === number;
}

function virqSlot(domain: HvDomain, vcpuId: number, virq: number): number {
  return domain.state.read32((domain.vcpu(vcpuId)?.address as number) + VCPU_VIRQ_TO_EVTCHN + virq * 4);
}

/** Under the 2-level ABI. */
function isPending(domain: HvDomain, port: number): boolean {
  if (isFifo(domain)) return false;
  return (domain.guest.read32(domain.pendingAddress + (port >>> 5) * 4) & (1 << (port & 31))) !== 0;
}

function lookAtChannel(hypervisor: Hypervisor, domain: HvDomain, port: number, say: Say): void {
  const vcpu = field(domain, port, CHANNEL_NOTIFY_VCPU_ID);
  const dom = field(domain, port, CHANNEL_REMOTE_DOMID);
  const number = field(domain, port, CHANNEL_REMOTE_PORT);
  switch (stateOf(domain, port)) {
    case ECS_FREE:
      if (vcpu !== 0 || dom !== 0 || number !== 0) say('is free and holds something');
      if (isPending(domain, port)) say('is free and pending');
      break;
    case ECS_UNBOUND:
      if (number !== 0) say('is unbound and has a peer');
      break;
    case ECS_INTERDOMAIN: {
      const peer = hypervisor.domain(dom) as HvDomain;
      const answers = isBoundTo(peer, number, ECS_INTERDOMAIN, port);
      if (!answers || field(peer, number, CHANNEL_REMOTE_DOMID) !== domain.id) say('has a peer that does not answer');
      break;
    }
    case ECS_VIRQ:
      if (virqSlot(domain, isVcpuVirq(number) ? vcpu : 0, number) !== port) say(`is not in the slot of VIRQ ${number}`);
      break;
    case ECS_PIRQ:
      if (hypervisor.pirqs.port(domain, number) !== port) say(`is not what PIRQ ${number} is bound to`);
  }
}

function lookAtDomain(hypervisor: Hypervisor, domain: HvDomain, say: Say): void {
  let active = 0;
  let xen = 0;
  let firstFree = 0;
  for (let port = 0; domain.portIsValid(port); port++) {
    lookAtChannel(hypervisor, domain, port, (what) => say(`port ${port} ${what}`));
    const state = field(domain, port, CHANNEL_STATE);
    if (ecsOf(state) !== ECS_FREE && ecsOf(state) !== ECS_RESERVED) active++;
    if ((state & XEN_CONSUMER) !== 0) xen++;
    if (ecsOf(state) !== ECS_FREE && firstFree === port) firstFree++;
  }
  const counted = [DOMAIN_ACTIVE_EVTCHNS, DOMAIN_XEN_EVTCHNS].map((word) => domain.state.read32(word));
  if (counted.join() !== `${active},${xen}`) say(`counts ${counted} channels, and has ${active},${xen}`);
  if (domain.state.read32(DOMAIN_FIRST_FREE_EVTCHN) > firstFree) say(`takes port ${firstFree} for used`);
  for (const { vcpuId } of domain.vcpus) {
    for (let virq = 0; virq < NR_VIRQS; virq++) {
      const port = virqSlot(domain, vcpuId, virq);
      if (port !== 0 && !isBoundTo(domain, port, ECS_VIRQ, virq)) say(`has a slot for VIRQ ${virq} and no channel`);
    }
  }
}

function lookAtIrqs({ domains, machine, pirqs }: Hypervisor, say: Say): void {
  const { global } = machine;
  let inFlight = 0;
  for (let irq = 0; irq < machine.image.options.irqs; irq++) {
    const record = machine.irqAddress(irq);
    const guests = domains.filter((domain) => pirqs.isGuest(domain, irq));
    const owing = domains.filter((domain) => domain.state.read32(domain.pirqAddress(irq) + PIRQ_MASKED) !== 0);
    if (global.read32(record + IRQ_NR_GUESTS) !== guests.length) say(`IRQ ${irq}: nr_guests`);
    if (global.read32(record + IRQ_IN_FLIGHT) !== owing.length) say(`IRQ ${irq}: in_flight`);
    if (owing.some((domain) => !guests.includes(domain))) say(`IRQ ${irq}: somebody owes an EOI who is no guest`);
    if (owing.length > 0) inFlight++;
    for (const domain of domains) {
      const port = pirqs.port(domain, irq);
      if (guests.includes(domain) !== (port !== 0)) say(`IRQ ${irq}: bit and port of domain ${domain.id}`);
      if (port !== 0 && !isBoundTo(domain, port, ECS_PIRQ, irq)) say(`IRQ ${irq}: no channel in domain ${domain.id}`);
    }
  }
  if (global.read32(MACHINE_IRQS_IN_FLIGHT) !== inFlight) say('irqs_in_flight');
}

/**
 * @param unfinished - a domain whose thread died, and that is to be closed off: then what it uses of others is given back
 * @throws Error unless every lock is free, every link matched by its other half, every count right
 */
export function expectWhole(hypervisor: Hypervisor, unfinished?: HvDomain): void {
  const broken: string[] = [];
  eachLock(hypervisor.machine, (word, place) => {
    if (word !== 0) broken.push(`the lock ${place().kind} at ${place().address} is held: ${word >>> 0}`);
  });
  for (const domain of hypervisor.domains) {
    const say: Say = (what) => broken.push(`domain ${domain.id}: ${what}`);
    lookAtDomain(hypervisor, domain, say);
    lookAtGrants(hypervisor, domain, say, unfinished);
    if (domain.status() !== DOMAIN_ALIVE) lookAtDestroyed(domain, say);
    else if (domain !== unfinished) lookAtMappings(domain, say);
  }
  lookAtIrqs(hypervisor, (what) => broken.push(what));
  if (broken.length > 0) throw new Error(broken.join('; '));
}
