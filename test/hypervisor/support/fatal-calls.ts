/**
 * A machine of three domains with channels of every kind between them, and every way into the hypervisor that takes a lock or
 * raises events. For tests in which the thread that goes that way is ended on it.
 */
import {
  BIND_PIRQ,
  DOMID_SELF,
  VIRQ_CON_RING,
  VIRQ_CONSOLE,
  VIRQ_DEBUG,
  VIRQ_DOM_EXC,
  VIRQ_TIMER,
} from '../../../lib/abi';
import { PortStatus } from '../../../lib/hypervisor/event-channel';
import type { HvVcpu, Hypervisor } from '../../../lib/hypervisor/hypervisor';
import type { DomainConfig } from '../../../lib/hypervisor/image';
import { RunstateRecord } from '../../../lib/hypervisor/runstate';
import { grantCalls, prepareGrants } from './grant-calls';
import { quiet } from './machine';

export const HARDWARE = 0;
export const VICTIM = 1;
export const BYSTANDER = 2;
const SHARED_PIRQ = 5;
const OWN_PIRQ = 6;
const CONTROL_FRAME = 8;

/** The victim may name others: what it does to them is the worst that its death can leave half done. */
export const CONFIGS: readonly DomainConfig[] = [
  quiet({ id: HARDWARE, maxPort: 40, grantMappings: 8, privileged: true, hardwareDomain: true, pirqs: [SHARED_PIRQ] }),
  quiet({ id: VICTIM, vcpus: 2, maxPort: 40, grantMappings: 8, privileged: true, pirqs: [SHARED_PIRQ, OWN_PIRQ] }),
  quiet({ id: BYSTANDER, vcpus: 2, maxPort: 40, grantMappings: 8, pirqs: [SHARED_PIRQ] }),
];

/** The victim's ports, but for `offered`: the bystander's, waiting for the victim. */
export interface Ports {
  readonly offered: number;
  /** To the bystander's vCPU 0, which sleeps in SCHEDOP_block. */
  readonly toSleeper: number;
  /** To the port that the bystander's vCPU 1 polls. */
  readonly toPoller: number;
  /** To the hardware domain. */
  readonly toHardware: number;
  readonly ipi: number;
  readonly virq: number;
  readonly pirq: number;
  readonly unbound: number;
  /** Of the bystander, for what is done to it. */
  readonly bystanders: number;
}

/** Which domains use the FIFO ABI. */
export type Fifo = 'nobody' | 'the bystander' | 'everybody';

function must(result: number): number {
  if (result < 0) throw new Error(`a hypercall of the preparation returned ${result}`);
  return result;
}

/** Brings the machine into the state in which each call is made. */
export function prepare(hypervisor: Hypervisor, fifo: Fifo): Ports {
  const { evtchn } = hypervisor;
  const [hardware, victim, bystander] = CONFIGS.map(({ id }) => hypervisor.vcpu(id, 0)) as [HvVcpu, HvVcpu, HvVcpu];
  for (const { config, vcpus } of hypervisor.domains) {
    if (fifo === 'nobody' || (fifo === 'the bystander' && config.id !== BYSTANDER)) continue;
    for (const vcpu of vcpus) must(evtchn.initControl(vcpu, CONTROL_FRAME, vcpu.vcpuId * 128, vcpu.vcpuId));
    must(evtchn.expandArray(vcpus[0] as HvVcpu, CONTROL_FRAME + 1));
  }
  const connect = (to: HvVcpu, vcpuId = 0): number => {
    const far = must(evtchn.allocUnbound(to, DOMID_SELF, VICTIM));
    must(evtchn.bindVcpu(to, far, vcpuId));
    return must(evtchn.bindInterdomain(victim, to.domainId, far));
  };
  const offered = must(evtchn.allocUnbound(bystander, DOMID_SELF, VICTIM));
  const toSleeper = connect(bystander);
  const toPoller = connect(bystander, 1);
  const toHardware = connect(hardware);
  for (const virq of [VIRQ_CON_RING, VIRQ_DOM_EXC, VIRQ_CONSOLE]) must(evtchn.bindVirq(hardware, virq, 0));
  must(evtchn.bindPirq(hardware, SHARED_PIRQ, BIND_PIRQ.BIND_PIRQ__WILL_SHARE));
  must(evtchn.bindPirq(bystander, SHARED_PIRQ, BIND_PIRQ.BIND_PIRQ__WILL_SHARE));
  must(evtchn.bindVirq(bystander, VIRQ_TIMER, 0));
  const ports = {
    ...{ offered, toSleeper, toPoller, toHardware },
    ipi: must(evtchn.bindIpi(victim, 1)),
    virq: must(evtchn.bindVirq(victim, VIRQ_TIMER, 0)),
    pirq: must(evtchn.bindPirq(victim, SHARED_PIRQ, BIND_PIRQ.BIND_PIRQ__WILL_SHARE)),
    unbound: must(evtchn.allocUnbound(victim, DOMID_SELF, BYSTANDER)),
    bystanders: must(evtchn.bindIpi(bystander, 0)),
  };
  hypervisor.pauseDomain(bystander.domain);
  prepareGrants(hypervisor, victim, bystander);
  return ports;
}

/** A way into the hypervisor, on a thread of the victim's vCPU 0, or of hardware. */
export type FatalCall = (hypervisor: Hypervisor, current: HvVcpu, ports: Ports) => unknown;

/** Those that have nothing to do with event channels. */
export const FATAL_GRANT_CALLS: Readonly<Record<string, FatalCall>> = grantCalls(BYSTANDER);

export const FATAL_CALLS: Readonly<Record<string, FatalCall>> = {
  EVTCHNOP_alloc_unbound: ({ evtchn }, current) => evtchn.allocUnbound(current, DOMID_SELF, BYSTANDER),
  'EVTCHNOP_alloc_unbound in the bystander': ({ evtchn }, current) => evtchn.allocUnbound(current, BYSTANDER, VICTIM),
  EVTCHNOP_bind_interdomain: ({ evtchn }, current, { offered }) => evtchn.bindInterdomain(current, BYSTANDER, offered),
  'EVTCHNOP_bind_interdomain, refused': ({ evtchn }, current) => evtchn.bindInterdomain(current, BYSTANDER, 30),
  EVTCHNOP_bind_virq: ({ evtchn }, current) => evtchn.bindVirq(current, VIRQ_DEBUG, 0),
  EVTCHNOP_bind_ipi: ({ evtchn }, current) => evtchn.bindIpi(current, 1),
  EVTCHNOP_bind_pirq: ({ evtchn }, current) => evtchn.bindPirq(current, OWN_PIRQ, 0),
  'EVTCHNOP_close, interdomain': ({ evtchn }, current, { toSleeper }) => evtchn.close(current, toSleeper),
  'EVTCHNOP_close, interdomain, locks taken twice': ({ evtchn }, current, { toHardware }) =>
    evtchn.close(current, toHardware),
  'EVTCHNOP_close, ipi': ({ evtchn }, current, { ipi }) => evtchn.close(current, ipi),
  'EVTCHNOP_close, virq': ({ evtchn }, current, { virq }) => evtchn.close(current, virq),
  'EVTCHNOP_close, pirq': ({ evtchn }, current, { pirq }) => evtchn.close(current, pirq),
  'EVTCHNOP_close, unbound': ({ evtchn }, current, { unbound }) => evtchn.close(current, unbound),
  'EVTCHNOP_send to a sleeper': ({ evtchn }, current, { toSleeper }) => evtchn.send(current, toSleeper),
  'EVTCHNOP_send to a poller': ({ evtchn }, current, { toPoller }) => evtchn.send(current, toPoller),
  'EVTCHNOP_send, ipi': ({ evtchn }, current, { ipi }) => evtchn.send(current, ipi),
  'EVTCHNOP_send, unbound': ({ evtchn }, current, { unbound }) => evtchn.send(current, unbound),
  'EVTCHNOP_status of the bystander': ({ evtchn }, current, { bystanders }) =>
    evtchn.status(current, BYSTANDER, bystanders, new PortStatus()),
  EVTCHNOP_bind_vcpu: ({ evtchn }, current, { toSleeper }) => evtchn.bindVcpu(current, toSleeper, 1),
  EVTCHNOP_unmask: ({ evtchn }, current, { toSleeper }) => {
    const { domain } = current;
    domain.guest.or32(domain.maskAddress, 1 << toSleeper);
    return evtchn.unmask(current, toSleeper);
  },
  EVTCHNOP_reset: ({ evtchn }, current) => evtchn.reset(current, DOMID_SELF),
  'EVTCHNOP_reset of the bystander': ({ evtchn }, current) => evtchn.reset(current, BYSTANDER),
  EVTCHNOP_init_control: ({ evtchn }, current) => evtchn.initControl(current, CONTROL_FRAME, 0, 0),
  EVTCHNOP_expand_array: ({ evtchn }, current) => evtchn.expandArray(current, CONTROL_FRAME + 2),
  EVTCHNOP_set_priority: ({ evtchn }, current, { toSleeper }) => evtchn.setPriority(current, toSleeper, 2),
  SCHEDOP_block: ({ sched }, current) => sched.block(current),
  SCHEDOP_poll: ({ sched }, current, { ipi, unbound }) => sched.poll(current, [unbound, ipi], 5e6),
  SCHEDOP_shutdown: ({ sched }, current) => sched.shutdown(current, 0),
  SCHEDOP_shutdown_code: ({ sched }, current) => sched.shutdownCode(current, 3),
  'SCHEDOP_remote_shutdown of the bystander': ({ sched }, current) => sched.remoteShutdown(current, BYSTANDER, 1),
  SCHEDOP_watchdog: ({ sched }, current) => sched.watchdog(current, 0, 5),
  VCPUOP_up: ({ vcpuOps }, current) => [vcpuOps.down(current, 1), vcpuOps.up(current, 1)],
  VCPUOP_get_runstate_info: ({ vcpuOps }, current) => vcpuOps.getRunstateInfo(current, 1, new RunstateRecord()),
  VCPUOP_register_runstate_memory_area: ({ vcpuOps }, current) =>
    vcpuOps.registerRunstateMemoryArea(current, 0, 0x5000),
  VCPUOP_register_vcpu_info: ({ vcpuOps }, current) => vcpuOps.registerVcpuInfo(current, 0, 6, 64),
  VCPUOP_set_periodic_timer: ({ vcpuOps }, current) => vcpuOps.setPeriodicTimer(current, 0, 2e6),
  'VCPUOP_set_singleshot_timer, past': ({ vcpuOps }, current) => vcpuOps.setSingleshotTimer(current, 0, 1, 0),
  VCPUOP_stop_singleshot_timer: ({ vcpuOps }, current) => vcpuOps.stopSingleshotTimer(current, 0),
  set_timer_op: ({ timers }, current) => timers.setTimerOp(current, 9e9),
  CONSOLEIO_write: ({ console }, current) => console.write(current, new Uint8Array([65, 66])),
  CONSOLEIO_read: (hypervisor, current) => hypervisor.console.read(current, new Uint8Array(8)),
  'PHYSDEVOP_eoi, the line raised again': (hypervisor, current) => {
    for (const { vcpus } of hypervisor.domains) hypervisor.physdev.eoi(vcpus[0] as HvVcpu, SHARED_PIRQ);
    return hypervisor.physdev.eoi(current, SHARED_PIRQ);
  },
  PHYSDEVOP_pirq_eoi_gmfn_v2: ({ physdev }, current) => physdev.pirqEoiGmfn(current, 7, 2),
  ...FATAL_GRANT_CALLS,
  'a device: PIRQ': (hypervisor) => hypervisor.raisePirq(SHARED_PIRQ),
  'a device: global VIRQ': (hypervisor) => hypervisor.sendGlobalVirq(VIRQ_CONSOLE),
  'a device: VIRQ of a vCPU': (hypervisor) => hypervisor.sendVcpuVirq(hypervisor.vcpu(BYSTANDER, 0), VIRQ_TIMER),
  'a device: console input': (hypervisor) => hypervisor.consoleInput(new Uint8Array([67, 68])),
  'the timer thread': (hypervisor) => hypervisor.runExpiredTimers(3e9),
  'a calibration': ({ time }) => time.calibrate(),
  'the wallclock': (hypervisor) => hypervisor.updateWallclock(5, 6),
  'an upcall taken on the way into the guest': ({ sched }, current) => [
    sched.switchOut(current),
    sched.switchIn(current),
  ],
};

/** What some calls need beside {@link prepare}; done by a thread that lives on. */
export const PRECEDED_BY: Readonly<Record<string, (hypervisor: Hypervisor) => void>> = {
  'PHYSDEVOP_eoi, the line raised again': (hypervisor) => {
    hypervisor.raisePirq(SHARED_PIRQ);
    hypervisor.raisePirq(SHARED_PIRQ);
  },
  'the timer thread': (hypervisor) => {
    const { sched, timers } = hypervisor;
    hypervisor.raisePirq(SHARED_PIRQ);
    for (const id of [VICTIM, BYSTANDER]) {
      timers.setTimerOp(hypervisor.vcpu(id, 0), 1e9);
      timers.setPeriodic(hypervisor.vcpu(id, 1), 1e6);
      sched.watchdog(hypervisor.vcpu(id, 0), 0, 2);
    }
  },
  CONSOLEIO_read: (hypervisor) => hypervisor.consoleInput(new Uint8Array([69, 70, 71])),
};
