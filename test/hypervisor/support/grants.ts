/** Domains 1 (the granter), 2 (who uses the grants) and 3 (a control domain), with 16 frames each. */
import { type AbiName, GNTMAP, GTF } from '../../../lib/abi';
import { CopyArguments } from '../../../lib/hypervisor/grant-copy';
import { MappingResult } from '../../../lib/hypervisor/grant-mappings';
import type { HvDomain } from '../../../lib/hypervisor/hypervisor';
import type { AtomicsMemory } from '../../../lib/memory/atomics-memory';
import { quiet, TestMachine } from './machine';

export const FRAMES = 16;
export const READ_ONLY_FRAME = 9;

/** Address of a page of the window. */
export function page(number: number): number {
  return 0x8000_0000 + number * 4096;
}

export class GrantMachine extends TestMachine {
  readonly granter: HvDomain;
  readonly user: HvDomain;

  constructor(abi: AbiName = 'x86_64', open?: (buffer: SharedArrayBuffer) => AtomicsMemory) {
    const domain = { abi, frames: FRAMES, readOnlyFrames: [READ_ONLY_FRAME] };
    const user = { ...domain, id: 2, grantMappings: 4, vcpus: 2 };
    super([quiet({ ...domain, id: 1, grantFrames: 2 }), quiet(user), quiet({ id: 3, privileged: true })], {}, open);
    this.granter = this.domain(1);
    this.user = this.domain(2);
  }

  /** Writes an entry of domain 1's table. */
  grant(ref: number, frame: number, flags: number = GTF.GTF_permit_access, dom = 2): void {
    const at = this.granter.grantEntryAddress(ref);
    this.granter.guest.write32(at + 4, frame);
    this.granter.guest.write32(at, (dom << 16) | flags);
  }

  /** Flags of an entry of domain 1's table. */
  flags(ref: number): number {
    return this.granter.guest.read32(this.granter.grantEntryAddress(ref)) & 0xffff;
  }

  /** GNTTABOP_map_grant_ref by domain 2. A status, or the handle. */
  map(ref: number, hostAddr = page(0), flags: number = GNTMAP.GNTMAP_host_map, dom = 1): number {
    const result = new MappingResult();
    const status = this.hypervisor.grants.mappings.map(this.vcpu(2, 0), hostAddr, flags, ref, dom, result);
    return status < 0 ? status : result.handle;
  }

  unmap(handle: number, hostAddr = page(0), devBusAddr = 0): number {
    return this.hypervisor.grants.mappings.unmap(this.vcpu(2, 0), hostAddr, devBusAddr, handle);
  }

  /** GNTTABOP_copy by domain 2. */
  copy(given: { from: CopyEndGiven; to: CopyEndGiven; len: number; flags: number }): number {
    const args = new CopyArguments();
    Object.assign(args.source, { offset: 0, ...given.from });
    Object.assign(args.dest, { offset: 0, ...given.to });
    args.len = given.len;
    args.flags = given.flags;
    return this.hypervisor.grants.copies.copy(this.vcpu(2, 0), args);
  }

  /** The word of a page of domain 2's window. */
  windowWord(number: number): number {
    return this.user.state.read32(this.user.windowPageAddress(number));
  }
}

type CopyEndGiven = { readonly domid: number; readonly refOrFrame: number; readonly offset?: number };
