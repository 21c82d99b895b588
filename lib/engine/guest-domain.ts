/** What a guest is told of its own domain's configuration. */
import type { DiskPlace } from '../guest/disk';
import type { DomainConfig } from '../hypervisor/image';
import { WINDOW_ADDRESS } from '../memory/grant-window';

/** The part of a GuestDomain that follows from the configuration; plain data. */
export function describeGuest(config: DomainConfig, disks: Readonly<Record<string, DiskPlace>> = {}) {
  const { id, name, abi, vcpus, maxPort, frames, grantMappings } = config;
  const grantWindow = { address: WINDOW_ADDRESS, pages: grantMappings };
  return { id, name, abi, vcpus, maxPort, frames, grantWindow, disks };
}
