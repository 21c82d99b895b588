/** What the statistics of a recorded run consist of: data only, for the page and the text. Times in nanoseconds. */

/** What a vCPU's time goes into. */
export const STATES = ['running', 'hypercall', 'upcall', 'blocked'] as const;
export type State = (typeof STATES)[number];

export interface VcpuTimes {
  readonly name: string;
  /** By state: of what it was inside of the innermost counts. */
  readonly ns: Readonly<Record<State, number>>;
  /** Events raised for it, and upcalls it took. */
  readonly events: number;
  readonly upcalls: number;
}

/** Shares and counts over time, in slices of equal length. */
export interface OverTime {
  readonly fromNs: number;
  readonly sliceNs: number;
  /** By vCPU: events raised for it in each slice. */
  readonly events: readonly (readonly number[])[];
}

/** From the store that makes an upcall due to the entry of the handler. */
export interface Latency {
  readonly count: number;
  readonly minNs: number;
  readonly meanNs: number;
  readonly maxNs: number;
  readonly percentiles: readonly (readonly [percent: number, ns: number])[];
  /** Of a histogram whose bars are equally wide on a logarithmic scale. */
  readonly bars: readonly { readonly fromNs: number; readonly toNs: number; readonly count: number }[];
}

export interface RunStatistics {
  /** Since when nothing is missing, and until when. */
  readonly fromNs: number;
  readonly toNs: number;
  /** Records of all threads that were not kept. */
  readonly missing: number;
  readonly vcpus: readonly VcpuTimes[];
  readonly overTime: OverTime;
  /** Null if no upcall was recorded with what made it due. */
  readonly latency: Latency | null;
}
