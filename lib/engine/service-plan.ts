/**
 * The services a scenario asks for, and Domain-0, in which they run: planned with the other domains, and connected to them by
 * the toolstack before the first vCPU runs.
 */
import { layoutOf, VIRQ_DOM_EXC } from '../abi';
import { DOMID_SELF } from '../abi/domain-ids';
import { GTF } from '../abi/grant';
import { type DomainConfig, domainConfig, GRANT_ENTRY_BYTES, PAGE_BYTES } from '../hypervisor/image';
import {
  journalAddress,
  SERVICES,
  SERVICES_DOMAIN,
  SERVICES_DOMAIN_ID,
  type ServedDomain,
  type Service,
  type ServiceConfig,
  SetupStore,
  serviceGuest,
} from '../services';
import { describeGuest } from './guest-domain';
import type { DomainPlan, MachinePlan } from './machine-plan';
import type { Scenario, ToolstackDomain } from './scenario';
import { layOutWords } from './words';

/** Where the services' pages begin, one after the other, in every domain they serve. */
const FIRST_SERVICE_FRAME = 3;
/** Domain-0's memory, but for what services share with the host, which lies at its beginning. */
const OWN_FRAMES = 64;

export interface ServicePlan {
  readonly service: Service;
  readonly config: ServiceConfig;
}

/** What a scenario says of a service: absent, true, or options. */
export function requestedServices(scenario: Scenario): readonly Service[] {
  const fields = scenario as unknown as Readonly<Record<string, unknown>>;
  return SERVICES.filter(({ name }) => fields[name] !== undefined && fields[name] !== false);
}

/** Where the named words of a domain begin that is served by so many. */
export function wordsAddress(services: readonly Service[]): number {
  return (FIRST_SERVICE_FRAME + services.length) * PAGE_BYTES;
}

/**
 * The toolstack gives out ports before anybody else, so their numbers are known: a domain's first ports lead to the services, in
 * their order; Domain-0's first ones to the domains, service by service.
 * @param hardwareDomain - Domain-0 handles global VIRQs: no other domain does
 */
export function planServices(
  scenario: Scenario,
  services: readonly Service[],
  configs: readonly DomainConfig[],
  hardwareDomain: boolean,
): readonly ServicePlan[] {
  const fields = scenario as unknown as Readonly<Record<string, unknown>>;
  let nextPort = services.length * configs.length + 1 + (hardwareDomain ? 1 : 0);
  let nextAddress = FIRST_SERVICE_FRAME * PAGE_BYTES;
  return services.map((service, index): ServicePlan => {
    const domains = configs.map(
      ({ id, name, privileged, vcpus, frames }, position): ServedDomain => ({
        ...{ id, name, privileged, vcpus, frames },
        pageAddress: (FIRST_SERVICE_FRAME + index) * PAGE_BYTES,
        remotePort: index + 1,
        port: index * configs.length + position + 1,
      }),
    );
    const options = fields[service.name] === true ? {} : fields[service.name];
    const domExcPort = hardwareDomain && index === 0 ? services.length * configs.length + 1 : 0;
    const hostBytes = service.hostBytes?.(options, domains) ?? 0;
    const [hostAddress, hostPort] = hostBytes === 0 ? [0, 0] : [nextAddress, nextPort++];
    nextAddress += Math.ceil(hostBytes / PAGE_BYTES) * PAGE_BYTES;
    const config = { service: service.name, domains, domExcPort, hostAddress, hostPort, options };
    return { service, config };
  });
}

/**
 * Domain-0.
 * @param ids - of all domains
 * @param hardwareDomain - no other domain is
 */
export function planServicesDomain(
  plans: readonly ServicePlan[],
  ids: Readonly<Record<string, number>>,
  hardwareDomain: boolean,
): DomainPlan {
  const vcpus = plans.length;
  const hostFrames = plans.reduce((sum, { service, config }) => {
    return sum + Math.ceil((service.hostBytes?.(config.options, config.domains) ?? 0) / PAGE_BYTES);
  }, 0);
  const config = domainConfig({
    id: SERVICES_DOMAIN_ID,
    name: SERVICES_DOMAIN,
    vcpus,
    privileged: true,
    hardwareDomain,
    periodicTimerNs: 0,
    frames: OWN_FRAMES + hostFrames,
  });
  const args = { services: plans.map((plan) => plan.config), frames: config.frames };
  const words = layOutWords(undefined, (FIRST_SERVICE_FRAME + hostFrames) * PAGE_BYTES);
  const guestDomain = { ...describeGuest(config, words), events: '2l' as const, args, domains: ids };
  return {
    name: SERVICES_DOMAIN,
    config,
    words,
    daemon: true,
    guestDomain,
    guestOf: (vcpu) => serviceGuest(args, vcpu),
  };
}

/**
 * The toolstack's part at start of day, before the scenario's set-up: pages, channels, and where each domain finds them.
 * @param domains - all of them, none of which has any port yet
 */
export function connectServices(
  plans: readonly ServicePlan[],
  domains: Readonly<Record<string, ToolstackDomain>>,
): void {
  const own = domains[SERVICES_DOMAIN];
  if (own === undefined) return;
  for (const [vcpu, { service, config }] of plans.entries()) {
    for (const served of config.domains) {
      const domain = domains[served.name] as ToolstackDomain;
      service.prepare(domain.memory, served.pageAddress);
      requirePort(served.remotePort, domain.hypercall.evtchn.allocUnbound(DOMID_SELF, own.id));
      setPortBit(own, own.sharedInfo.evtchn_mask.address, served.port);
      requirePort(served.port, own.hypercall.evtchn.bindInterdomain(domain.id, served.remotePort));
      own.hypercall.evtchn.bindVcpu(served.port, vcpu);
      // The event that stands for those before the binding: there were none.
      clearPortBit(own, own.sharedInfo.evtchn_pending.address, served.port);
      tellDomain(domain, service, served);
      grantPage(domain, service, served, own.id);
    }
  }
  for (const { config } of plans) {
    if (config.domExcPort === 0) continue;
    setPortBit(own, own.sharedInfo.evtchn_mask.address, config.domExcPort);
    requirePort(config.domExcPort, own.hypercall.evtchn.bindVirq(VIRQ_DOM_EXC, 0));
  }
  for (const [vcpu, { config }] of plans.entries()) {
    if (config.hostPort === 0) continue;
    setPortBit(own, own.sharedInfo.evtchn_mask.address, config.hostPort);
    requirePort(config.hostPort, own.hypercall.evtchn.bindIpi(vcpu));
  }
}

/** The store as the scenario's set-up may use it; undefined if the machine has none. */
export function setupStore(
  { services, domains }: Pick<MachinePlan, 'services' | 'domains'>,
  views: Readonly<Record<string, ToolstackDomain>>,
): SetupStore | undefined {
  const service = services.find(({ config }) => config.service === 'xenstore');
  const own = domains.find(({ config }) => config.id === SERVICES_DOMAIN_ID);
  const view = views[SERVICES_DOMAIN];
  if (service === undefined || own === undefined || view === undefined) return undefined;
  return new SetupStore(service.config, view.memory, journalAddress(own.config.frames));
}

function requirePort(planned: number, port: number): void {
  if (port !== planned) throw new Error(`a service was to have port ${planned}, not ${port}`);
}

function setPortBit({ memory }: ToolstackDomain, bitmap: number, port: number): void {
  memory.or8(bitmap + (port >> 3), 1 << (port & 7));
}

function clearPortBit({ memory }: ToolstackDomain, bitmap: number, port: number): void {
  memory.and8(bitmap + (port >> 3), ~(1 << (port & 7)) & 0xff);
}

/**
 * The entry that the toolstack reserves for the page, as libxl writes it. Domain-0 reaches the page without; a domain that takes the
 * place of a service has to map it.
 *
 * @source tools/libs/guest/xg_dom_boot.c (xc_dom_gnttab_seed)
 */
function grantPage(domain: ToolstackDomain, { grantRef }: Service, { pageAddress }: ServedDomain, to: number): void {
  const entry = domain.frames * PAGE_BYTES + grantRef * GRANT_ENTRY_BYTES;
  domain.memory.write32(entry + 4, pageAddress / PAGE_BYTES);
  domain.memory.write32(entry, (to << 16) | GTF.GTF_permit_access);
}

/** An x86 domain finds page and port in start_info, others in their HVM parameters. */
function tellDomain(domain: ToolstackDomain, { startInfo, hvmParams }: Service, served: ServedDomain): void {
  const frame = served.pageAddress / PAGE_BYTES;
  if (domain.abi === 'x86_64' || domain.abi === 'x86_32') {
    const { fields } = layoutOf(domain.abi, 'start_info');
    const address = (field: string): number => START_INFO_FRAME * PAGE_BYTES + (fields[field]?.offset as number);
    domain.memory.write32(address(startInfo.mfn), frame);
    domain.memory.write32(address(startInfo.evtchn), served.remotePort);
    return;
  }
  domain.hypercall.hvm.setParam(hvmParams.pfn, frame);
  domain.hypercall.hvm.setParam(hvmParams.evtchn, served.remotePort);
}

export const START_INFO_FRAME = 2;
