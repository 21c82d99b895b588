/**
 * What an exploration covers, gathered from execution to execution: different traces, where it preempts, and which accesses it
 * has seen in either order. Parts of a search gather apart and are added up.
 *
 * A trace in Mazurkiewicz's sense is told by a fingerprint: each step is hashed with its actor's step before and the conflicting
 * steps before it that nothing later hides; independent steps commute in the sum of all.
 */
import type { MachineState } from '../engine/inline/machine-state';
import { RECORD } from '../engine/inline/operation-log';
import { DRAINS, EVERYTHING, GUARDED, KIND_BITS, KIND_MASK, MANY, SHARES, WRITES } from '../engine/inline/ops';

/** Fingerprints that are kept. */
const MOST_TRACES = 500_000;
/** Samples of the growth: at twice as many every second one goes. */
const SAMPLES = 256;
const ACTORS = 64;
const KINDS = KIND_MASK + 1;

/** Who did what to which bytes: a number for each. */
export interface Site {
  readonly actor: number;
  readonly kind: number;
  /** In the engine's address space; 0: none. */
  readonly address: number;
}

export function siteOf(code: number): Site {
  const actor = code % ACTORS;
  const rest = Math.floor(code / ACTORS);
  return { actor, kind: rest % KINDS, address: Math.floor(rest / KINDS) };
}

function codeOf(actor: number, kind: number, address: number): number {
  return (address * KINDS + kind) * ACTORS + actor;
}

/** Structured-clonable. */
export interface CoverageData {
  readonly executions: number;
  /** In the order in which they were found. */
  readonly traces: Float64Array;
  readonly growth: readonly (readonly [executions: number, traces: number])[];
  readonly full: boolean;
  readonly preemptions: readonly (readonly [site: number, count: number])[];
  /** How often, in executions, a site came before another. */
  readonly orders: readonly (readonly [first: number, second: number, count: number])[];
}

/** What has been done to a byte in this execution: hashes of the last write, and of the looks and shared steps since. */
interface ByteHash {
  wrote: number;
  read: number;
  shared: number;
}

export class Coverage {
  executions = 0;
  full = false;
  readonly traces = new Set<number>();
  readonly growth: [executions: number, traces: number][] = [];
  readonly preemptions = new Map<number, number>();
  readonly orders = new Map<number, Map<number, number>>();
  private distance = 1;
  private readonly bytes = new Map<number, ByteHash>();
  /** By word: sites in the order in which they first came, and what they do. */
  private readonly sites = new Map<number, Map<number, number>>();

  /** An execution has ended. */
  note(state: MachineState): void {
    this.executions++;
    this.keep(this.fingerprint(state));
    this.notePreemptions(state);
    this.noteOrders();
    this.sample();
  }

  add(data: CoverageData): void {
    const before = this.executions;
    let next = 0;
    for (const [executions, traces] of [...data.growth, [data.executions, data.traces.length] as const]) {
      while (next < traces) this.keep(data.traces[next++] as number);
      this.executions = before + executions;
      this.sample();
    }
    this.full ||= data.full;
    for (const [site, count] of data.preemptions) increase(this.preemptions, site, count);
    for (const [first, second, count] of data.orders) this.order(first, second, count);
  }

  /** All gathered so far; gathering begins anew. */
  take(): CoverageData {
    const orders = [...this.orders].flatMap(([first, seconds]) =>
      [...seconds].map(([second, count]) => [first, second, count] as const),
    );
    const { executions, full } = this;
    const growth = [...this.growth];
    const data = {
      executions,
      full,
      growth,
      traces: Float64Array.from(this.traces),
      preemptions: [...this.preemptions],
      orders,
    };
    this.executions = 0;
    this.distance = 1;
    this.growth.length = 0;
    this.traces.clear();
    this.preemptions.clear();
    this.orders.clear();
    return data;
  }

  private keep(trace: number): void {
    if (this.traces.size < MOST_TRACES) this.traces.add(trace);
    else if (!this.traces.has(trace)) this.full = true;
  }

  private sample(): void {
    const last = this.growth.at(-1);
    if (last !== undefined && this.executions < last[0] + this.distance) return;
    this.growth.push([this.executions, this.traces.size]);
    if (this.growth.length < 2 * SAMPLES) return;
    this.growth.splice(0, this.growth.length, ...this.growth.filter((_, i) => i % 2 === 0));
    this.distance *= 2;
  }

  private fingerprint(state: MachineState): number {
    const { bytes, sites } = this;
    bytes.clear();
    sites.clear();
    const last = new Array<number>(state.actors).fill(0);
    let barrier = 0;
    let [low, high] = [0, 0];
    for (let event = 0; event < state.depth; event++) {
      const actor = state.evActor[event] as number;
      const tag = tagAt(state, actor, state.evFirst[event] as number);
      const foot = state.evFoot[event] as number;
      let before = mix(mix(mix(actor + 1, tag), last[actor] as number), barrier);
      const feet = foot !== EVERYTHING && (foot & MANY) !== 0 ? state.feet.of(foot) : [foot];
      if (foot === EVERYTHING) for (const hash of last) before = mix(before, hash);
      else for (const each of feet) before = mix(before, this.dependencies(each));
      const hash = before;
      if (foot === EVERYTHING) barrier = hash;
      else for (const each of feet) this.touch(each, hash, codeOfFoot(actor, tag & KIND_MASK, each));
      last[actor] = hash;
      low = (low + hash) | 0;
      high = (high + mix(hash, 0x9e3779b9)) | 0;
    }
    return (low >>> 0) * 0x200000 + (high >>> 11);
  }

  /** A hash of the steps before it that a footprint depends on, independent of the order of those that commute. */
  private dependencies(foot: number): number {
    let hash = 0;
    const kind = foot & 7;
    for (let byte = 0; byte < 4; byte++) {
      if ((foot & (0x10 << byte)) === 0) continue;
      const at = this.bytes.get((foot >>> 8) * 4 + byte);
      if (at === undefined) continue;
      hash = mix(hash, at.wrote);
      if (kind === WRITES || kind === SHARES) hash = mix(hash, at.read);
      if (kind !== SHARES) hash = mix(hash, at.shared);
    }
    return hash;
  }

  private touch(foot: number, hash: number, site: number): void {
    if (foot === 0) return;
    const kind = foot & 7;
    const word = foot >>> 8;
    for (let byte = 0; byte < 4; byte++) {
      if ((foot & (0x10 << byte)) === 0) continue;
      let at = this.bytes.get(word * 4 + byte);
      if (at === undefined) {
        at = { wrote: 0, read: 0, shared: 0 };
        this.bytes.set(word * 4 + byte, at);
      }
      if (kind === WRITES) {
        at.wrote = hash;
        at.read = at.shared = 0;
      } else if (kind === SHARES) at.shared = (at.shared + hash) | 0;
      else at.read = (at.read + hash) | 0;
    }
    let list = this.sites.get(word);
    if (list === undefined) {
      list = new Map();
      this.sites.set(word, list);
    }
    if (!list.has(site)) list.set(site, foot);
  }

  /** Switches away from an actor whose next step, to be made later, waits for nothing. */
  private notePreemptions(state: MachineState): void {
    const buffered = state.actors > state.programs + 1;
    /** By actor: where its next event begins. */
    const next = new Array<number>(state.actors).fill(-1);
    for (let event = state.depth - 1; event > 0; event--) {
      const actor = state.evActor[event] as number;
      const before = state.evActor[event - 1] as number;
      next[actor] = state.evFirst[event] as number;
      if (before === actor || before >= state.programs || (next[before] as number) < 0) continue;
      const tag = tagAt(state, before, next[before] as number);
      const kind = tag & KIND_MASK;
      if (GUARDED[kind] === 1 || (buffered && DRAINS[kind] === 1)) continue;
      increase(this.preemptions, codeOf(before, kind, tag >>> KIND_BITS), 1);
    }
  }

  private noteOrders(): void {
    for (const list of this.sites.values()) {
      if (list.size < 2) continue;
      const sites = [...list];
      for (let i = 0; i < sites.length; i++) {
        for (let j = i + 1; j < sites.length; j++) {
          const [[first, a], [second, b]] = [sites[i] as [number, number], sites[j] as [number, number]];
          const conflict = (a & b & 0xf0) !== 0 && ((a | b) & WRITES) !== 0;
          if (conflict && first % ACTORS !== second % ACTORS) this.order(first, second, 1);
        }
      }
    }
  }

  private order(first: number, second: number, count: number): void {
    let seconds = this.orders.get(first);
    if (seconds === undefined) {
      seconds = new Map();
      this.orders.set(first, seconds);
    }
    increase(seconds, second, count);
  }
}

function increase(counts: Map<number, number>, key: number, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function tagAt(state: MachineState, actor: number, position: number): number {
  return (state.logs[actor] as Int32Array)[position * RECORD] as number;
}

/** A site by the bytes that are touched: an atomic hypercall has one for each word. */
function codeOfFoot(actor: number, kind: number, foot: number): number {
  const bytes = (foot >>> 4) & 15;
  return codeOf(actor, kind, (foot >>> 8) * 4 + (bytes === 15 || bytes === 0 ? 0 : 31 - Math.clz32(bytes & -bytes)));
}

/** Depends on both and on their order. */
function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) ^ Math.imul(value | 0, 0x297a2d39);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x5bd1e995);
  return (mixed ^ (mixed >>> 15)) | 0;
}
