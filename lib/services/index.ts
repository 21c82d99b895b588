/** The services there are, by the field of a scenario that asks for them. */
import type { Vcpu } from '../guest/vcpu';
import { xenconsoled } from './console/xenconsoled';
import type { Service, ServicesArgs, ServiceVcpu } from './service';
import { xenstored } from './xenstore/xenstored';

export { type ConsoleServiceOptions, hostRings, scriptedInput } from './console/host-rings';
export {
  SERVICES_DOMAIN,
  SERVICES_DOMAIN_ID,
  type ServedDomain,
  type Service,
  type ServiceConfig,
  type ServicesArgs,
  type ServiceVcpu,
} from './service';
export { journalAddress } from './xenstore/journal';
export { isQuotaName, QUOTA_NAMES } from './xenstore/quotas';
export { SetupStore } from './xenstore/setup-store';
export type { XenstoreOptions } from './xenstore/xenstored';

/** In the order in which a domain's pages and ports are given out. */
export const SERVICES: readonly Service[] = [xenstored, xenconsoled];

/** What the vCPU of Domain-0 runs. */
export function serviceGuest({ services }: ServicesArgs, vcpuId: number): (vcpu: Vcpu) => unknown {
  const name = services[vcpuId]?.service;
  const found = SERVICES.find((service) => service.name === name);
  if (found === undefined) throw new Error(`there is no service ${name}`);
  // Every engine's vCPU can do what services ask of it.
  return (vcpu) => found.guest(vcpu as ServiceVcpu);
}
