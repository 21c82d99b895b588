/** The services there are, by the field of a scenario that asks for them. */
import type { Vcpu } from '../guest/vcpu';
import type { Service, ServicesArgs } from './service';
import { xenstored } from './xenstore/xenstored';

export {
  SERVICES_DOMAIN,
  SERVICES_DOMAIN_ID,
  type ServedDomain,
  type Service,
  type ServiceConfig,
  type ServicesArgs,
} from './service';
export { isQuotaName, QUOTA_NAMES } from './xenstore/quotas';
export type { XenstoreOptions } from './xenstore/xenstored';

/** In the order in which a domain's pages and ports are given out. */
export const SERVICES: readonly Service[] = [xenstored];

/** What the vCPU of Domain-0 runs. */
export function serviceGuest({ services }: ServicesArgs, vcpuId: number): (vcpu: Vcpu) => unknown {
  const name = services[vcpuId]?.service;
  const found = SERVICES.find((service) => service.name === name);
  if (found === undefined) throw new Error(`there is no service ${name}`);
  return (vcpu) => found.guest(vcpu);
}
