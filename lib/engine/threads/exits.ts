/**
 * Why a domain ends, as one word in shared memory: whoever claims it first, on whichever thread, names the first
 * cause. Details (an error's message) follow with the outcome of the thread concerned.
 */
import {
  SHUTDOWN_crash,
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  SHUTDOWN_soft_reset,
  SHUTDOWN_suspend,
  SHUTDOWN_watchdog,
} from '../../abi';
import { type DomainExit, type ExitReason, GOOD_ENDS } from '../run-result';

/** Kinds of cause, in bits 0-7 of the word; vCPU in bits 8-15, SHUTDOWN_* code in bits 16-23. Never 0. */
export const Cause = {
  COMPLETED: 1,
  SHUTDOWN: 2,
  /** The guest of that vCPU failed; its outcome tells how. */
  GUEST: 3,
  /** The thread of that vCPU ended. */
  THREAD: 4,
  HANG: 5,
  DEADLOCK: 6,
  ABORTED: 7,
  /** A daemon domain whose services nobody needs any more. */
  STOPPED: 8,
} as const;

export function causeWord(kind: number, vcpu = 0, code = 0): number {
  return kind | (vcpu << 8) | (code << 16);
}

export function causeKind(word: number): number {
  return word & 0xff;
}

export function causeVcpu(word: number): number {
  return (word >>> 8) & 0xff;
}

const SHUTDOWN_REASONS: Readonly<Record<number, ExitReason>> = {
  [SHUTDOWN_poweroff]: 'poweroff',
  [SHUTDOWN_reboot]: 'reboot',
  [SHUTDOWN_suspend]: 'suspend',
  [SHUTDOWN_crash]: 'crash',
  [SHUTDOWN_watchdog]: 'watchdog',
  [SHUTDOWN_soft_reset]: 'soft_reset',
};

/** The end of a domain that shut itself down, by the code in its cause. A code Xen does not know counts as a crash. */
export function shutdownExit(word: number): DomainExit {
  const code = (word >>> 16) & 0xff;
  const reason = SHUTDOWN_REASONS[code] ?? 'crash';
  const name = code in SHUTDOWN_REASONS ? `SHUTDOWN_${reason}` : `unknown code ${code}`;
  return { reason, message: `the domain was shut down: ${name}` };
}

/** Whether a cause is a failure: neither the domain nor what aborted it is at fault otherwise. */
export function isBadEnd(word: number): boolean {
  const kind = causeKind(word);
  if (kind === Cause.SHUTDOWN) return !GOOD_ENDS.includes(shutdownExit(word).reason);
  return kind !== Cause.COMPLETED && kind !== Cause.STOPPED && kind !== Cause.ABORTED;
}
