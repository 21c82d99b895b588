/**
 * Services: what Domain-0 runs for the other domains of a machine, each as ordinary guest code on a vCPU of its own. A scenario
 * asks for them; a machine without services has no Domain-0.
 *
 * The toolstack has connected each domain to each service before the first vCPU runs: a page in the domain's memory, and an
 * event channel. In Domain-0 the channel's port is masked: a service sleeps in SCHEDOP_poll on its ports, which costs far
 * fewer steps than an upcall does, and upcalls stay disabled there.
 *
 * A service keeps its state inside its guest function, or in Domain-0's memory: it is executed again and again. It has no
 * steps left to make when its clients have none.
 *
 * @source tools/libs/light/libxl_dom.c, tools/libs/guest/xg_dom_boot.c (the same two pages and ports)
 */
import type { Vcpu } from '../guest/vcpu';
import type { Memory } from '../memory/memory';
import type { NamedRange } from '../memory/names';

/** Domain-0 among the domains of a machine. */
export const SERVICES_DOMAIN = 'Domain-0';
export const SERVICES_DOMAIN_ID = 0;

/** What a service is told of a domain it serves: plain data. */
export interface ServedDomain {
  readonly id: number;
  readonly name: string;
  readonly privileged: boolean;
  readonly vcpus: number;
  /** Frames of its memory. */
  readonly frames: number;
  /** Of the page it shares with the service, in its memory. */
  readonly pageAddress: number;
  /** Its end of the channel. */
  readonly remotePort: number;
  /** Domain-0's end. */
  readonly port: number;
}

/** A service's share of Domain-0's args: plain data. */
export interface ServiceConfig<O = unknown> {
  readonly service: string;
  readonly domains: readonly ServedDomain[];
  /** Domain-0's port of VIRQ_DOM_EXC, masked; 0: another domain handles it. For the first service. */
  readonly domExcPort: number;
  /** Of what the service shares with the host, in Domain-0's memory; 0: nothing. */
  readonly hostAddress: number;
  /** Domain-0's port by which the host notifies the service, masked; 0: none. */
  readonly hostPort: number;
  /** What the scenario says of the service. */
  readonly options: O;
}

/** Domain-0's args; by vCPU. */
export interface ServicesArgs {
  readonly services: readonly ServiceConfig[];
  /** Of Domain-0. */
  readonly frames: number;
}

/** A vCPU of Domain-0. */
export interface ServiceVcpu extends Vcpu {
  /** Passes on to the host what a domain has written to its console. @param bytes - borrowed until it returns */
  writeHost(domainId: number, bytes: Uint8Array): void;
}

// biome-ignore lint/suspicious/noExplicitAny: each service knows its options
export interface Service<O = any> {
  readonly name: string;
  /** Fields of start_info in which an x86 domain finds page and port. */
  readonly startInfo: { readonly mfn: string; readonly evtchn: string };
  /** HVM_PARAM_* in which others find them. */
  readonly hvmParams: { readonly pfn: number; readonly evtchn: number };
  /** GNTTAB_RESERVED_*: the reference by which a domain grants Domain-0 the page. */
  readonly grantRef: number;
  /** Names for what lies in a domain's page, for traces. */
  ranges(pageAddress: number): readonly NamedRange[];
  /** What the service has written into a domain's page by the time the domain starts. */
  prepare(memory: Memory, pageAddress: number): void;
  /** Bytes of Domain-0's memory that it shares with the host; absent: it has nothing to do with the host. */
  hostBytes?(options: O, domains: readonly ServedDomain[]): number;
  /** Runs on the service's vCPU. */
  guest(vcpu: ServiceVcpu): unknown;
}

/** What the vCPU of a service was told. */
export function configOf<O>(vcpu: Vcpu): ServiceConfig<O> {
  const { services } = vcpu.domain.args as ServicesArgs;
  return services[vcpu.id] as ServiceConfig<O>;
}
