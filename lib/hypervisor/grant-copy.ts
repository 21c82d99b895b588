/**
 * GNTTABOP_copy: bytes from one frame to another, each the caller's own or granted to it.
 *
 * DIFFERS: a grant that consecutive copies use is taken anew for each; Xen keeps it.
 *
 * @source xen/common/grant_table.c (gnttab_copy_one, gnttab_copy_claim_buf, gnttab_copy_buf)
 */
import { DOMID_SELF } from '../abi/domain-ids';
import { GNTCOPY, GNTST } from '../abi/grant';
import type { Memory } from '../memory/memory';
import { GNTPIN, isGrantable, pinGrant, unpinGrant } from './grant-entries';
import { PAGE_BYTES } from './image';
import type { HvDomain, HvVcpu, Machine } from './machine';

/** One end of a copy. */
export class CopyEnd {
  domid = 0;
  /** A reference where the flags say so, else a frame. */
  refOrFrame = 0;
  offset = 0;
}

/** gnttab_copy. */
export class CopyArguments {
  readonly source = new CopyEnd();
  readonly dest = new CopyEnd();
  len = 0;
  flags = 0;
}

export class GrantCopies {
  constructor(private readonly machine: Machine) {}

  /** @returns GNTST_* */
  copy(current: HvVcpu, args: CopyArguments): number {
    const { source, dest, flags } = args;
    const fromGrant = (flags & GNTCOPY.GNTCOPY_source_gref) !== 0;
    const toGrant = (flags & GNTCOPY.GNTCOPY_dest_gref) !== 0;
    // Only DOMID_SELF may name a frame.
    if (source.domid !== DOMID_SELF && !fromGrant) return GNTST.GNTST_permission_denied;
    const from = this.machine.domainByAnyId(current, source.domid);
    if (from === undefined) return GNTST.GNTST_bad_domain;
    if (dest.domid !== DOMID_SELF && !toGrant) return GNTST.GNTST_permission_denied;
    const to = this.machine.domainByAnyId(current, dest.domid);
    if (to === undefined) return GNTST.GNTST_bad_domain;
    const sourceFrame = claim(current, from, source.refOrFrame, fromGrant, true);
    if (sourceFrame < 0) return sourceFrame;
    const destFrame = claim(current, to, dest.refOrFrame, toGrant, false);
    const status = destFrame < 0 ? destFrame : copyBetween(args, from, sourceFrame, to, destFrame);
    if (toGrant && destFrame >= 0) unpinGrant(to, dest.refOrFrame, GNTPIN.hstw_inc, false);
    if (fromGrant) unpinGrant(from, source.refOrFrame, GNTPIN.hstr_inc, true);
    return status;
  }
}

/** The frame of an end, or a negative GNTST_*. */
function claim(current: HvVcpu, owner: HvDomain, refOrFrame: number, isGrant: boolean, readonly: boolean): number {
  if (isGrant) {
    const pin = readonly ? GNTPIN.hstr_inc : GNTPIN.hstw_inc;
    return pinGrant({ granter: owner, ref: refOrFrame, user: current.domain, readonly, mapping: false, pin });
  }
  if (!isGrantable(owner, refOrFrame)) return GNTST.GNTST_bad_page;
  return !readonly && owner.isReadOnly(refOrFrame) ? GNTST.GNTST_general_error : refOrFrame;
}

function copyBetween(
  args: CopyArguments,
  from: HvDomain,
  sourceFrame: number,
  to: HvDomain,
  destFrame: number,
): number {
  const { source, dest, len } = args;
  if (source.offset + len > PAGE_BYTES || dest.offset + len > PAGE_BYTES) return GNTST.GNTST_bad_copy_arg;
  const start = sourceFrame * PAGE_BYTES + source.offset;
  copyBytes(from.guest, start, to.guest, destFrame * PAGE_BYTES + dest.offset, len);
  return GNTST.GNTST_okay;
}

/** Words where both ends have them, bytes at the edges. */
function copyBytes(source: Memory, from: number, dest: Memory, to: number, length: number): void {
  let done = 0;
  if (((from ^ to) & 3) === 0) {
    for (; done < length && ((from + done) & 3) !== 0; done++) dest.write8(to + done, source.read8(from + done));
    for (; done + 4 <= length; done += 4) dest.write32(to + done, source.read32(from + done));
  }
  for (; done < length; done++) dest.write8(to + done, source.read8(from + done));
}
