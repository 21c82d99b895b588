/** What a run comes to: data, the same for every engine, and what `run --json` prints. */

import type { DomainState } from './snapshot/summary';

/** Why a domain ended. */
export type ExitReason =
  /** Every guest function returned. */
  | 'completed'
  /** A daemon domain: all others had ended. */
  | 'stopped'
  // SCHEDOP_shutdown and its relatives.
  | 'poweroff'
  | 'reboot'
  | 'suspend'
  | 'soft_reset'
  /** SHUTDOWN_crash, or an upcall with no callback registered. */
  | 'crash'
  /** A SCHEDOP_watchdog expired, or SHUTDOWN_watchdog. */
  | 'watchdog'
  /** A guest function threw. */
  | 'exception'
  /** vcpu.assert failed. */
  | 'assertion'
  | 'out-of-memory'
  /** process.exit in a guest. */
  | 'process-exit'
  /** No hypercall, no upcall and no line of output for longer than the watchdog allows. */
  | 'hang'
  /** Its vCPUs are blocked and nothing is left that could wake them. */
  | 'deadlock'
  /** Ended from outside: AbortSignal, Ctrl-C. */
  | 'aborted'
  /** The package itself failed. */
  | 'internal-error';

/** An error as data. */
export interface ErrorData {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
}

export interface DomainExit {
  readonly reason: ExitReason;
  /** One line; absent for 'completed'. */
  readonly message?: string;
  /** The vCPU concerned, if it is one. */
  readonly vcpu?: number;
  /** The first cause, if it is an error; its stack shows the user's own files. */
  readonly cause?: ErrorData;
  /** How it was then, if it ended badly. */
  readonly state?: DomainState;
}

export interface VcpuResult {
  readonly id: number;
  /** What its guest function returned; absent if it did not return. */
  readonly result?: unknown;
  /** Times its event callback ran. */
  readonly upcalls: number;
  readonly hypercalls: number;
  /** 0 -> 1 changes of the pending bit of ports that notify it. */
  readonly events: number;
  readonly blockedNs: number;
  readonly runningNs: number;
}

export interface DomainResult {
  readonly id: number;
  readonly name: string;
  readonly exit: DomainExit;
  readonly vcpus: readonly VcpuResult[];
}

/** The run failed: the first domain that ended badly, a device, one of the scenario's invariants, or its check. */
export interface RunFailure {
  readonly kind: ExitReason | 'check' | 'device' | 'invariant';
  readonly message: string;
  readonly domain?: string;
  readonly vcpu?: number;
  readonly cause?: ErrorData;
}

export interface RunResult {
  readonly scenario: string;
  readonly engine: string;
  readonly elapsedMs: number;
  /** Of vcpu.random and vcpu.choose. */
  readonly seed: number;
  readonly domains: readonly DomainResult[];
  /** null when the run held. */
  readonly failure: RunFailure | null;
}

/** Ends that are no failure. */
export const GOOD_ENDS: readonly ExitReason[] = ['completed', 'stopped', 'poweroff', 'reboot', 'suspend', 'soft_reset'];

/** Whether a domain neither completed nor shut down in good order. */
export function isBadExit({ reason }: DomainExit): boolean {
  return !GOOD_ENDS.includes(reason);
}

/** The first domain that neither completed nor shut down in good order, as the run's failure. */
export function failureOfDomains(domains: readonly DomainResult[]): RunFailure | null {
  const failed = domains.find(({ exit }) => isBadExit(exit));
  if (failed === undefined) return null;
  const { reason, message, vcpu, cause } = failed.exit;
  return {
    kind: reason,
    message: message ?? reason,
    domain: failed.name,
    ...(vcpu === undefined ? {} : { vcpu }),
    ...(cause === undefined ? {} : { cause }),
  };
}

/** Longest text of an error that is kept: guests may put anything into a message. */
const LONGEST_TEXT = 2000;

/** @param mapStack - turns positions in compiled code into the user's */
export function errorData(error: Error, mapStack: (stack: string) => string = (stack) => stack): ErrorData {
  const { name, message, stack } = error;
  const code = (error as { code?: unknown }).code;
  return {
    name: shorten(String(name)),
    message: shorten(String(message)),
    ...(typeof stack === 'string' ? { stack: shorten(mapStack(stack)) } : {}),
    ...(typeof code === 'string' ? { code } : {}),
  };
}

function shorten(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}
