/** What a guest is told of its own domain's configuration. */
import type { DiskPlace } from '../guest/disk';
import type { DomainConfig } from '../hypervisor/image';
import { WINDOW_ADDRESS } from '../memory/grant-window';
import type { WordLayout } from './words';

/** The part of a GuestDomain that follows from the configuration and the place of its named words; plain data. */
export function describeGuest(
  config: DomainConfig,
  { startAddress }: Pick<WordLayout, 'startAddress'>,
  disks: Readonly<Record<string, DiskPlace>> = {},
) {
  const { id, name, abi, vcpus, maxPort, frames, grantMappings } = config;
  const grantWindow = { address: WINDOW_ADDRESS, pages: grantMappings };
  return { id, name, abi, vcpus, maxPort, frames, grantWindow, disks, wordsAddress: startAddress };
}
