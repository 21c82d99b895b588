/**
 * What a domain grants that is in use, and what it has mapped of others' grants. Tables and records are the hypervisor's, but
 * for the entries themselves, which the guest may have changed since.
 */
import { GNTMAP } from '../../abi/grant';
import { GRANTS_PER_FRAME } from '../../hypervisor/image';
import {
  ACTIVE_GRANT_DOMID,
  ACTIVE_GRANT_FRAME,
  ACTIVE_GRANT_PIN,
  GRANT_MAPPING_DOMID,
  GRANT_MAPPING_FLAGS,
  GRANT_MAPPING_REF,
  GRANT_TABLE_MAPTRACK_LIMIT,
} from '../../hypervisor/state-layout';
import { mappingAllows, mappingWord, sameFrame, WINDOW_ADDRESS, WINDOW_PAGE_BYTES } from '../../memory/grant-window';
import type { Onlooker } from './onlooker';
import type { ActiveGrantSnapshot, GrantsSnapshot, MappingSnapshot } from './schema';

/** So many of each are told. */
const MOST_GRANTS = 1024;

/** Another domain of the machine, by its number. */
export type Others = (id: number) => Onlooker | undefined;

/** Undefined for a domain none of whose grants is in use, and who uses none. */
export function snapshotGrants(look: Onlooker, others: Others): GrantsSnapshot | undefined {
  const { config, grantTableAddress: table } = look.domain;
  const active = activeGrants(look);
  const mappings = mappingsOf(look, others);
  if (active.length === 0 && mappings.length === 0) return undefined;
  return {
    frames: look.grantFrames,
    maxFrames: config.grantFrames,
    maptrack: Math.min(look.state(table + GRANT_TABLE_MAPTRACK_LIMIT), config.grantMappings),
    maxMaptrack: config.grantMappings,
    active: active.slice(0, MOST_GRANTS),
    mappings: mappings.slice(0, MOST_GRANTS),
    omitted: Math.max(0, active.length - MOST_GRANTS) + Math.max(0, mappings.length - MOST_GRANTS),
  };
}

function activeGrants(look: Onlooker): ActiveGrantSnapshot[] {
  const { domain } = look;
  const found: ActiveGrantSnapshot[] = [];
  const entries = look.grantFrames * GRANTS_PER_FRAME;
  for (let ref = 0; ref < entries; ref++) {
    const record = domain.activeGrantAddress(ref);
    const pin = look.state(record + ACTIVE_GRANT_PIN);
    if (pin === 0) continue;
    const word = look.guest(domain.grantEntryAddress(ref));
    found.push({
      ref,
      domain: look.state(record + ACTIVE_GRANT_DOMID),
      frame: look.state(record + ACTIVE_GRANT_FRAME),
      pin,
      entry: { domain: word >>> 16, frame: look.guest(domain.grantEntryAddress(ref) + 4), flags: word & 0xffff },
    });
  }
  return found;
}

function mappingsOf(look: Onlooker, others: Others): MappingSnapshot[] {
  const { config, grantTableAddress } = look.domain;
  const limit = Math.min(look.state(grantTableAddress + GRANT_TABLE_MAPTRACK_LIMIT), config.grantMappings);
  const found: MappingSnapshot[] = [];
  const taken = new Set<number>();
  for (let handle = 0; handle < limit; handle++) {
    const record = look.domain.mappingAddress(handle);
    const flags = look.state(record + GRANT_MAPPING_FLAGS);
    if (flags === 0) continue;
    const domain = look.state(record + GRANT_MAPPING_DOMID);
    const ref = look.state(record + GRANT_MAPPING_REF);
    const readonly = (flags & GNTMAP.GNTMAP_readonly) !== 0;
    const page = (flags & GNTMAP.GNTMAP_host_map) === 0 ? -1 : pageOf(look, others(domain), ref, readonly, taken);
    taken.add(page);
    const address = page < 0 ? {} : { address: WINDOW_ADDRESS + page * WINDOW_PAGE_BYTES };
    found.push({ handle, domain, ref, flags, readonly, ...address });
  }
  return found;
}

/**
 * The page of the window in which a grant is mapped; -1: none. A mapping's record does not say: it is the first page with that
 * frame, and that permission, that no other mapping was told to have.
 */
function pageOf(
  look: Onlooker,
  granter: Onlooker | undefined,
  ref: number,
  readonly: boolean,
  taken: ReadonlySet<number>,
): number {
  if (granter === undefined || ref >= granter.grantFrames * GRANTS_PER_FRAME) return -1;
  const frame = granter.state(granter.domain.activeGrantAddress(ref) + ACTIVE_GRANT_FRAME);
  const wanted = mappingWord(granter.domain.index, frame, true);
  for (let page = 0; page < look.domain.config.grantMappings; page++) {
    const word = look.state(look.domain.windowPageAddress(page));
    if (word === 0 || taken.has(page)) continue;
    if (sameFrame(word, wanted) && mappingAllows(word, true) !== readonly) return page;
  }
  return -1;
}
