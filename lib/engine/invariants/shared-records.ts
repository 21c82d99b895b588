/**
 * Invariants about words that several actors change or that belong together, looked for in the history of an execution:
 * bitmaps, records under a version, ring indices.
 *
 * Each looks at what one actor did and had read before, or at the order of accesses to one word: all orders of
 * independent steps give the same answer, so an exploration that executes one of them (partial-order reduction) judges
 * all.
 */

import type { AbiName } from '../../abi/abis';
import { layoutOf, type StructName } from '../../abi/layouts';
import type { HvDomain, HvVcpu } from '../../hypervisor/hypervisor';
import { PAGE_BYTES } from '../../hypervisor/image';
import type { WordRef } from './handler-runs';
import { byteOf, type History, isIn, timelineOf } from './history';
import { type MachineView, nameOf } from './machine-view';

/** A run of bytes to watch. */
export interface Range {
  readonly name: string;
  readonly domainId: number;
  readonly address: number;
  readonly bytes: number;
}

/** The words of a domain that hypervisor and guest, or several vCPUs, change bit by bit. */
export function bitmapsOf(view: MachineView, domain: HvDomain): Range[] {
  const bytes = domain.maxEvtchns / 8;
  const selectors = domain.vcpus
    .filter((vcpu) => view.infoAddress(vcpu) !== 0)
    .map((vcpu) => ({
      name: `evtchn_pending_sel of ${nameOf(view, vcpu)}`,
      domainId: domain.id,
      address: view.infoAddress(vcpu) + domain.selectorOffset,
      bytes: domain.evtchnWordShift === 5 ? 4 : 8,
    }));
  return [
    { name: 'evtchn_pending', domainId: domain.id, address: domain.pendingAddress, bytes },
    { name: 'evtchn_mask', domainId: domain.id, address: domain.maskAddress, bytes },
    ...selectors,
    ...fifoWordsOf(view, domain),
  ];
}

/** Event words and ready bits of a domain on the FIFO ABI. */
function fifoWordsOf(view: MachineView, domain: HvDomain): Range[] {
  const ports = view.ports(domain);
  const controls = domain.vcpus.filter((vcpu) => ports.controlBlock(vcpu) !== 0);
  return [
    ...ports.eventArrayPages().map((address, page) => ({
      name: `page ${page} of the event array`,
      domainId: domain.id,
      address,
      bytes: PAGE_BYTES,
    })),
    ...controls.map((vcpu) => ({
      name: `the ready word of ${nameOf(view, vcpu)}`,
      domainId: domain.id,
      address: ports.controlBlock(vcpu),
      bytes: 4,
    })),
  ];
}

/**
 * The words evtchn_upcall_pending and evtchn_upcall_mask share. A store to one of the bytes is right, the owner clears
 * evtchn_upcall_pending so; a store to more than one byte is not, if the hypervisor has set the other meanwhile.
 */
export function upcallWordsOf(view: MachineView, domain: HvDomain): Range[] {
  return domain.vcpus
    .filter((vcpu) => view.infoAddress(vcpu) !== 0)
    .map((vcpu) => ({
      name: `the upcall word of ${nameOf(view, vcpu)}`,
      domainId: domain.id,
      address: view.infoAddress(vcpu),
      bytes: 4,
    }));
}

/**
 * No plain store undoes what somebody else did to the word since its actor read it. Then every word is the fold of all
 * the bit operations on it. A store of an actor that never looked (an initial value) is not judged.
 * @param leastBytes - stores of fewer bytes are not judged
 */
export function bitConservation(history: History, ranges: readonly Range[], leastBytes: 1 | 4): string | undefined {
  /** What an actor takes a byte to be, by `actor:domain:address`. */
  const believed = new Map<string, number>();
  for (let step = 0; step < history.length; step++) {
    const access = history.access(step);
    if (access === undefined) continue;
    const { region, address } = access;
    const range = ranges.find(
      (each) => isIn(region, 'guest', each.domainId) && address >= each.address && address < each.address + each.bytes,
    );
    if (range === undefined) continue;
    for (let at = address; at < address + access.bytes; at++) {
      const key = `${access.actor}:${range.domainId}:${at}`;
      const belief = believed.get(key);
      const found = byteOf(access, access.before, at);
      if (access.kind === 'write' && access.bytes >= leastBytes && belief !== undefined && belief !== found) {
        const word = (at - range.address) >>> 2;
        const byte = `byte ${hex(at)} was ${hex(belief)} then and is ${hex(found)} now`;
        const stores = `${history.actorName(step)} stores to word ${word} of ${range.name}`;
        return `${stores} what it made of an old value: ${byte}`;
      }
      believed.set(key, byteOf(access, access.after, at));
    }
  }
  return undefined;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** A record whose version is odd while it changes. Addresses in guest memory. */
interface VersionedRecord {
  readonly name: string;
  readonly domainId: number;
  readonly version: number;
  readonly fields: readonly number[];
  /** The fields a guest copies; see SnapshotSpec. */
  readonly copied: readonly number[];
}

function fieldOffset(abi: AbiName, struct: StructName, field: string): number | undefined {
  return layoutOf(abi, struct).fields[field]?.offset;
}

export function wallclockOf(domain: HvDomain): VersionedRecord {
  const at = (field: string): number =>
    domain.sharedInfoAddress + (fieldOffset(domain.abi, 'shared_info', field) as number);
  const copied = [at('wc_sec'), at('wc_nsec')];
  return { name: 'the wallclock', domainId: domain.id, version: at('wc_version'), fields: copied, copied };
}

/** Undefined for a vCPU whose record does not exist, or has moved: moving copies it, version and all. */
export function timeRecordOf(view: MachineView, vcpu: HvVcpu): VersionedRecord | undefined {
  const { domain } = vcpu;
  const info = view.infoAddress(vcpu);
  if (!domain.isX86 || info !== domain.sharedInfoAddress + vcpu.vcpuId * domain.vcpuInfoBytes) return undefined;
  const at = (field: string): number =>
    info + domain.timeOffset + (fieldOffset(domain.abi, 'vcpu_time_info', field) as number);
  const copied = [at('tsc_timestamp'), at('system_time')];
  const fields = copied.flatMap((address) => [address, address + 4]).concat(at('tsc_to_system_mul'));
  const name = `the time record of ${nameOf(view, vcpu)}`;
  return { name, domainId: domain.id, version: at('version'), fields, copied };
}

/** Whoever writes a record writes its fields only while the version is odd. */
export function changesUnderVersion(view: MachineView, history: History, record: VersionedRecord): string | undefined {
  const { domainId } = record;
  const versions = timelineOf(history, 'guest', domainId, record.version, view.word(domainId, record.version));
  const values = [{ step: -1, value: versions.initial }, ...versions.changes];
  for (const field of record.fields) {
    for (const { step } of timelineOf(history, 'guest', domainId, field, 0).changes) {
      const version = values.findLast((each) => each.step < step)?.value as number;
      if ((version & 1) === 0) {
        return `${history.actorName(step)} changes ${record.name} while its version is ${version}, which is even`;
      }
    }
  }
  return undefined;
}

/**
 * Each copy the guest made is one that was published: the record as it was at some moment when its version was even.
 */
export function copiesWerePublished(
  view: MachineView,
  history: History,
  record: VersionedRecord,
  copy: readonly WordRef[],
): string | undefined {
  const published = publishedTuples(view, history, record);
  for (const { step, tuple } of copiesMade(view, history, copy)) {
    if (published.has(tuple.join())) continue;
    const values = tuple.map((value) => value >>> 0).join(', ');
    return `${history.actorName(step)} has read ${values} from ${record.name}: that was never published`;
  }
  return undefined;
}

/** Each copy of a runstate record that the guest made adds up: its times make state_entry_time. */
export function runstatesAddUp(view: MachineView, history: History, copy: readonly WordRef[]): string | undefined {
  for (const { step, tuple } of copiesMade(view, history, copy)) {
    const [entryTime = 0, ...times] = tuple;
    const sum = times.reduce((total, time) => (total + time) | 0, 0);
    if (sum === entryTime) continue;
    const figures = `times add up to ${sum >>> 0} ns, and state_entry_time is ${entryTime >>> 0} ns`;
    return `${history.actorName(step)} has read a runstate record whose ${figures}`;
  }
  return undefined;
}

function publishedTuples(view: MachineView, history: History, record: VersionedRecord): Set<string> {
  const { domainId, version, copied } = record;
  const all = changesOf(view, history, domainId, [version, ...copied]);
  const values = all.initial;
  const published = new Set<string>();
  const note = (): void => {
    if (((values[0] as number) & 1) === 0) published.add(values.slice(1).join());
  };
  note();
  for (const { index, value } of all.changes) {
    values[index] = value;
    if (index === 0) note();
  }
  return published;
}

/** What the words hold whenever the last of them is stored. */
function copiesMade(view: MachineView, history: History, copy: readonly WordRef[]) {
  const addresses = copy.map(({ address }) => address);
  const { initial: values, changes } = changesOf(view, history, (copy[0] as WordRef).domainId, addresses);
  const made: { step: number; tuple: number[] }[] = [];
  for (const { step, index, value } of changes) {
    values[index] = value;
    if (index === copy.length - 1) made.push({ step, tuple: [...values] });
  }
  return made;
}

/** The timelines of several words merged. */
function changesOf(view: MachineView, history: History, domainId: number, addresses: readonly number[]) {
  const lines = addresses.map((address) =>
    timelineOf(history, 'guest', domainId, address, view.word(domainId, address)),
  );
  const changes = lines
    .flatMap(({ changes: each }, index) => each.map(({ step, value }) => ({ step, index, value })))
    .sort((a, b) => a.step - b.step);
  return { initial: lines.map(({ initial }) => initial), changes };
}

/**
 * Indices of a ring stay within its size of each other, modulo 2^32. An index is judged against the other one as its
 * actor last read it, or as it was at first: that is what the actor had to go by.
 */
export function ringIndicesInRange(
  view: MachineView,
  history: History,
  prod: WordRef,
  cons: WordRef,
  size: number,
): string | undefined {
  const initial = changesOf(view, history, prod.domainId, [prod.address, cons.address]).initial;
  /** By actor: prod and cons as it knows them. */
  const known = new Map<number, number[]>();
  for (let step = 0; step < history.length; step++) {
    const access = history.access(step);
    if (access === undefined || !isIn(access.region, 'guest', prod.domainId)) continue;
    const index = access.address === prod.address ? 0 : access.address === cons.address ? 1 : -1;
    if (index < 0) continue;
    const values = known.get(access.actor) ?? [...initial];
    known.set(access.actor, values);
    values[index] = access.after;
    const filled = ((values[0] as number) - (values[1] as number)) >>> 0;
    if (access.kind === 'read' || filled <= size) continue;
    const { name } = index === 0 ? prod : cons;
    const distance = filled > 2 ** 31 ? `${2 ** 32 - filled} behind` : `${filled} ahead of`;
    const stores = `${history.actorName(step)} stores ${access.after >>> 0} to ${name}`;
    return `${stores}: the producer is then ${distance} the consumer, in a ring of ${size}`;
  }
  return undefined;
}
