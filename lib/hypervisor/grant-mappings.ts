/**
 * Mapping other domains' grants into one's window, and unmapping them: GNTTABOP_map_grant_ref, _unmap_grant_ref and
 * _unmap_and_replace, for one grant each; and what becomes of a dying domain's mappings.
 *
 * A mapping is a handle, which the domain knows; its record here, which says what it uses; a pin on the grant, see
 * `grant-entries.ts`; and a word of the window, see `memory/grant-window.ts`.
 *
 * Locks: maptrack_lock of the own domain, then, not nested, the lock of the grant's record. As in Xen the latter also serialises
 * the unmappings of a handle: whoever finds its flags set, under that lock, ends it.
 *
 * DIFFERS: the window has one place for each page, taken or free. A paravirtualised guest of Xen may map over what is mapped.
 * Device mappings count as such, but no device of the machine uses them.
 *
 * @source xen/common/grant_table.c (map_grant_ref, unmap_common, gnttab_release_mappings), xen/arch/x86/pv/grant_table.c
 */
import { GNTMAP, GNTST } from '../abi/grant';
import { inWindow, mappingWord, sameFrame, WINDOW_PAGE_BYTES, windowPage } from '../memory/grant-window';
import {
  endUses,
  GNTPIN,
  lockGrant,
  nrGrantEntries,
  pinGrant,
  pinnedFrame,
  unlockGrant,
  unpinGrant,
  unpinLocked,
} from './grant-entries';
import type { HvDomain, HvVcpu, Machine } from './machine';
import {
  GRANT_MAPPING_DOMID,
  GRANT_MAPPING_FLAGS,
  GRANT_MAPPING_NEXT,
  GRANT_MAPPING_REF,
  GRANT_TABLE_MAPTRACK_HEAD,
  GRANT_TABLE_MAPTRACK_LIMIT,
  GRANT_TABLE_MAPTRACK_LOCK,
} from './state-layout';

const { GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly, GNTMAP_application_map, GNTMAP_contains_pte } = GNTMAP;
const BOTH_MAPS = GNTMAP_device_map | GNTMAP_host_map;
/** Flags that an Arm domain cannot use: it has no page tables of its own, and nothing behind an IOMMU. */
const PV_ONLY = GNTMAP_device_map | GNTMAP_application_map | GNTMAP_contains_pte;
const NO_HANDLE = -1;

/** Machine addresses of a domain's frames begin at a multiple of this: no domain has as much memory. */
const MACHINE_ADDRESS_STRIDE = 2 ** 32;

/** The machine address of a domain's frame (dev_bus_addr); never 0. */
export function machineAddress(domain: HvDomain, frame: number): number {
  return (domain.index + 1) * MACHINE_ADDRESS_STRIDE + frame * WINDOW_PAGE_BYTES;
}

/** What GNTTABOP_map_grant_ref tells of a mapping. */
export class MappingResult {
  handle = 0;
  devBusAddr = 0;
}

export class GrantMappings {
  constructor(private readonly machine: Machine) {}

  /**
   * Maps a grant.
   * @param hostAddr - of the page of the window; any number
   * @param flags - GNTMAP_*
   * @param into - written on success
   * @returns GNTST_*
   */
  map(current: HvVcpu, hostAddr: number, flags: number, ref: number, dom: number, into: MappingResult): number {
    const { domain } = current;
    if ((flags & BOTH_MAPS) === 0) return GNTST.GNTST_bad_gntref;
    if (!domain.isX86 && (flags & PV_ONLY) !== 0) return GNTST.GNTST_general_error;
    const granter = this.machine.domainById(dom);
    if (granter === undefined) return GNTST.GNTST_bad_domain;
    const handle = takeHandle(domain);
    if (handle === NO_HANDLE) return GNTST.GNTST_no_device_space;
    const status = this.mapWith(handle, domain, hostAddr, flags, ref, granter, into);
    if (status !== GNTST.GNTST_okay) putHandle(domain, handle);
    return status;
  }

  private mapWith(
    handle: number,
    domain: HvDomain,
    hostAddr: number,
    flags: number,
    ref: number,
    granter: HvDomain,
    into: MappingResult,
  ): number {
    const readonly = (flags & GNTMAP_readonly) !== 0;
    const pin = pinOf(flags);
    const frame = pinGrant({ granter, ref, user: domain, readonly, mapping: true, pin });
    if (frame < 0) return frame;
    if ((flags & GNTMAP_host_map) !== 0 && !enterWindow(domain, hostAddr, flags, granter, frame)) {
      unpinGrant(granter, ref, pin, readonly);
      return GNTST.GNTST_general_error;
    }
    // Flags last: whoever sees them finds the rest. An atomic store, for the lock under which others read them is not held.
    const record = domain.mappingAddress(handle);
    domain.state.write32(record + GRANT_MAPPING_DOMID, granter.id);
    domain.state.write32(record + GRANT_MAPPING_REF, ref);
    domain.state.store32(record + GRANT_MAPPING_FLAGS, flags);
    into.handle = handle;
    into.devBusAddr = machineAddress(granter, frame);
    return GNTST.GNTST_okay;
  }

  /**
   * Ends a mapping, or the part of it that is named: the host's by its address, the device's by the machine address.
   * @param newAddr - of unmap_and_replace: where a guest of Xen has the page that is to take the place
   * @returns GNTST_*
   */
  unmap(current: HvVcpu, hostAddr: number, devBusAddr: number, handle: number, newAddr = 0): number {
    const { domain } = current;
    const limit = domain.state.load32(domain.grantTableAddress + GRANT_TABLE_MAPTRACK_LIMIT);
    if (!(handle >>> 0 === handle && handle < limit)) return GNTST.GNTST_bad_handle;
    const record = domain.mappingAddress(handle);
    if (domain.state.load32(record + GRANT_MAPPING_FLAGS) === 0) return GNTST.GNTST_bad_handle;
    // Racing with the end of this mapping, domain and reference may be those of the next one or a mixture: looked at again below.
    const granter = this.machine.domain(domain.state.load32(record + GRANT_MAPPING_DOMID));
    const ref = domain.state.load32(record + GRANT_MAPPING_REF);
    if (granter === undefined || ref >= nrGrantEntries(granter)) return GNTST.GNTST_bad_handle;
    lockGrant(granter, ref);
    const status = unmapLocked(domain, record, granter, ref, hostAddr, devBusAddr, newAddr);
    const ended = status === GNTST.GNTST_okay && domain.state.load32(record + GRANT_MAPPING_FLAGS) === 0;
    unlockGrant(granter, ref);
    if (ended) putHandle(domain, handle);
    return status;
  }

  /**
   * All uses that a domain makes of grants end: its mappings, and copies that a dead thread of it has left unfinished. Others'
   * mappings of its grants stay. What was done is not done again, so this can be repeated when it was given up.
   *
   * Precondition: the domain's vCPUs have stopped.
   */
  release(domain: HvDomain): void {
    clearWords(domain, domain.config.grantMappings, (page) => domain.windowPageAddress(page));
    const limit = domain.state.load32(domain.grantTableAddress + GRANT_TABLE_MAPTRACK_LIMIT);
    clearWords(domain, limit, (handle) => domain.mappingAddress(handle) + GRANT_MAPPING_FLAGS);
    for (const granter of this.machine.domains) endUses(granter, domain);
  }
}

function clearWords({ state }: HvDomain, count: number, addressOf: (number: number) => number): void {
  for (let number = 0; number < count; number++) {
    if (state.load32(addressOf(number)) !== 0) state.store32(addressOf(number), 0);
  }
}

/** What a mapping with these flags adds to the grant's pin. */
function pinOf(flags: number): number {
  const readonly = (flags & GNTMAP_readonly) !== 0;
  const device = readonly ? GNTPIN.devr_inc : GNTPIN.devw_inc;
  const host = readonly ? GNTPIN.hstr_inc : GNTPIN.hstw_inc;
  return ((flags & GNTMAP_device_map) !== 0 ? device : 0) + ((flags & GNTMAP_host_map) !== 0 ? host : 0);
}

/** Two vCPUs may map to the same page at a time: one of them has it. */
function enterWindow(domain: HvDomain, address: number, flags: number, granter: HvDomain, frame: number): boolean {
  if ((flags & GNTMAP_contains_pte) !== 0 || !isPage(domain, address)) return false;
  if (!domain.isX86 && (flags & ~GNTMAP_readonly) !== GNTMAP_host_map) return false;
  const word = mappingWord(granter.index, frame, (flags & GNTMAP_readonly) === 0);
  return domain.state.compareExchange32(domain.windowPageAddress(windowPage(address)), 0, word) === 0;
}

/** DIFFERS: Xen takes any address in the page for the page. */
function isPage(domain: HvDomain, address: number): boolean {
  return inWindow(address, WINDOW_PAGE_BYTES, domain.config.grantMappings) && address % WINDOW_PAGE_BYTES === 0;
}

function leaveWindow(domain: HvDomain, address: number, granter: HvDomain, frame: number): boolean {
  if (!isPage(domain, address)) return false;
  const word = domain.windowPageAddress(windowPage(address));
  const seen = domain.state.load32(word);
  if (!sameFrame(seen, mappingWord(granter.index, frame, true))) return false;
  return domain.state.compareExchange32(word, seen, 0) === seen;
}

/** Precondition: the lock of the grant's record held. */
function unmapLocked(
  domain: HvDomain,
  record: number,
  granter: HvDomain,
  ref: number,
  hostAddr: number,
  devBusAddr: number,
  newAddr: number,
): number {
  const { state } = domain;
  const flags = state.load32(record + GRANT_MAPPING_FLAGS);
  const sameGrant =
    state.load32(record + GRANT_MAPPING_DOMID) === granter.id && state.load32(record + GRANT_MAPPING_REF) === ref;
  if (flags === 0 || !sameGrant) return GNTST.GNTST_bad_handle;
  const frame = pinnedFrame(granter, ref);
  if (devBusAddr !== 0 && devBusAddr !== machineAddress(granter, frame)) return GNTST.GNTST_general_error;
  let done = 0;
  if (hostAddr !== 0 && (flags & GNTMAP_host_map) !== 0) {
    if (newAddr !== 0 || !leaveWindow(domain, hostAddr, granter, frame)) return GNTST.GNTST_general_error;
    done |= GNTMAP_host_map;
  }
  if (devBusAddr !== 0 && (flags & GNTMAP_device_map) !== 0) done |= GNTMAP_device_map;
  if (done === 0) return GNTST.GNTST_okay;
  const left = flags & ~done;
  state.store32(record + GRANT_MAPPING_FLAGS, (left & BOTH_MAPS) === 0 ? 0 : left);
  const readonly = flags & GNTMAP_readonly;
  unpinLocked(granter, ref, pinOf(done | readonly), readonly !== 0);
  return GNTST.GNTST_okay;
}

/** A handle that means nothing yet; {@link NO_HANDLE} if the domain has mapped all it may. */
function takeHandle(domain: HvDomain): number {
  const { state, grantTableAddress: table } = domain;
  state.writeLock(table + GRANT_TABLE_MAPTRACK_LOCK);
  let handle = state.read32(table + GRANT_TABLE_MAPTRACK_HEAD) - 1;
  if (handle >= 0) {
    state.write32(table + GRANT_TABLE_MAPTRACK_HEAD, state.read32(domain.mappingAddress(handle) + GRANT_MAPPING_NEXT));
  } else {
    const limit = state.read32(table + GRANT_TABLE_MAPTRACK_LIMIT);
    handle = limit < domain.config.grantMappings ? limit : NO_HANDLE;
    if (handle !== NO_HANDLE) state.store32(table + GRANT_TABLE_MAPTRACK_LIMIT, limit + 1);
  }
  state.writeUnlock(table + GRANT_TABLE_MAPTRACK_LOCK);
  return handle;
}

function putHandle(domain: HvDomain, handle: number): void {
  const { state, grantTableAddress: table } = domain;
  state.writeLock(table + GRANT_TABLE_MAPTRACK_LOCK);
  state.write32(domain.mappingAddress(handle) + GRANT_MAPPING_NEXT, state.read32(table + GRANT_TABLE_MAPTRACK_HEAD));
  state.write32(table + GRANT_TABLE_MAPTRACK_HEAD, handle + 1);
  state.writeUnlock(table + GRANT_TABLE_MAPTRACK_LOCK);
}
