/** A run's result as text: why each domain ended, what each vCPU did, what failed. */
import path from 'node:path';
import { inspect } from 'node:util';
import type { DomainResult, RunResult, VcpuResult } from '../engine/run-result';
import type { RunProgress } from '../engine/threads/run-options';
import { visibleLines } from '../report/visible-text';
import { PACKAGE_ROOT } from './package-root';
import { alignColumns } from './table';

const HEADINGS = ['vCPU', 'result', 'upcalls', 'events', 'hypercalls', 'running', 'blocked'];
/** Columns of figures. */
const RIGHT = new Set([2, 3, 4, 5, 6]);
const LONGEST_RESULT = 32;
/** Message of a run that its signal ended: other reasons to abort say what went wrong. */
const BY_SIGNAL = 'aborted';
const OWN_FILES = ['node:', `${path.sep}piscina${path.sep}`].concat(
  ['dist', 'lib'].map((folder) => path.join(PACKAGE_ROOT, folder) + path.sep),
);

/** A time in the unit that suits it. */
export function formatNs(ns: number): string {
  if (ns < 1e6) return `${(ns / 1e3).toFixed(0)} µs`;
  if (ns < 1e9) return `${(ns / 1e6).toFixed(ns < 1e7 ? 2 : 1)} ms`;
  return `${(ns / 1e9).toFixed(2)} s`;
}

function formatCount(count: number): string {
  return count.toLocaleString('en-US').replaceAll(',', ' ');
}

function formatResult(result: unknown): string {
  if (result === undefined) return '-';
  const text = inspect(result, { depth: 2, breakLength: Number.POSITIVE_INFINITY });
  return text.length <= LONGEST_RESULT ? text : `${text.slice(0, LONGEST_RESULT - 1)}…`;
}

function row(domain: DomainResult, vcpu: VcpuResult): string[] {
  return [
    `${domain.name}/${vcpu.id}`,
    formatResult(vcpu.result),
    formatCount(vcpu.upcalls),
    formatCount(vcpu.events),
    formatCount(vcpu.hypercalls),
    formatNs(vcpu.runningNs),
    formatNs(vcpu.blockedNs),
  ];
}

/** The table of all vCPUs, a heading first. */
export function vcpuTable(result: RunResult): string[] {
  return alignColumns(
    [HEADINGS, ...result.domains.flatMap((domain) => domain.vcpus.map((vcpu) => row(domain, vcpu)))],
    RIGHT,
  );
}

/** Why each domain ended, a line each. */
export function exitLines(result: RunResult): string[] {
  return result.domains.map(({ name, exit }) => {
    if (exit.reason === 'aborted' && exit.message === BY_SIGNAL) return `${name}: interrupted`;
    const text = `${name}: ${exit.reason}`;
    return exit.message === undefined || exit.message === exit.reason ? text : `${text}: ${visibleLines(exit.message)}`;
  });
}

/** What failed, with the stack of its cause; empty if nothing did, or the user ended the run. */
export function failureLines({ failure }: RunResult): string[] {
  if (failure === null || (failure.kind === 'aborted' && failure.message === BY_SIGNAL)) return [];
  return [`FAILED (${failure.kind}): ${visibleLines(failure.message)}`, ...guestFrames(failure.cause?.stack)];
}

/** Of an error's stack, the frames in the user's files. */
export function guestFrames(stack = ''): string[] {
  return stack.split('\n').filter((line) => /^\s+at /.test(line) && !isOwnFrame(line));
}

/** Frames of the package itself, its pool and Node tell the user nothing about the guest. */
function isOwnFrame(frame: string): boolean {
  return OWN_FILES.some((place) => frame.includes(place));
}

/** One line on how far a run has come. */
export function progressText({ elapsedMs, domains }: RunProgress): string {
  const seconds = `${(elapsedMs / 1000).toFixed(0)} s`;
  const parts = domains.map(({ name, vcpus }) => {
    const states = new Map<string, number>();
    for (const { state } of vcpus) states.set(state, (states.get(state) ?? 0) + 1);
    const events = vcpus.reduce((sum, vcpu) => sum + vcpu.events, 0);
    const text = [...states].map(([state, count]) => `${count} ${state}`).join(', ');
    return `${name}: ${text}, ${formatCount(events)} events`;
  });
  return `${seconds}  ${parts.join('   ')}`;
}
