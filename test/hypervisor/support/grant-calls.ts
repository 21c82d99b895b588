/** Grants between the domains of `fatal-calls.ts`, every way into the hypervisor that uses them, and whether the tables fit together. */
import { DOMID_SELF, GNTCOPY, GNTMAP, GTF } from '../../../lib/abi';
import { CopyArguments } from '../../../lib/hypervisor/grant-copy';
import { GNTPIN, nrGrantEntries } from '../../../lib/hypervisor/grant-entries';
import { MappingResult, machineAddress } from '../../../lib/hypervisor/grant-mappings';
import type { HvDomain, HvVcpu, Hypervisor } from '../../../lib/hypervisor/hypervisor';
import {
  ACTIVE_GRANT_DOMID,
  ACTIVE_GRANT_PIN,
  GRANT_MAPPING_DOMID,
  GRANT_MAPPING_FLAGS,
  GRANT_MAPPING_NEXT,
  GRANT_MAPPING_REF,
  GRANT_TABLE_MAPTRACK_HEAD,
  GRANT_TABLE_MAPTRACK_LIMIT,
} from '../../../lib/hypervisor/state-layout';

const { GNTMAP_host_map, GNTMAP_device_map, GNTMAP_readonly } = GNTMAP;
const { GTF_permit_access, GTF_reading, GTF_writing } = GTF;
const PIN_WRITES = 0x00ff00ff;

/** Of the bystander, for the victim: not used yet, mapped writable, mapped read-only, mapped twice. And one for somebody else. */
export const REFS = { fresh: 8, writable: 9, readonly: 10, both: 11, others: 12 } as const;
/** Of the victim, for the bystander: mapped by it; not used; two that may change places, the second one for somebody else. */
export const OWN_REFS = { mapped: 8, unused: 9, low: 13, high: 14 } as const;
const FIRST_FRAME = 5;
/** What the bystander has mapped. */
export const BYSTANDERS_HANDLE = 0;

export function page(number: number): number {
  return 0x8000_0000 + number * 4096;
}

function frameOf(ref: number): number {
  return FIRST_FRAME + (ref & 3);
}

export function grant(granter: HvDomain, ref: number, dom: number): void {
  const at = granter.grantEntryAddress(ref);
  granter.guest.write32(at + 4, frameOf(ref));
  granter.guest.write32(at, (dom << 16) | GTF_permit_access);
}

/** A status, or the handle. */
export function map(
  { grants }: Hypervisor,
  by: HvVcpu,
  dom: number,
  ref: number,
  at: number,
  flags: number = GNTMAP_host_map,
) {
  const result = new MappingResult();
  const status = grants.mappings.map(by, page(at), flags, ref, dom, result);
  return status < 0 ? status : result.handle;
}

/** The victim's mappings have the handles 0 to 3, in the pages 0 to 3. */
export function prepareGrants(hypervisor: Hypervisor, victim: HvVcpu, bystander: HvVcpu): void {
  for (const { vcpus } of hypervisor.domains) hypervisor.grants.setupTable(vcpus[0] as HvVcpu, DOMID_SELF, 1);
  for (const ref of Object.values(REFS)) grant(bystander.domain, ref, ref === REFS.others ? 0 : victim.domainId);
  for (const ref of Object.values(OWN_REFS)) grant(victim.domain, ref, ref === OWN_REFS.high ? 0 : bystander.domainId);
  const results = [
    map(hypervisor, victim, bystander.domainId, REFS.writable, 0),
    map(hypervisor, victim, bystander.domainId, REFS.readonly, 1, GNTMAP_host_map | GNTMAP_readonly),
    map(hypervisor, victim, bystander.domainId, REFS.both, 2, GNTMAP_host_map | GNTMAP_device_map),
    map(hypervisor, victim, bystander.domainId, REFS.both, 3, GNTMAP_host_map | GNTMAP_readonly),
    map(hypervisor, bystander, victim.domainId, OWN_REFS.mapped, 0),
  ];
  if (results.join() !== '0,1,2,3,0') throw new Error(`the grants of the preparation: ${results}`);
}

function copyArguments(dom: number, from: number, to: number): CopyArguments {
  const args = new CopyArguments();
  Object.assign(args.source, { domid: dom, refOrFrame: from });
  Object.assign(args.dest, { domid: dom, refOrFrame: to, offset: 64 });
  args.len = 8;
  args.flags = GNTCOPY.GNTCOPY_source_gref | GNTCOPY.GNTCOPY_dest_gref;
  return args;
}

/** @param dom - the bystander's number */
export function grantCalls(
  dom: number,
): Readonly<Record<string, (hypervisor: Hypervisor, current: HvVcpu) => unknown>> {
  const unmap = ({ grants }: Hypervisor, current: HvVcpu, handle: number, device = 0): number =>
    grants.mappings.unmap(current, page(handle), device, handle);
  return {
    GNTTABOP_map_grant_ref: (hypervisor, current) => map(hypervisor, current, dom, REFS.fresh, 4),
    'GNTTABOP_map_grant_ref, writable beside read-only': (hypervisor, current) =>
      map(hypervisor, current, dom, REFS.readonly, 4),
    'GNTTABOP_map_grant_ref with a handle that was used': (hypervisor, current) => [
      unmap(hypervisor, current, 0),
      map(hypervisor, current, dom, REFS.fresh, 0),
    ],
    'GNTTABOP_map_grant_ref, refused': (hypervisor, current) => map(hypervisor, current, dom, REFS.others, 4),
    'GNTTABOP_map_grant_ref to a page that is taken': (hypervisor, current) =>
      map(hypervisor, current, dom, REFS.fresh, 0),
    GNTTABOP_unmap_grant_ref: (hypervisor, current) => unmap(hypervisor, current, 0),
    'GNTTABOP_unmap_grant_ref, one mapping of two': (hypervisor, current) => {
      const device = machineAddress(hypervisor.domain(dom) as HvDomain, frameOf(REFS.both));
      return unmap(hypervisor, current, 2, device);
    },
    'GNTTABOP_unmap_grant_ref of the host alone': (hypervisor, current) => unmap(hypervisor, current, 2),
    GNTTABOP_copy: ({ grants }, current) => grants.copies.copy(current, copyArguments(dom, REFS.fresh, REFS.readonly)),
    GNTTABOP_setup_table: ({ grants }, current) => grants.setupTable(current, DOMID_SELF, 2),
    'GNTTABOP_setup_table of the bystander': ({ grants }, current) => grants.setupTable(current, dom, 2),
    GNTTABOP_query_size: ({ grants }, current) => grants.querySize(current, dom, { nrFrames: 0, maxNrFrames: 0 }),
    GNTTABOP_swap_grant_ref: ({ grants }, current) => grants.swapGrantRef(current, OWN_REFS.high, OWN_REFS.low),
    GNTTABOP_cache_flush: (hypervisor, current) =>
      hypervisor.grants.cacheFlush(
        current,
        machineAddress(hypervisor.domain(dom) as HvDomain, frameOf(REFS.writable)),
        0,
        8,
        1,
      ),
    'the release of what a domain uses': ({ grants }, current) => grants.release(current.domain),
  };
}

type Say = (what: string) => void;

function increments(flags: number): number {
  const readonly = (flags & GNTMAP_readonly) !== 0;
  const host = readonly ? GNTPIN.hstr_inc : GNTPIN.hstw_inc;
  const device = readonly ? GNTPIN.devr_inc : GNTPIN.devw_inc;
  return ((flags & GNTMAP_host_map) !== 0 ? host : 0) + ((flags & GNTMAP_device_map) !== 0 ? device : 0);
}

function handlesOf(domain: HvDomain): number {
  return domain.state.read32(domain.grantTableAddress + GRANT_TABLE_MAPTRACK_LIMIT);
}

/** What the mappings of a domain add up to on the grants of another, by reference. */
function mappedPins(user: HvDomain, granter: HvDomain): Map<number, number> {
  const pins = new Map<number, number>();
  for (let handle = 0; handle < handlesOf(user); handle++) {
    const field = (offset: number): number => user.state.read32(user.mappingAddress(handle) + offset);
    const flags = field(GRANT_MAPPING_FLAGS);
    if (flags === 0 || field(GRANT_MAPPING_DOMID) !== granter.id) continue;
    const ref = field(GRANT_MAPPING_REF);
    pins.set(ref, (pins.get(ref) ?? 0) + increments(flags));
  }
  return pins;
}

/**
 * The uses of a domain's grants: bits and pins, pins and mappings.
 * @param unfinished - a domain that is to be closed off: it may use more than its mappings tell
 */
export function lookAtGrants({ domains }: Hypervisor, granter: HvDomain, say: Say, unfinished?: HvDomain): void {
  const users = domains.map((user) => ({ user, pins: mappedPins(user, granter) }));
  for (let ref = 0; ref < nrGrantEntries(granter); ref++) {
    const field = (offset: number): number => granter.state.read32(granter.activeGrantAddress(ref) + offset);
    const pin = field(ACTIVE_GRANT_PIN);
    const bits = (pin === 0 ? 0 : GTF_reading) | ((pin & PIN_WRITES) === 0 ? 0 : GTF_writing);
    const seen = granter.guest.read32(granter.grantEntryAddress(ref)) & (GTF_reading | GTF_writing);
    if (seen !== bits) say(`grant ${ref} is marked ${seen}, its pin is ${pin}`);
    for (const { user, pins } of users) {
      const counted = pin !== 0 && field(ACTIVE_GRANT_DOMID) === user.id ? pin : 0;
      const mapped = pins.get(ref) ?? 0;
      const fits = user === unfinished ? counted >= mapped : counted === mapped;
      if (!fits) say(`grant ${ref} has pin ${counted}, the mappings of domain ${user.id} are ${mapped}`);
    }
  }
}

/** A domain's handles and its window. */
export function lookAtMappings(domain: HvDomain, say: Say): void {
  const { state } = domain;
  const free = new Set<number>();
  let next = state.read32(domain.grantTableAddress + GRANT_TABLE_MAPTRACK_HEAD);
  for (; next !== 0 && !free.has(next - 1); next = state.read32(domain.mappingAddress(next - 1) + GRANT_MAPPING_NEXT)) {
    free.add(next - 1);
  }
  if (next !== 0) say('has a circle of free handles');
  let host = 0;
  for (let handle = 0; handle < handlesOf(domain); handle++) {
    const flags = state.read32(domain.mappingAddress(handle) + GRANT_MAPPING_FLAGS);
    if ((flags !== 0) === free.has(handle)) say(`handle ${handle} is ${flags === 0 ? 'lost' : 'free and used'}`);
    if ((flags & GNTMAP_host_map) !== 0) host++;
  }
  let pages = 0;
  for (let at = 0; at < domain.config.grantMappings; at++)
    if (state.read32(domain.windowPageAddress(at)) !== 0) pages++;
  if (pages !== host) say(`has ${host} mappings and ${pages} pages in its window`);
}

/** A domain that was destroyed uses nothing. */
export function lookAtDestroyed(domain: HvDomain, say: Say): void {
  for (let at = 0; at < domain.config.grantMappings; at++) {
    if (domain.state.read32(domain.windowPageAddress(at)) !== 0) say(`has page ${at} of its window mapped`);
  }
  for (let handle = 0; handle < handlesOf(domain); handle++) {
    if (domain.state.read32(domain.mappingAddress(handle) + GRANT_MAPPING_FLAGS) !== 0) say(`has mapping ${handle}`);
  }
}

/** Whatever became of the victim's two grants that may change places: who is granted one is granted its very frame. */
export function grantsWrongly(victim: HvDomain): boolean {
  return [OWN_REFS.low, OWN_REFS.high].some((ref) => {
    const at = victim.grantEntryAddress(ref);
    const word = victim.guest.read32(at);
    if (word === 0) return false;
    return victim.guest.read32(at + 4) !== frameOf(word >>> 16 === 0 ? OWN_REFS.high : OWN_REFS.low);
  });
}
