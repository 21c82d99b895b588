/**
 * Grants in use: which entries of a domain's table others use, how often, and the GTF_reading and GTF_writing bits by which
 * the granter sees it.
 *
 * A record's pin is four counts of a byte, of host and device mappings, writable and read-only. The entry itself belongs to
 * the guest, who may change it at any time; what was looked up is kept in the record while the pin is not 0.
 *
 * Order: the bits are set by a compare-exchange of the very word whose flags and domain were checked, and before the frame is
 * read. So either the granter's own compare-exchange, by which it takes the grant back, comes first and the check fails, or it
 * comes later and finds the bits. They are cleared when the last use is over, after the mapping is gone.
 *
 * @source xen/common/grant_table.c (_set_status_v1, map_grant_ref, acquire_grant_for_copy, unmap_common_complete)
 */
import { GNTST, GTF } from '../abi/grant';
import { GRANTS_PER_FRAME } from './image';
import type { HvDomain } from './machine';
import {
  ACTIVE_GRANT_DOMID,
  ACTIVE_GRANT_FRAME,
  ACTIVE_GRANT_LOCK,
  ACTIVE_GRANT_PIN,
  DOMAIN_ALIVE,
  GRANT_TABLE_NR_GRANT_FRAMES,
} from './state-layout';

/** What one use adds to a pin. */
export const GNTPIN = { hstw_inc: 1, hstr_inc: 1 << 8, devw_inc: 1 << 16, devr_inc: 1 << 24 } as const;
/** The counts of writable uses. */
const PIN_WRITES = 0x00ff00ff;
/** A count that has come this far may not grow. */
const PIN_FULL = 0x80808080 | 0;
/** The compare-exchange is tried so often; a guest that changes the word faster is not waited for. */
const STATUS_RETRIES = 4;

const FRAME_OFFSET = 4;

/** A use of a grant. */
export interface GrantUse {
  readonly granter: HvDomain;
  readonly ref: number;
  /** Who uses it. */
  readonly user: HvDomain;
  readonly readonly: boolean;
  /** A mapping, and not a copy. */
  readonly mapping: boolean;
  /** Sum of GNTPIN increments. */
  readonly pin: number;
}

/** Entries the domain's grant table has. */
export function nrGrantEntries(domain: HvDomain): number {
  return domain.state.load32(domain.grantTableAddress + GRANT_TABLE_NR_GRANT_FRAMES) * GRANTS_PER_FRAME;
}

/** True for a frame that a domain may grant: of its memory or its grant table. Frame 0 holds no memory. Takes anything. */
export function isGrantable(domain: HvDomain, frame: number): boolean {
  if (!Number.isInteger(frame) || frame < 1 || domain.status() !== DOMAIN_ALIVE) return false;
  const { frames } = domain.config;
  return frame < frames || frame < frames + nrGrantEntries(domain) / GRANTS_PER_FRAME;
}

/**
 * Begins a use.
 * @returns the frame, or a negative GNTST_*
 */
export function pinGrant(use: GrantUse): number {
  const { granter, ref } = use;
  if (!(ref >>> 0 === ref && ref < nrGrantEntries(granter))) return GNTST.GNTST_bad_gntref;
  lockGrant(granter, ref);
  const result = pinLocked(use, granter.activeGrantAddress(ref));
  unlockGrant(granter, ref);
  return result;
}

function pinLocked(use: GrantUse, active: number): number {
  const { granter, user, readonly } = use;
  const { state } = granter;
  const pin = state.read32(active + ACTIVE_GRANT_PIN);
  if (pin !== 0 && (state.read32(active + ACTIVE_GRANT_DOMID) !== user.id || (pin & PIN_FULL) !== 0)) {
    return GNTST.GNTST_general_error;
  }
  if (pin === 0 || (!readonly && (pin & PIN_WRITES) === 0)) {
    const status = setStatus(use, pin);
    if (status !== GNTST.GNTST_okay) return status;
    if (pin === 0) {
      const frame = granter.guest.read32(granter.grantEntryAddress(use.ref) + FRAME_OFFSET) >>> 0;
      if (!isGrantable(granter, frame)) return giveUp(use, pin, GNTST.GNTST_bad_page);
      state.write32(active + ACTIVE_GRANT_DOMID, user.id);
      state.write32(active + ACTIVE_GRANT_FRAME, frame);
    }
  } else if (!use.mapping && granter.status() !== DOMAIN_ALIVE) {
    return GNTST.GNTST_bad_domain;
  }
  const frame = state.read32(active + ACTIVE_GRANT_FRAME);
  if (!readonly && granter.isReadOnly(frame)) return giveUp(use, pin, GNTST.GNTST_general_error);
  state.write32(active + ACTIVE_GRANT_PIN, pin + use.pin);
  return frame;
}

function giveUp(use: GrantUse, pin: number, status: number): number {
  clearFlags(use.granter, use.ref, pin, use.readonly);
  return status;
}

/** Checks the entry and marks it used. A grant that is used already was checked when that began. */
function setStatus({ granter, ref, user, readonly, mapping }: GrantUse, pin: number): number {
  const { guest } = granter;
  const entry = granter.grantEntryAddress(ref);
  const mask = GTF.GTF_type_mask | (mapping ? GTF.GTF_sub_page : 0);
  let seen = guest.read32(entry);
  for (let retries = 0; ; retries++) {
    const isGrant = (seen & mask) === GTF.GTF_permit_access && seen >>> 16 === user.id;
    if (pin === 0 && !isGrant) return GNTST.GNTST_general_error;
    if (!readonly && (seen & GTF.GTF_readonly) !== 0) return GNTST.GNTST_general_error;
    const marked = seen | GTF.GTF_reading | (readonly ? 0 : GTF.GTF_writing);
    const found = guest.compareExchange32(entry, seen, marked);
    if (found === seen) return GNTST.GNTST_okay;
    if (retries === STATUS_RETRIES) return GNTST.GNTST_general_error;
    seen = found;
  }
}

/**
 * Ends a use, or several.
 * @param pin - sum of the increments to take back
 */
export function unpinGrant(granter: HvDomain, ref: number, pin: number, readonly: boolean): void {
  lockGrant(granter, ref);
  unpinLocked(granter, ref, pin, readonly);
  unlockGrant(granter, ref);
}

/** As {@link unpinGrant}, the record's lock held. */
export function unpinLocked(granter: HvDomain, ref: number, pin: number, readonly: boolean): void {
  const active = granter.activeGrantAddress(ref);
  const left = granter.state.read32(active + ACTIVE_GRANT_PIN) - pin;
  granter.state.write32(active + ACTIVE_GRANT_PIN, left);
  clearFlags(granter, ref, left, readonly);
}

/**
 * Ends all uses by one domain of another's grants, or of its own. As a grant in use has one user, whose the whole pin is, none
 * of the counts has to be known: also uses that the user's thread began, or ended, and died before that was written down.
 *
 * Precondition: the user's vCPUs have stopped, so that it begins no further use. What is looked at without the lock only tells
 * which locks to take: a pin of the user's is there already and stays.
 */
export function endUses(granter: HvDomain, user: HvDomain): void {
  const entries = nrGrantEntries(granter);
  for (let ref = 0; ref < entries; ref++) {
    if (!isUsedBy(granter, ref, user)) continue;
    lockGrant(granter, ref);
    if (isUsedBy(granter, ref, user)) {
      granter.state.store32(granter.activeGrantAddress(ref) + ACTIVE_GRANT_PIN, 0);
      settleFlags(granter, ref);
    }
    unlockGrant(granter, ref);
  }
}

function isUsedBy(granter: HvDomain, ref: number, user: HvDomain): boolean {
  const active = granter.activeGrantAddress(ref);
  const { state } = granter;
  return state.load32(active + ACTIVE_GRANT_PIN) !== 0 && state.load32(active + ACTIVE_GRANT_DOMID) === user.id;
}

/** Takes back the bits that the pin does not stand for. Precondition: the record's lock held, if by a thread that is no more. */
export function settleFlags(granter: HvDomain, ref: number): void {
  clearFlags(granter, ref, granter.state.load32(granter.activeGrantAddress(ref) + ACTIVE_GRANT_PIN), false);
}

/** Takes back the bits that no use stands behind any more. */
function clearFlags(granter: HvDomain, ref: number, pin: number, readonly: boolean): void {
  const writing = !readonly && (pin & PIN_WRITES) === 0 ? GTF.GTF_writing : 0;
  const flags = writing | (pin === 0 ? GTF.GTF_reading : 0);
  if (flags !== 0) granter.guest.and32(granter.grantEntryAddress(ref), ~flags);
}

/** Holds the record of a grant. @param ref - of an entry there is */
export function lockGrant(granter: HvDomain, ref: number): void {
  granter.state.writeLock(granter.activeGrantAddress(ref) + ACTIVE_GRANT_LOCK);
}

export function unlockGrant(granter: HvDomain, ref: number): void {
  granter.state.writeUnlock(granter.activeGrantAddress(ref) + ACTIVE_GRANT_LOCK);
}

/** Precondition: the record's lock held. */
export function isPinned(granter: HvDomain, ref: number): boolean {
  return granter.state.read32(granter.activeGrantAddress(ref) + ACTIVE_GRANT_PIN) !== 0;
}

/** The frame a grant in use stands for. Precondition: the record's lock held. */
export function pinnedFrame(granter: HvDomain, ref: number): number {
  return granter.state.read32(granter.activeGrantAddress(ref) + ACTIVE_GRANT_FRAME);
}
