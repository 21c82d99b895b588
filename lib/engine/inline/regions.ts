/** The machine's buffers in the one address space of the deterministic engines. */
import type { Region } from '../../hypervisor/hypervisor';
import type { MachineImage } from '../../hypervisor/image';
import { mappedAddress, mappedDomainIndex } from '../../memory/grant-window';
import { ENGINE_BYTES } from './ops';

/** Where a region of the machine begins in the engine's address space. */
export interface RegionPlace {
  readonly region: Region;
  readonly base: number;
  readonly bytes: number;
  readonly buffer: SharedArrayBuffer;
}

/** Places for the buffers of a machine in one address space: one after the other, each on a boundary of 64 bytes. */
export function layOutRegions(image: MachineImage): RegionPlace[] {
  const places: RegionPlace[] = [];
  let base = 0;
  const place = (region: Region, buffer: SharedArrayBuffer): void => {
    const bytes = buffer.byteLength;
    places.push({ region, base, bytes, buffer });
    base += (bytes + 63) & ~63;
  };
  for (const { config, guest, private: state } of image.domains) {
    place({ kind: 'guest', domainId: config.id }, guest);
    place({ kind: 'private', domainId: config.id }, state);
  }
  place({ kind: 'global' }, image.global);
  return places;
}

/** Where the domains' memories begin in that address space, by their positions in the machine. */
export function guestBases(places: readonly RegionPlace[]): number[] {
  return places.filter(({ region }) => region.kind === 'guest').map(({ base }) => ENGINE_BYTES + base);
}

/** Where in that address space an address of a window leads. @param word - of its page */
export function mappedPlace(bases: readonly number[], word: number, address: number): number {
  return (bases[mappedDomainIndex(word)] as number) + mappedAddress(word, address);
}
