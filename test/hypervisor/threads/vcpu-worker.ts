/** One vCPU of threads.test.ts on a thread of its own: a least engine, and a guest for each role. */
import { parentPort, workerData } from 'node:worker_threads';
import { DOMID_SELF, VIRQ_DEBUG } from '../../../lib/abi';
import { type HvVcpu, Hypervisor } from '../../../lib/hypervisor/hypervisor';
import { PauseFlag, type Platform } from '../../../lib/hypervisor/platform';
import { MAX_VCPUS } from '../../../lib/hypervisor/state-layout';
import { AtomicsMemory } from '../../../lib/memory/atomics-memory';
import { openLeanMemory } from '../../../lib/memory/lean-memory';
import { LockHolder, NOTES } from '../../../lib/memory/lock-words';
import { DONE, GO, READY, type VcpuReport, type VcpuTask } from './task';

const task = workerData as VcpuTask;
/** A sleep longer than this is a lost wake-up. */
const PATIENCE_NS = 10e9;

const meeting = new AtomicsMemory(task.meeting);
const results: Record<number, number> = {};

const platform: Platform = {
  now: () => 0,
  deschedule: () => sleep(),
  yield() {},
  timerChanged() {},
  consoleWrite() {},
  domainShutdown() {},
};
const holder = new LockHolder(1 + task.domainId * MAX_VCPUS + task.vcpuId, new Int32Array(NOTES));
const hypervisor = new Hypervisor(
  task.image,
  (buffer, region) => openLeanMemory(buffer, holder, 'domainId' in region ? region.domainId : 0),
  platform,
);
const current: HvVcpu = hypervisor.vcpu(task.domainId, task.vcpuId);
const { domain } = current;
const { evtchn, sched } = hypervisor;

/** Waits on the pause flags while the vCPU is blocked, as an engine does. */
function sleep(): void {
  const { pauseFlagsAddress } = current;
  for (;;) {
    const flags = domain.state.or32(pauseFlagsAddress, PauseFlag.PARKED) | PauseFlag.PARKED;
    if ((flags & PauseFlag.BLOCKED) === 0) break;
    if (domain.state.wait32(pauseFlagsAddress, flags, PATIENCE_NS) === 'timed-out') throw new Error('never woken');
  }
  domain.state.and32(pauseFlagsAddress, ~PauseFlag.PARKED);
}

let dice = task.seed;
function below(n: number): number {
  dice ^= dice << 13;
  dice ^= dice >>> 17;
  dice ^= dice << 5;
  return (dice >>> 0) % n;
}

function note(result: number): number {
  const kind = Math.min(result, 0);
  results[kind] = (results[kind] ?? 0) + 1;
  return result;
}

/** Takes what is pending at the vCPU: true if its own port was among it. */
function serve(own: number): boolean {
  const info = hypervisor.vcpuInfoAddress(current);
  domain.guest.store8(info, 0);
  domain.guest.exchange32(info + domain.selectorOffset, 0);
  const bit = 1 << own;
  return (domain.guest.and32(domain.pendingAddress, ~bit) & bit) !== 0;
}

/** Sleeps until the own port, the one of this vCPU's number plus one, has an event. */
function awaitEvent(): void {
  const own = task.vcpuId + 1;
  while (!serve(own)) {
    if (task.waitBy === 'poll') {
      note(sched.poll(current, [own], 0));
      continue;
    }
    note(sched.block(current));
    hypervisor.vcpuState.setUpcallMask(current, 1);
  }
}

/** Any operation on any of few ports. */
function storm(): void {
  const port = 1 + below(6);
  switch (below(10)) {
    case 0:
      note(evtchn.allocUnbound(current, DOMID_SELF, 1 + below(2)));
      break;
    case 1:
    case 2:
      note(evtchn.bindInterdomain(current, 1 + below(2), port));
      break;
    case 3:
      note(evtchn.bindIpi(current, below(2)));
      break;
    case 4:
      note(evtchn.bindVirq(current, VIRQ_DEBUG, below(2)));
      break;
    case 5:
    case 6:
      note(evtchn.close(current, port));
      break;
    case 7:
      note(evtchn.bindVcpu(current, port, below(2)));
      break;
    case 8:
      note(evtchn.unmask(current, port));
      hypervisor.sendVcpuVirq(current, VIRQ_DEBUG);
      break;
    default:
      for (let i = 0; i < 4; i++) note(evtchn.send(current, port));
      serve(port);
  }
}

/** Both domains connect and close all the time, so that closes of both ends meet. */
function connect(): void {
  const other = 3 - task.domainId;
  note(evtchn.allocUnbound(current, DOMID_SELF, other));
  for (let port = 1; port < 4; port++) note(evtchn.bindInterdomain(current, other, port));
  for (let port = 1; port < 8; port++) note(evtchn.close(current, port));
}

/** One vCPU binds and closes a VIRQ and an IPI on the port it gets back; the other raises the VIRQ. */
function virq(): void {
  const target = hypervisor.vcpu(task.domainId, 0);
  if (task.vcpuId !== 0) {
    hypervisor.sendVcpuVirq(target, VIRQ_DEBUG);
    return;
  }
  const bound = note(evtchn.bindVirq(current, VIRQ_DEBUG, 0));
  note(evtchn.close(current, bound));
  const reused = note(evtchn.bindIpi(current, 0));
  if ((domain.guest.load32(domain.pendingAddress) & (1 << reused)) !== 0)
    throw new Error('a VIRQ on a port of another');
  note(evtchn.close(current, reused));
}

function round(): void {
  switch (task.role) {
    case 'client':
      note(evtchn.send(current, task.port));
      awaitEvent();
      break;
    case 'server':
      awaitEvent();
      note(evtchn.send(current, task.port));
      break;
    case 'connect':
      connect();
      break;
    case 'virq':
      virq();
      break;
    default:
      storm();
  }
}

meeting.add32(READY, 1);
meeting.notify32(READY);
while (meeting.load32(GO) === 0) meeting.wait32(GO, 0);

let rounds = 0;
// The raising side of `virq` goes on until the other has finished.
while (rounds < task.rounds || (task.role === 'virq' && task.vcpuId !== 0 && meeting.load32(DONE) === 0)) {
  round();
  rounds++;
}
meeting.store32(DONE, 1);
parentPort?.postMessage({ rounds, results } satisfies VcpuReport);
