/**
 * What a trace consists of: data only, and no imports, so that the page that shows traces can share it.
 *
 * Format version 1: an object as {@link Trace}; fields may be added, none changes its meaning.
 */

export const TRACE_VERSION = 1;

/** An event that is pending for a vCPU that waits. */
export interface LostPort {
  readonly port: number;
  readonly masked: boolean;
  /** The bit of the vCPU's evtchn_pending_sel that leads to the port; under the FIFO ABI: it is on a queue. */
  readonly selected: boolean;
  /** Present and true: the domain uses the FIFO ABI. */
  readonly fifo?: boolean;
}

export interface TraceWait {
  readonly actor: number;
  /** `asleep in SCHEDOP_block`, `waits for domain.event_lock`. */
  readonly text: string;
  /** Asleep in SCHEDOP_block or SCHEDOP_poll: what an event could wake. Absent for other waits. */
  readonly asleep?: {
    readonly domain: string;
    readonly vcpu: number;
    /** Ports that notify this vCPU. */
    readonly ports: readonly number[];
    /** Those of them that are pending. */
    readonly pending: readonly LostPort[];
    /** evtchn_upcall_pending and evtchn_upcall_mask are not zero. */
    readonly upcallPending: boolean;
    readonly upcallMasked: boolean;
  };
}

/** An actor that cannot go on after a step, or can again. */
export interface TraceTurn {
  readonly actor: number;
  readonly kind: 'sleep' | 'wake';
  /** What it waits for, or who woke it: `asleep in SCHEDOP_block`, `woken by vCPU 1`. */
  readonly text: string;
  /** Of a recorded run: the step that woke it, and when it went on or fell asleep. */
  readonly cause?: number;
  readonly timeNs?: number;
}

/** How the execution failed. */
export interface TraceFailure {
  readonly kind: 'deadlock' | 'livelock' | 'assertion' | 'crash' | 'invariant' | 'data-race' | 'nondeterminism';
  readonly message: string;
  /** Index of the actor it happened in, if it is one. */
  readonly actor?: number;
  /** Position in the user's file, if known. */
  readonly location?: string;
  /** Of a data race: indices of the two steps. */
  readonly race?: readonly [first: number, second: number];
}

/** Something that happens between an actor's steps. */
export interface TraceMark {
  readonly kind: 'hypercall' | 'hypercall-end' | 'upcall' | 'upcall-end' | 'log';
  readonly text: string;
  /** Of a recorded run: system time. */
  readonly timeNs?: number;
}

export interface TraceStep {
  readonly actor: number;
  /** `add32`, `read_lock`, … */
  readonly op: string;
  /** What was touched: `shared_info.evtchn_pending[0] port 5`; absent for steps on no word. */
  readonly name?: string;
  /** Where that is, in one address space for the whole machine. */
  readonly address?: number;
  readonly operand: number;
  /** The location before and after, if the step changed it. Of a recorded run `before` may be unknown. */
  readonly before?: number;
  readonly after?: number;
  readonly result: number;
  /** What happened on this actor since its step before. */
  readonly marks: readonly TraceMark[];
  /** Position in the user's file, if known. */
  readonly location?: string;
  /** The actor of the step before, if it could have gone on. */
  readonly preempted?: number;
  /** Who went to sleep or was woken by this step. */
  readonly turns?: readonly TraceTurn[];
  /** Of a flush: index of the step that stored the value into the buffer. */
  readonly stored?: number;
  /** Of a recorded run: system time before the step. */
  readonly timeNs?: number;
  /** Of a recorded spin-wait loop: turns that this one stands for, if more than one. */
  readonly count?: number;
}

export type ActorKind = 'vcpu' | 'device' | 'timer' | 'buffer' | 'time' | 'host';

/** What a trace of free-running threads has and one of an exploration has not. */
export interface TraceRecord {
  /** By actor: what it did before the first step of it that is here. */
  readonly missing: readonly number[];
  /** Whether steps have times; else their order is known, more or less. */
  readonly timed: boolean;
}

/** What a domain has registered for the FIFO ABI by the end: where its event words and control blocks lie. */
export interface TraceFifo {
  /** Pages of the event array, in order, each with a word for so many ports. */
  readonly pages: readonly number[];
  readonly wordsPerPage: number;
  /** By vCPU: the word of ready bits and the first head; null: it has none. */
  readonly controlBlocks: readonly ({ readonly ready: number; readonly heads: number } | null)[];
}

/** Where the parts of a domain's shared page and the words it names lie, and its event channels. */
export interface TraceDomain {
  readonly name: string;
  readonly abi: string;
  /** Actors of its vCPUs. */
  readonly actors: readonly number[];
  /** Ports the bitmaps have room for, and how many of them a bit of a selector stands for. */
  readonly ports: number;
  readonly portsPerSelectorBit: number;
  readonly pending: number;
  readonly mask: number;
  /** Address of the domain's memory: what a pointer of the guest's counts from. */
  readonly base: number;
  /** By vCPU: the word that says where in the domain's memory its vcpu_info is; 0: it has none yet. */
  readonly infoPointers: readonly number[];
  /** In vcpu_info, which begins with evtchn_upcall_pending; the byte after it is the mask, if there is one. */
  readonly selectorOffset: number;
  readonly hasUpcallMask: boolean;
  /** Addresses of the scenario's words. */
  readonly words: readonly { readonly name: string; readonly address: number }[];
  /** One record per port: its state is a byte, the vCPU it notifies a word. */
  readonly channels: {
    readonly address: number;
    readonly size: number;
    readonly count: number;
    readonly stateOffset: number;
    readonly notifyVcpuOffset: number;
  };
  /** Present: it uses the FIFO ABI in the end. */
  readonly fifo?: TraceFifo;
}

/** Memory before the first step. With the steps' changes it gives memory at any step. */
export interface TraceMemory {
  /**
   * Words that are not zero, in pairs of address and value: of shared pages, named words, channels, and all that steps
   * touch.
   */
  readonly initial: readonly (readonly [address: number, value: number])[];
  readonly domains: readonly TraceDomain[];
}

export interface Trace {
  readonly version: number;
  readonly scenario: string;
  readonly memoryModel: string;
  readonly actors: readonly string[];
  readonly actorKinds?: readonly ActorKind[];
  readonly steps: readonly TraceStep[];
  /** What happened after an actor's last step, by actor. */
  readonly lastMarks: Readonly<Record<number, readonly TraceMark[]>>;
  /** vCPUs that are neither done nor able to go on at the end. */
  readonly waits: readonly TraceWait[];
  /** Null if the execution held. */
  readonly failure: TraceFailure | null;
  readonly memory?: TraceMemory;
  /** Present: recorded on free-running threads. There is no schedule that replays it. */
  readonly recorded?: TraceRecord;
}
