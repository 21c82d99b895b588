/**
 * grant_table_op as a C guest calls it: an array of argument structures, each member read once, each result stored before
 * the next structure is read.
 *
 * The status of an operation is in its structure; the call itself fails for what concerns all of them, and with -EFAULT where
 * an element cannot be read, or its result not stored. What was done before that stays done.
 *
 * DIFFERS: only the results are copied back; Xen's map and query_size write the whole structure, with the arguments as it read them.
 *
 * @source xen/common/grant_table.c (do_grant_table_op)
 */
import { ABI_NAMES, type AbiName } from '../abi/abis';
import { Errno } from '../abi/errno';
import { GNTCOPY, GNTST, GNTTABOP } from '../abi/grant';
import { layoutOf, type StructName } from '../abi/layouts';
import { CopyArguments, type CopyEnd } from './grant-copy';
import { MappingResult } from './grant-mappings';
import { GNTTAB_VERSION, type GrantTables, TableSize } from './grant-table';
import { getUint16, getUint32, getUint64, putUint16, putUint32, putUint64 } from './guest-access';
import type { HvDomain, HvVcpu } from './machine';

const EFAULT = -Errno.EFAULT;
const EINVAL = -Errno.EINVAL;
const INT_MAX = 0x7fffffff;
/** Bits of the command that are one; those above are the hypervisor's own, for calls it continues. */
const CMD_MASK = 0xfff;

/** Offsets of some of a structure's members, and its size as `bytes`. */
function offsets<F extends string>(
  abi: AbiName,
  struct: StructName,
  ...names: F[]
): Readonly<Record<F | 'bytes', number>> {
  const { size, fields } = layoutOf(abi, struct);
  const found = names.map((name) => [name, fields[name]?.offset]);
  return { bytes: size, ...Object.fromEntries(found) };
}

function layoutsFor(abi: AbiName) {
  return Object.freeze({
    wideFrames: layoutOf(abi, 'gnttab_transfer').fields.mfn?.size === 8,
    wideHandles: layoutOf(abi, 'gnttab_setup_table').fields.frame_list?.size === 8,
    map: offsets(abi, 'gnttab_map_grant_ref', 'host_addr', 'flags', 'ref', 'dom', 'status', 'handle', 'dev_bus_addr'),
    unmap: offsets(abi, 'gnttab_unmap_grant_ref', 'host_addr', 'dev_bus_addr', 'handle', 'status'),
    replace: offsets(abi, 'gnttab_unmap_and_replace', 'host_addr', 'new_addr', 'handle', 'status'),
    setup: offsets(abi, 'gnttab_setup_table', 'dom', 'nr_frames', 'status', 'frame_list'),
    transfer: offsets(abi, 'gnttab_transfer', 'mfn', 'status'),
    copy: offsets(abi, 'gnttab_copy', 'source.u', 'dest.u', 'source.domid', 'dest.domid', 'len', 'flags', 'status'),
    size: offsets(abi, 'gnttab_query_size', 'dom', 'nr_frames', 'max_nr_frames', 'status'),
    version: offsets(abi, 'gnttab_get_version', 'dom', 'version'),
    statusFrames: offsets(abi, 'gnttab_get_status_frames', 'nr_frames', 'dom', 'status'),
    swap: offsets(abi, 'gnttab_swap_grant_ref', 'ref_a', 'ref_b', 'status'),
    flush: offsets(abi, 'gnttab_cache_flush', 'a', 'offset', 'length', 'op'),
  });
}

type GrantLayouts = ReturnType<typeof layoutsFor>;

const LAYOUTS = Object.fromEntries(ABI_NAMES.map((abi) => [abi, layoutsFor(abi)])) as Readonly<
  Record<AbiName, GrantLayouts>
>;

/** An operation on one element of the array: GNTST_*, or a negative errno that ends the call. */
interface Element {
  readonly bytes: number;
  /** Absent: the structure has none, and the result is the call's own. */
  readonly status?: number;
}

export class RawGrantOps {
  private readonly layouts: GrantLayouts;
  // Scratch of one call.
  private readonly $mapping = new MappingResult();
  private readonly $copy = new CopyArguments();
  private readonly $size = new TableSize();

  constructor(
    private readonly grants: GrantTables,
    private readonly current: HvVcpu,
    private readonly domain: HvDomain = current.domain,
  ) {
    this.layouts = LAYOUTS[domain.abi];
  }

  /**
   * @param command - GNTTABOP_*
   * @param arg - guest address of the structures
   * @param count - how many
   */
  call(command: number, arg: number, count: number): number {
    if (count > INT_MAX) return EINVAL;
    const operation = command & CMD_MASK;
    if (operation !== GNTTABOP.GNTTABOP_cache_flush && command !== operation) return EINVAL;
    switch (operation) {
      case GNTTABOP.GNTTABOP_setup_table:
        return count === 1 ? this.setupTable(arg) : EINVAL;
      case GNTTABOP.GNTTABOP_query_size:
        return count === 1 ? this.querySize(arg) : EINVAL;
      case GNTTABOP.GNTTABOP_get_status_frames:
        return count === 1 ? this.getStatusFrames(arg) : EINVAL;
      case GNTTABOP.GNTTABOP_set_version:
        return this.setVersion(arg);
      case GNTTABOP.GNTTABOP_get_version:
        return this.getVersion(arg);
      default:
        return this.batch(operation, arg, count);
    }
  }

  private batch(operation: number, arg: number, count: number): number {
    const element = this.elementOf(operation);
    if (element === undefined) return -Errno.ENOSYS;
    const { bytes, status } = element;
    for (let address = arg, left = count; left > 0; left--, address += bytes) {
      if (!this.domain.isReadable(address, bytes)) return EFAULT;
      const result = this.operate(operation, address);
      if (status === undefined) {
        if (result < 0) return result;
      } else {
        if (!this.domain.isWritable(address, bytes)) return EFAULT;
        putUint16(this.domain.guest, address + status, result);
        if (operation === GNTTABOP.GNTTABOP_map_grant_ref && result === GNTST.GNTST_okay) this.putMapping(address);
      }
    }
    return 0;
  }

  private elementOf(operation: number): Element | undefined {
    const { layouts } = this;
    switch (operation) {
      case GNTTABOP.GNTTABOP_map_grant_ref:
        return layouts.map;
      case GNTTABOP.GNTTABOP_unmap_grant_ref:
        return layouts.unmap;
      case GNTTABOP.GNTTABOP_unmap_and_replace:
        return layouts.replace;
      case GNTTABOP.GNTTABOP_transfer:
        return layouts.transfer;
      case GNTTABOP.GNTTABOP_copy:
        return layouts.copy;
      case GNTTABOP.GNTTABOP_swap_grant_ref:
        return layouts.swap;
      case GNTTABOP.GNTTABOP_cache_flush:
        return layouts.flush;
      default:
        return undefined;
    }
  }

  private operate(operation: number, at: number): number {
    switch (operation) {
      case GNTTABOP.GNTTABOP_map_grant_ref:
        return this.map(at);
      case GNTTABOP.GNTTABOP_unmap_grant_ref:
        return this.unmap(at);
      case GNTTABOP.GNTTABOP_unmap_and_replace:
        return this.unmapAndReplace(at);
      case GNTTABOP.GNTTABOP_transfer:
        return this.grants.transfer(this.current, this.frame(at + this.layouts.transfer.mfn));
      case GNTTABOP.GNTTABOP_copy:
        return this.copy(at);
      case GNTTABOP.GNTTABOP_swap_grant_ref:
        return this.grants.swapGrantRef(
          this.current,
          this.u32(at + this.layouts.swap.ref_a),
          this.u32(at + this.layouts.swap.ref_b),
        );
      default:
        return this.cacheFlush(at);
    }
  }

  private map(at: number): number {
    const { map } = this.layouts;
    const hostAddr = this.u64(at + map.host_addr);
    const flags = this.u32(at + map.flags);
    const ref = this.u32(at + map.ref);
    return this.grants.mappings.map(this.current, hostAddr, flags, ref, this.u16(at + map.dom), this.$mapping);
  }

  private putMapping(at: number): void {
    const { map } = this.layouts;
    putUint32(this.domain.guest, at + map.handle, this.$mapping.handle);
    putUint64(this.domain.guest, at + map.dev_bus_addr, this.$mapping.devBusAddr);
  }

  private unmap(at: number): number {
    const { unmap } = this.layouts;
    const hostAddr = this.u64(at + unmap.host_addr);
    const devBusAddr = this.u64(at + unmap.dev_bus_addr);
    return this.grants.mappings.unmap(this.current, hostAddr, devBusAddr, this.u32(at + unmap.handle));
  }

  private unmapAndReplace(at: number): number {
    const { replace } = this.layouts;
    const hostAddr = this.u64(at + replace.host_addr);
    const newAddr = this.u64(at + replace.new_addr);
    return this.grants.mappings.unmap(this.current, hostAddr, 0, this.u32(at + replace.handle), newAddr);
  }

  private copy(at: number): number {
    const { copy } = this.layouts;
    const { $copy } = this;
    $copy.flags = this.u16(at + copy.flags);
    $copy.len = this.u16(at + copy.len);
    const fromGrant = ($copy.flags & GNTCOPY.GNTCOPY_source_gref) !== 0;
    const toGrant = ($copy.flags & GNTCOPY.GNTCOPY_dest_gref) !== 0;
    this.readEnd($copy.source, at + copy['source.u'], at + copy['source.domid'], fromGrant);
    this.readEnd($copy.dest, at + copy['dest.u'], at + copy['dest.domid'], toGrant);
    return this.grants.copies.copy(this.current, $copy);
  }

  /** The offset follows the domain. */
  private readEnd(end: CopyEnd, at: number, domidAt: number, isGrant: boolean): void {
    end.refOrFrame = isGrant ? this.u32(at) : this.frame(at);
    end.domid = this.u16(domidAt);
    end.offset = this.u16(domidAt + 2);
  }

  private cacheFlush(at: number): number {
    const { flush } = this.layouts;
    const offset = this.u16(at + flush.offset);
    const length = this.u16(at + flush.length);
    return this.grants.cacheFlush(this.current, this.u64(at + flush.a), offset, length, this.u32(at + flush.op));
  }

  private setupTable(at: number): number {
    const { setup, wideHandles } = this.layouts;
    if (!this.domain.isReadable(at, setup.bytes)) return EFAULT;
    const dom = this.u16(at + setup.dom);
    const nrFrames = this.u32(at + setup.nr_frames);
    const list = wideHandles ? this.u64(at + setup.frame_list) : this.u32(at + setup.frame_list);
    let status = this.grants.setupTable(this.current, dom, nrFrames);
    if (status === GNTST.GNTST_okay) status = this.putFrames(list, this.grants.firstFrame(this.current, dom), nrFrames);
    return this.putStatus(at + setup.status, status);
  }

  private putFrames(list: number, first: number, count: number): number {
    const { wideFrames } = this.layouts;
    const bytes = wideFrames ? 8 : 4;
    let status: number = GNTST.GNTST_okay;
    for (let i = 0; i < count; i++) {
      const at = list + i * bytes;
      if (!this.domain.isWritable(at, bytes)) status = GNTST.GNTST_bad_virt_addr;
      else if (wideFrames) putUint64(this.domain.guest, at, first + i);
      else putUint32(this.domain.guest, at, first + i);
    }
    return status;
  }

  private querySize(at: number): number {
    const { size } = this.layouts;
    if (!this.domain.isReadable(at, size.bytes)) return EFAULT;
    const status = this.grants.querySize(this.current, this.u16(at + size.dom), this.$size);
    if (!this.domain.isWritable(at, size.bytes)) return EFAULT;
    if (status === GNTST.GNTST_okay) {
      putUint32(this.domain.guest, at + size.nr_frames, this.$size.nrFrames);
      putUint32(this.domain.guest, at + size.max_nr_frames, this.$size.maxNrFrames);
    }
    return this.putStatus(at + size.status, status);
  }

  private getStatusFrames(at: number): number {
    const { statusFrames } = this.layouts;
    if (!this.domain.isReadable(at, statusFrames.bytes)) return EFAULT;
    const nrFrames = this.u32(at + statusFrames.nr_frames);
    const status = this.grants.getStatusFrames(this.current, this.u16(at + statusFrames.dom), nrFrames);
    return this.putStatus(at + statusFrames.status, status);
  }

  /** gnttab_set_version: version 0, in and out. */
  private setVersion(at: number): number {
    if (!this.domain.isReadable(at, 4)) return EFAULT;
    const result = this.grants.setVersion(this.u32(at));
    if (!this.domain.isWritable(at, 4)) return EFAULT;
    putUint32(this.domain.guest, at, GNTTAB_VERSION);
    return result;
  }

  private getVersion(at: number): number {
    const { version } = this.layouts;
    if (!this.domain.isReadable(at, version.bytes)) return EFAULT;
    const result = this.grants.getVersion(this.current, this.u16(at + version.dom));
    if (result < 0) return result;
    if (!this.domain.isWritable(at + version.version, 4)) return EFAULT;
    putUint32(this.domain.guest, at + version.version, result);
    return 0;
  }

  private putStatus(at: number, status: number): number {
    if (!this.domain.isWritable(at, 2)) return EFAULT;
    putUint16(this.domain.guest, at, status);
    return 0;
  }

  private frame(at: number): number {
    return this.layouts.wideFrames ? this.u64(at) : this.u32(at);
  }

  private u16(at: number): number {
    return getUint16(this.domain.guest, at);
  }

  private u32(at: number): number {
    return getUint32(this.domain.guest, at);
  }

  private u64(at: number): number {
    return getUint64(this.domain.guest, at);
  }
}
