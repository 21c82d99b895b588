/**
 * The grants of a domain that are in use in the form of Xen's debug key 'g', and below them what only we tell: what the domain
 * itself has mapped, and how far the rings have come that it shares with Domain-0.
 *
 * @source xen/common/grant_table.c (gnttab_usage_print)
 */
import { GTF } from '../../abi/grant';
import type {
  ActiveGrantSnapshot,
  DomainSnapshot,
  MappingSnapshot,
  ServicePageSnapshot,
} from '../../engine/snapshot/schema';
import { hex } from './channels';

const INDENT = '    ';
const MARKS = ['GTF_readonly', 'GTF_reading', 'GTF_writing'] as const;
/** Of a pin, from its lowest byte. */
const USES = ['host writable', 'host read-only', 'device writable', 'device read-only'] as const;

export function grantLines({ id, grants }: Pick<DomainSnapshot, 'id' | 'grants'>): string[] {
  if (grants === undefined) return [];
  const { frames, maxFrames, maptrack, maxMaptrack, active, mappings, omitted } = grants;
  return [
    `Grant table of domain ${id} (v1):`,
    `${INDENT}${frames} frames (${maxFrames} max), ${maptrack} maptrack entries (${maxMaptrack} max)`,
    ...(active.length === 0 ? [] : [`${INDENT}[ref]    by frame    pin         for gmfn     flags`]),
    ...active.map((grant) => `${INDENT}${activeLine(grant)}`),
    ...(active.length === 0 ? [`${INDENT}no active grant table entries`] : []),
    ...mappings.map((mapping) => `${INDENT}${mappingLine(mapping)}`),
    ...(omitted > 0 ? [`${INDENT}… and ${omitted} more`] : []),
  ];
}

/** `[0x008]  d2 0x000005 0x00000001  d2 0x000005 0x0019  1 host writable; GTF_reading,GTF_writing` */
function activeLine({ ref, domain, frame, pin, entry }: ActiveGrantSnapshot): string {
  const owner = (dom: number): string => `d${dom}`.padStart(5);
  const record = `[${padded(ref, 3)}] ${owner(domain)} ${padded(frame, 6)} ${padded(pin, 8)}`;
  const shared = `${owner(entry.domain)} ${padded(entry.frame, 6)} ${padded(entry.flags, 4)}`;
  return `${record} ${shared}  ${[usesOf(pin), marksOf(entry.flags)].filter((text) => text !== '').join('; ')}`;
}

/** `1 host writable, 2 host read-only` */
export function usesOf(pin: number): string {
  return USES.map((use, byte) => ({ use, count: (pin >>> (byte * 8)) & 0xff }))
    .filter(({ count }) => count > 0)
    .map(({ use, count }) => `${count} ${use}`)
    .join(', ');
}

function marksOf(flags: number): string {
  return MARKS.filter((mark) => (flags & GTF[mark]) !== 0).join();
}

/** `handle 0: d1 ref 0x008 at 0x80000000, read-only` */
export function mappingLine({ handle, domain, ref, address, readonly }: MappingSnapshot): string {
  const place = address === undefined ? 'at no page' : `at ${hex(address)}`;
  return `handle ${handle}: d${domain} ref ${padded(ref, 3)} ${place}${readonly ? ', read-only' : ''}`;
}

export function servicePageLines({ id, servicePages = [] }: Pick<DomainSnapshot, 'id' | 'servicePages'>): string[] {
  if (servicePages.length === 0) return [];
  return [
    `Pages that domain ${id} shares with Domain-0:`,
    ...servicePages.map((page) => `${INDENT}${servicePageLine(page)}`),
  ];
}

/** `xenstore at 0x3000: connected, req prod=24 cons=24, rsp prod=24 cons=16 (8 bytes)` */
export function servicePageLine({ service, address, connected, error = 0, rings }: ServicePageSnapshot): string {
  const parts = [
    connected ? 'connected' : 'not connected',
    ...(error === 0 ? [] : [`error ${error}`]),
    ...rings.map(({ name, size, prod, cons }) => `${name} prod=${prod} cons=${cons}${filling(size, prod, cons)}`),
  ];
  return `${service} at ${hex(address)}: ${parts.join(', ')}`;
}

function filling(size: number, prod: number, cons: number): string {
  const bytes = (prod - cons) >>> 0;
  if (bytes > size) return ' (corrupt)';
  return bytes === 0 ? '' : ` (${bytes} byte${bytes === 1 ? '' : 's'})`;
}

function padded(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
