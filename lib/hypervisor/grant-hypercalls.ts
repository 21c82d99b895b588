/**
 * GNTTABOP_* in their typed form: one operation a call. A negative errno of the call throws HypercallError, a status other than
 * GNTST_okay GrantError.
 */
import { HypercallError } from '../abi/errno';
import { GNTCOPY, GrantError } from '../abi/grant';
import { toDomid, toNumber, toUint32 } from './arguments';
import { CopyArguments, type CopyEnd } from './grant-copy';
import { MappingResult } from './grant-mappings';
import { TableSize } from './grant-table';
import type { HypercallGate } from './hypercalls';
import type { Hypervisor } from './hypervisor';
import type { HvVcpu } from './machine';

/** An end of a copy as the guest gives it: a grant of the domain's, or a frame of its own. */
export interface GivenEnd {
  readonly domid: number;
  readonly ref?: number;
  readonly gmfn?: number;
  readonly offset?: number;
}

/** Written once for each call, so that nothing is kept between calls. */
function readEnd(into: CopyEnd, given: GivenEnd): boolean {
  const { domid, ref, gmfn, offset }: Partial<GivenEnd> = given ?? {};
  const isGrant = ref !== undefined;
  into.domid = toDomid(domid as number);
  into.refOrFrame = isGrant ? toUint32(ref) : toNumber(gmfn as number);
  into.offset = toUint32(offset ?? 0);
  return isGrant;
}

function readCopy(source: GivenEnd, dest: GivenEnd, len: number): CopyArguments {
  const args = new CopyArguments();
  const fromGrant = readEnd(args.source, source) ? GNTCOPY.GNTCOPY_source_gref : 0;
  const toGrant = readEnd(args.dest, dest) ? GNTCOPY.GNTCOPY_dest_gref : 0;
  args.flags = fromGrant | toGrant;
  args.len = toUint32(len);
  return args;
}

export function grantHypercalls({ grants }: Hypervisor, current: HvVcpu, gate: HypercallGate) {
  /** Leaves the hypercall. */
  const leave = (name: string, status: number): void => {
    gate.exit();
    if (status < 0) throw new GrantError(name, status);
  };
  return Object.freeze({
    mapGrantRef(hostAddr: number, flags: number, ref: number, dom: number) {
      const result = new MappingResult();
      gate.enter('GNTTABOP_map_grant_ref');
      const status = grants.mappings.map(current, hostAddr, toUint32(flags), toUint32(ref), dom, result);
      leave('GNTTABOP_map_grant_ref', status);
      return result as Readonly<MappingResult>;
    },
    unmapGrantRef(hostAddr: number, devBusAddr: number, handle: number): void {
      gate.enter('GNTTABOP_unmap_grant_ref');
      leave('GNTTABOP_unmap_grant_ref', grants.mappings.unmap(current, hostAddr, devBusAddr, toUint32(handle)));
    },
    setupTable(dom: number, nrFrames: number): number[] {
      gate.enter('GNTTABOP_setup_table');
      const status = grants.setupTable(current, dom, toUint32(nrFrames));
      const first = grants.firstFrame(current, dom);
      leave('GNTTABOP_setup_table', status);
      return Array.from({ length: nrFrames }, (_, i) => first + i);
    },
    querySize(dom: number) {
      const size = new TableSize();
      gate.enter('GNTTABOP_query_size');
      leave('GNTTABOP_query_size', grants.querySize(current, dom, size));
      return size as Readonly<TableSize>;
    },
    copy(source: GivenEnd, dest: GivenEnd, len: number): void {
      const args = readCopy(source, dest, len);
      gate.enter('GNTTABOP_copy');
      leave('GNTTABOP_copy', grants.copies.copy(current, args));
    },
    transfer(mfn: number, _domid: number, _ref: number): void {
      gate.enter('GNTTABOP_transfer');
      leave('GNTTABOP_transfer', grants.transfer(current, mfn));
    },
    swapGrantRef(refA: number, refB: number): void {
      gate.enter('GNTTABOP_swap_grant_ref');
      leave('GNTTABOP_swap_grant_ref', grants.swapGrantRef(current, toUint32(refA), toUint32(refB)));
    },
    getVersion(dom: number): number {
      gate.enter('GNTTABOP_get_version');
      const version = grants.getVersion(current, dom);
      gate.exit();
      if (version < 0) throw new HypercallError('GNTTABOP_get_version', version);
      return version;
    },
  });
}
