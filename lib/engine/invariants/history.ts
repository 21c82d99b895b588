/**
 * What happened in one execution: the accesses to memory in the order in which memory saw them, and which of them are
 * bound to that order. An engine that records its steps offers it to the invariants.
 */
import type { Region } from '../../hypervisor/hypervisor';

export interface Access {
  /** Who made it. A store that waited in a store buffer is its vCPU's, and counts from when it reached memory. */
  readonly actor: number;
  /**
   * read: changes nothing, a failed compare-exchange included. write: a store, plain or atomic. update: what reads and
   * changes in one.
   */
  readonly kind: 'read' | 'write' | 'update';
  readonly region: Region;
  readonly address: number;
  readonly bytes: 1 | 4;
  /** What the location held before and after, as in Memory. Of a read: what the reader saw. */
  readonly before: number;
  readonly after: number;
}

export interface History {
  readonly length: number;
  /** The access of a step; undefined for a step that is none (a lock, the clock, a wait). */
  access(step: number): Access | undefined;
  /** Name of the actor of a step. */
  actorName(step: number): string;
  /** Whether step a comes before step b in every order in which independent steps might have been executed. */
  happensBefore(a: number, b: number): boolean;
}

/** Steps of the history that access the location, first to last. */
export function accessesTo(
  history: History,
  kind: Region['kind'],
  domainId: number,
  address: number,
  bytes = 4,
): { readonly step: number; readonly access: Access }[] {
  const found: { step: number; access: Access }[] = [];
  for (let step = 0; step < history.length; step++) {
    const access = history.access(step);
    if (access === undefined || !isIn(access.region, kind, domainId)) continue;
    if (access.address < address + bytes && address < access.address + access.bytes) found.push({ step, access });
  }
  return found;
}

export function isIn(region: Region, kind: Region['kind'], domainId: number): boolean {
  return region.kind === kind && (region.kind === 'global' || region.domainId === domainId);
}

/** The byte at `address` of an access that covers it, before or after. */
export function byteOf(access: Access, value: number, address: number): number {
  return access.bytes === 1 ? value & 0xff : (value >>> ((address - access.address) * 8)) & 0xff;
}

/**
 * The value of a 32-bit word after an access to it or to one of its bytes.
 * @param word - its value before
 */
export function wordAfter(access: Access, address: number, word: number): number {
  if (access.bytes === 4) return access.after | 0;
  const shift = (access.address - address) * 8;
  return (word & ~(0xff << shift)) | ((access.after & 0xff) << shift);
}

/** A 32-bit word over time. */
export interface Timeline {
  readonly initial: number;
  /** Every store and atomic operation that touches it, first to last, with the word's value afterwards. */
  readonly changes: readonly { readonly step: number; readonly value: number }[];
}

/** @param now - the word's value at the end */
export function timelineOf(
  history: History,
  kind: Region['kind'],
  domainId: number,
  address: number,
  now: number,
): Timeline {
  const touching = accessesTo(history, kind, domainId, address).filter(({ access }) => access.kind !== 'read');
  let initial = now;
  for (const { access } of [...touching].reverse())
    initial = wordAfter({ ...access, after: access.before }, address, initial);
  let value = initial;
  const changes = touching.map(({ step, access }) => {
    value = wordAfter(access, address, value);
    return { step, value };
  });
  return { initial, changes };
}
