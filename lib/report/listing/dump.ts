/**
 * A crash dump as text, in the manner of what Xen prints for its debug keys: 'q' (domains and vCPUs), 'e' (event channels),
 * with what only we know: queues of the FIFO ABI, locks that are held, the scenario's words and the last accesses.
 */
import { SHUTDOWN } from '../../abi/sched';
import type { Dump, DumpedDomain, LastAccesses } from '../../engine/snapshot/dump-file';
import type { LockSnapshot, VcpuSnapshot } from '../../engine/snapshot/schema';
import { PauseFlag } from '../../hypervisor/platform';
import { visible } from '../visible-text';
import { channelLines, hex } from './channels';
import { grantLines, servicePageLines } from './grants';

const INDENT = '    ';
const NOT_CODES: readonly string[] = ['SHUTDOWN_MAX'];
const SHUTDOWN_NAMES = new Map<number, string>(
  Object.entries(SHUTDOWN)
    .filter(([name]) => !NOT_CODES.includes(name))
    .map(([name, code]) => [code, name]),
);

/**
 * Lines without colour; whatever a guest has put into them cannot move a terminal's cursor.
 * @param frames - of the error's stack, those worth showing
 */
export function dumpLines(dump: Dump, frames: readonly string[] = []): string[] {
  const { scenario, engine, seed, systemTime, failure, domains, lastAccesses } = dump;
  const time = systemTime === null ? '' : `, ${seconds(systemTime)} after boot`;
  return [
    `Dump of ${scenario} on ${engine}, seed ${seed}${time}`,
    `FAILED (${failure.kind}): ${failure.message}`,
    ...frames,
    ...domains.flatMap((domain) => ['', ...domainLines(domain)]),
    '',
    ...accessLines(lastAccesses),
  ].map(visible);
}

function domainLines(domain: DumpedDomain): string[] {
  const { id, name, abi, events, vcpus, frames, status, shutdown, exit } = domain;
  const { validPorts, activePorts, maxPort, sharedInfo } = domain;
  const { address, pending, masked, wcVersion, wcSec, wcNsec } = sharedInfo;
  const ended = exit === undefined ? [] : [`${INDENT}${exit.reason}: ${exit.message ?? exit.reason}`];
  return [
    `General information for domain ${id} (${name}):`,
    ...ended,
    `${INDENT}abi=${abi} events=${events} vcpus=${vcpus.length} frames=${frames} status=${status} shutdown=${codeName(shutdown)}`,
    `${INDENT}ports: valid=${validPorts} active=${activePorts} max=${maxPort}`,
    `${INDENT}shared_info=${hex(address)} wc_version=${wcVersion} wc=${wcSec}.${String(wcNsec).padStart(9, '0')}`,
    `${INDENT}evtchn_pending {${pending}}`,
    `${INDENT}evtchn_mask {${masked}}`,
    `VCPU information for domain ${id}:`,
    ...vcpus.flatMap(vcpuLines),
    ...channelLines(domain),
    ...grantLines(domain),
    ...servicePageLines(domain),
    ...lockLines(domain.locks),
    ...wordLines(domain.words),
  ];
}

function codeName(code: number | null): string {
  return code === null ? 'none' : (SHUTDOWN_NAMES.get(code) ?? String(code));
}

function vcpuLines(vcpu: VcpuSnapshot): string[] {
  const { id, state, pauseFlags, pollPort, info, upcallPending, upcallMask, selector } = vcpu;
  const flags = Object.entries(PauseFlag).filter(([, bit]) => (pauseFlags & bit) !== 0);
  const names = flags.length === 0 ? '' : ` ${flags.map(([name]) => name).join()}`;
  const timers = Object.entries(vcpu.timers).map(([name, deadline]) => `${name} at ${seconds(deadline as number)}`);
  return [
    `${INDENT}VCPU${id}: ${state} poll=${pollPort} upcall_pend=${byte(upcallPending)} upcall_mask=${byte(upcallMask)}`,
    `${INDENT}${INDENT}vcpu_info=${hex(info)} evtchn_pending_sel=${selector} pause_flags=${pauseFlags}${names}`,
    `${INDENT}${INDENT}running ${seconds(vcpu.running)}, blocked ${seconds(vcpu.blocked)}, offline ${seconds(vcpu.offline)}`,
    ...(timers.length === 0 ? [] : [`${INDENT}${INDENT}timers: ${timers.join(', ')}`]),
  ];
}

function byte(value: number): string {
  return value.toString(16).padStart(2, '0');
}

function seconds(ns: number): string {
  return `${(ns / 1e9).toFixed(6)} s`;
}

function lockLines(locks: readonly LockSnapshot[]): string[] {
  if (locks.length === 0) return [];
  const text = ({ name, held, readers }: LockSnapshot): string =>
    `${INDENT}${name}: ${held}${readers > 0 ? `, ${readers} reader${readers === 1 ? '' : 's'}` : ''}`;
  return ['Locks that are not free:', ...locks.map(text)];
}

function wordLines(words: DumpedDomain['words']): string[] {
  if (words.length === 0) return [];
  const text = ({ name, value }: DumpedDomain['words'][number]): string =>
    `${INDENT}${name} = ${value}${value >= 0 && value <= 9 ? '' : ` (${hex(value >>> 0)})`}`;
  return ['Words:', ...words.map(text)];
}

function accessLines(lastAccesses: Dump['lastAccesses']): string[] {
  if (lastAccesses === null) return ['Last accesses: none were recorded (run --record does)'];
  return lastAccesses.flatMap(({ domain, vcpu, missing, accesses }: LastAccesses) => [
    `Last accesses of ${domain} VCPU${vcpu}${missing > 0 ? ` (${missing} before them were not kept)` : ''}:`,
    ...accesses.map((line) => `${INDENT}${line}`),
    ...(accesses.length === 0 ? [`${INDENT}none`] : []),
  ]);
}
