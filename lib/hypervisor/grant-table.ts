/**
 * grant_table_op, version 1 of the ABI: what the operations are, beneath their raw and their typed form. Mapping and copying
 * have files of their own.
 *
 * It answers as a Xen that was started with `gnttab=max-ver:1`: GNTTABOP_set_version refuses version 2, no table has status
 * frames. GNTTABOP_dump_table is left out of Xen by now and gives -ENOSYS.
 *
 * GNTTABOP_transfer is always refused, as by a Xen whose domains are translated: a domain's frames are its own for good.
 *
 * DIFFERS: the table's frames lie behind the domain's memory on Arm too, where a guest of Xen places them itself.
 *
 * @source xen/common/grant_table.c
 */
import { Errno } from '../abi/errno';
import { GNTST, GNTTAB_CACHE, GTF } from '../abi/grant';
import { GrantCopies } from './grant-copy';
import { isGrantable, isPinned, lockGrant, nrGrantEntries, pinnedFrame, unlockGrant } from './grant-entries';
import { GrantMappings, machineAddress } from './grant-mappings';
import { GRANT_ENTRY_BYTES, GRANTS_PER_FRAME, PAGE_BYTES } from './image';
import { type HvDomain, type HvVcpu, type Machine, mayControl } from './machine';
import { ACTIVE_GRANT_DOMID, GRANT_TABLE_LOCK, GRANT_TABLE_NR_GRANT_FRAMES } from './state-layout';

/** The one version of the tables there is. */
export const GNTTAB_VERSION = 1;

/** What GNTTABOP_query_size tells. */
export class TableSize {
  nrFrames = 0;
  maxNrFrames = 0;
}

export class GrantTables {
  readonly mappings: GrantMappings;
  readonly copies: GrantCopies;

  constructor(private readonly machine: Machine) {
    this.mappings = new GrantMappings(machine);
    this.copies = new GrantCopies(machine);
  }

  /**
   * GNTTABOP_setup_table: sees to it that the table has so many frames. They are consecutive, see {@link firstFrame}.
   * @returns GNTST_*
   */
  setupTable(current: HvVcpu, dom: number, nrFrames: number): number {
    const domain = this.machine.domainByAnyId(current, dom);
    if (domain === undefined) return GNTST.GNTST_bad_domain;
    if (!mayControl(current, domain)) return GNTST.GNTST_permission_denied;
    if (!(nrFrames <= domain.config.grantFrames)) return GNTST.GNTST_general_error;
    const { state, grantTableAddress: table } = domain;
    state.writeLock(table + GRANT_TABLE_LOCK);
    if (nrFrames > state.read32(table + GRANT_TABLE_NR_GRANT_FRAMES)) {
      state.store32(table + GRANT_TABLE_NR_GRANT_FRAMES, nrFrames);
    }
    state.writeUnlock(table + GRANT_TABLE_LOCK);
    return GNTST.GNTST_okay;
  }

  /** The first frame of the table of a domain that exists. */
  firstFrame(current: HvVcpu, dom: number): number {
    return this.machine.domainByAnyId(current, dom)?.config.frames ?? 0;
  }

  /** GNTTABOP_query_size. @returns GNTST_* */
  querySize(current: HvVcpu, dom: number, into: TableSize): number {
    const domain = this.machine.domainByAnyId(current, dom);
    if (domain === undefined) return GNTST.GNTST_bad_domain;
    if (!mayControl(current, domain)) return GNTST.GNTST_permission_denied;
    into.nrFrames = nrGrantEntries(domain) / GRANTS_PER_FRAME;
    into.maxNrFrames = domain.config.grantFrames;
    return GNTST.GNTST_okay;
  }

  /** GNTTABOP_transfer. @returns GNTST_bad_page for what is no frame of the caller's, else GNTST_general_error */
  transfer(current: HvVcpu, frame: number): number {
    return isGrantable(current.domain, frame) ? GNTST.GNTST_general_error : GNTST.GNTST_bad_page;
  }

  /** GNTTABOP_set_version. @returns 0, -EINVAL for what is no version, -ENOSYS */
  setVersion(version: number): number {
    if (version !== 1 && version !== 2) return -Errno.EINVAL;
    return version === GNTTAB_VERSION ? 0 : -Errno.ENOSYS;
  }

  /** GNTTABOP_get_version. @returns the version, -ESRCH, -EPERM */
  getVersion(current: HvVcpu, dom: number): number {
    const domain = this.machine.domainByAnyId(current, dom);
    if (domain === undefined) return -Errno.ESRCH;
    return mayControl(current, domain) ? GNTTAB_VERSION : -Errno.EPERM;
  }

  /** GNTTABOP_get_status_frames: there are none. @returns GNTST_* */
  getStatusFrames(current: HvVcpu, dom: number, nrFrames: number): number {
    const domain = this.machine.domainByAnyId(current, dom);
    if (domain === undefined) return GNTST.GNTST_bad_domain;
    if (!mayControl(current, domain)) return GNTST.GNTST_permission_denied;
    return nrFrames > 0 ? GNTST.GNTST_general_error : GNTST.GNTST_okay;
  }

  /**
   * GNTTABOP_swap_grant_ref: two entries of the own table change places. Locks of the records in the order of their numbers.
   * @returns GNTST_*
   */
  swapGrantRef(current: HvVcpu, refA: number, refB: number): number {
    const { domain } = current;
    const entries = nrGrantEntries(domain);
    if (!(refA < entries && refB < entries)) return GNTST.GNTST_bad_gntref;
    if (refA === refB) return GNTST.GNTST_okay;
    const [low, high] = refA < refB ? [refA, refB] : [refB, refA];
    lockGrant(domain, low);
    lockGrant(domain, high);
    const busy = isPinned(domain, low) || isPinned(domain, high);
    if (!busy) swapEntries(domain, low, high);
    unlockGrant(domain, high);
    unlockGrant(domain, low);
    return busy ? GNTST.GNTST_eagain : GNTST.GNTST_okay;
  }

  /**
   * GNTTABOP_cache_flush. The host's caches are coherent: once the arguments are right there is nothing to do.
   * @returns 0, -EINVAL, -EOPNOTSUPP (on x86 always, as nothing there maps memory uncached)
   */
  cacheFlush(current: HvVcpu, devBusAddr: number, offset: number, length: number, op: number): number {
    const known = GNTTAB_CACHE.GNTTAB_CACHE_CLEAN | GNTTAB_CACHE.GNTTAB_CACHE_INVAL;
    if (offset >= PAGE_BYTES || offset + length > PAGE_BYTES || (op & ~known) !== 0) return -Errno.EINVAL;
    if (length === 0 || op === 0) return 0;
    const owner = this.machine.domains.find((domain) => ownsAddress(domain, devBusAddr));
    if (owner === undefined) return -Errno.EINVAL;
    const frame = Math.floor((devBusAddr - machineAddress(owner, 0)) / PAGE_BYTES);
    if (owner !== current.domain && !hasMapped(owner, frame, current.domain)) return -Errno.EINVAL;
    return current.domain.isX86 ? -Errno.EOPNOTSUPP : 0;
  }

  /** A domain will not run again, its vCPUs have stopped: what it uses of others is given back. Others keep what they have mapped of it. */
  release(domain: HvDomain): void {
    this.mappings.release(domain);
  }
}

/** Both entries grant nothing while their frames change places: a thread that dies on the way grants no frame to the wrong domain. */
function swapEntries(domain: HvDomain, low: number, high: number): void {
  const { guest } = domain;
  const [a, b] = [domain.grantEntryAddress(low), domain.grantEntryAddress(high)];
  const [flagsA, flagsB] = [guest.read32(a), guest.read32(b)];
  guest.write32(a, GTF.GTF_invalid);
  guest.write32(b, GTF.GTF_invalid);
  for (let offset = 4; offset < GRANT_ENTRY_BYTES; offset += 4) {
    const word = guest.read32(a + offset);
    guest.write32(a + offset, guest.read32(b + offset));
    guest.write32(b + offset, word);
  }
  guest.write32(a, flagsB);
  guest.write32(b, flagsA);
}

function ownsAddress(domain: HvDomain, devBusAddr: number): boolean {
  const inDomain = devBusAddr - machineAddress(domain, 0);
  return inDomain >= 0 && inDomain < domain.guest.byteLength;
}

/** Whether the user has a mapping of that frame of the owner's. */
function hasMapped(owner: HvDomain, frame: number, user: HvDomain): boolean {
  for (let ref = 0; ref < nrGrantEntries(owner); ref++) {
    lockGrant(owner, ref);
    const userId = owner.state.read32(owner.activeGrantAddress(ref) + ACTIVE_GRANT_DOMID);
    const found = isPinned(owner, ref) && userId === user.id && pinnedFrame(owner, ref) === frame;
    unlockGrant(owner, ref);
    if (found) return true;
  }
  return false;
}
