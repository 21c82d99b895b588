/**
 * The hypercalls of one vCPU, as its guest holds them: the typed form, which throws HypercallError, and `raw`, which
 * returns what Xen does. Both go through the same code. The shape is that of `Hypercalls` in the guest's interfaces,
 * which this layer does not know; engines check it where they hand the object to a guest.
 *
 * The gate belongs to the engine: it brackets each hypercall, for the windows before and after it and for traces. When
 * the engine unwinds a guest out of a hypercall, `exit` is not called.
 */
import { DOMID_SELF } from '../abi/domain-ids';
import { Errno, HypercallError } from '../abi/errno';
import { toNumber, toUint32 } from './arguments';
import { PortStatus } from './event-channel';
import { grantHypercalls } from './grant-hypercalls';
import { hypercallName } from './hypercall-names';
import type { Hypervisor } from './hypervisor';
import type { HvVcpu } from './machine';
import { RawHypercalls } from './raw';
import { RunstateRecord } from './runstate';
import { CONSOLE_INPUT_BYTES } from './state-layout';

/** Brackets each hypercall of a vCPU. */
export interface HypercallGate {
  /** @param name - as Xen spells it: `EVTCHNOP_send` */
  enter(name: string): void;
  exit(): void;
}

const INT_MAX = 0x7fffffff;

/** What each typed hypercall does around its core. */
class Bracket {
  constructor(private readonly gate: HypercallGate) {}

  enter(name: string): void {
    this.gate.enter(name);
  }

  /** Leaves the hypercall. Throws where the raw form would return a negative errno. */
  leave(name: string, result: number): number {
    this.gate.exit();
    if (result < 0) throw new HypercallError(name, result);
    return result;
  }
}

/** Fields that the status does not define are absent. */
function toStatus(record: PortStatus) {
  return {
    status: record.status,
    vcpu: record.vcpu,
    ...(record.dom >= 0 && { dom: record.dom }),
    ...(record.port >= 0 && { port: record.port }),
    ...(record.pirq >= 0 && { pirq: record.pirq }),
    ...(record.virq >= 0 && { virq: record.virq }),
  };
}

function evtchnHypercalls({ evtchn }: Hypervisor, current: HvVcpu, bracket: Bracket) {
  return Object.freeze({
    allocUnbound(dom: number, remoteDom: number): number {
      bracket.enter('EVTCHNOP_alloc_unbound');
      return bracket.leave('EVTCHNOP_alloc_unbound', evtchn.allocUnbound(current, dom, remoteDom));
    },
    bindInterdomain(remoteDom: number, remotePort: number): number {
      bracket.enter('EVTCHNOP_bind_interdomain');
      return bracket.leave('EVTCHNOP_bind_interdomain', evtchn.bindInterdomain(current, remoteDom, remotePort));
    },
    bindVirq(virq: number, vcpu: number): number {
      bracket.enter('EVTCHNOP_bind_virq');
      return bracket.leave('EVTCHNOP_bind_virq', evtchn.bindVirq(current, virq, vcpu));
    },
    bindPirq(pirq: number, flags = 0): number {
      bracket.enter('EVTCHNOP_bind_pirq');
      return bracket.leave('EVTCHNOP_bind_pirq', evtchn.bindPirq(current, pirq, toUint32(flags)));
    },
    bindIpi(vcpu: number): number {
      bracket.enter('EVTCHNOP_bind_ipi');
      return bracket.leave('EVTCHNOP_bind_ipi', evtchn.bindIpi(current, vcpu));
    },
    close(port: number): void {
      bracket.enter('EVTCHNOP_close');
      bracket.leave('EVTCHNOP_close', evtchn.close(current, port));
    },
    send(port: number): void {
      bracket.enter('EVTCHNOP_send');
      bracket.leave('EVTCHNOP_send', evtchn.send(current, port));
    },
    status(dom: number, port: number) {
      const record = new PortStatus();
      bracket.enter('EVTCHNOP_status');
      bracket.leave('EVTCHNOP_status', evtchn.status(current, dom, port, record));
      return toStatus(record);
    },
    bindVcpu(port: number, vcpu: number): void {
      bracket.enter('EVTCHNOP_bind_vcpu');
      bracket.leave('EVTCHNOP_bind_vcpu', evtchn.bindVcpu(current, port, vcpu));
    },
    unmask(port: number): void {
      bracket.enter('EVTCHNOP_unmask');
      bracket.leave('EVTCHNOP_unmask', evtchn.unmask(current, port));
    },
    reset(dom: number): void {
      bracket.enter('EVTCHNOP_reset');
      bracket.leave('EVTCHNOP_reset', evtchn.reset(current, dom));
    },
    initControl(controlGfn: number, offset: number, vcpu: number): number {
      bracket.enter('EVTCHNOP_init_control');
      return bracket.leave('EVTCHNOP_init_control', evtchn.initControl(current, controlGfn, offset, vcpu));
    },
    expandArray(arrayGfn: number): void {
      bracket.enter('EVTCHNOP_expand_array');
      bracket.leave('EVTCHNOP_expand_array', evtchn.expandArray(current, arrayGfn));
    },
    setPriority(port: number, priority: number): void {
      bracket.enter('EVTCHNOP_set_priority');
      bracket.leave('EVTCHNOP_set_priority', evtchn.setPriority(current, port, priority));
    },
  });
}

function schedHypercalls({ sched }: Hypervisor, current: HvVcpu, bracket: Bracket) {
  return Object.freeze({
    yield(): void {
      bracket.enter('SCHEDOP_yield');
      bracket.leave('SCHEDOP_yield', sched.yield(current));
    },
    block(): void {
      bracket.enter('SCHEDOP_block');
      bracket.leave('SCHEDOP_block', sched.block(current));
    },
    poll(ports: readonly number[], timeoutNs = 0): void {
      bracket.enter('SCHEDOP_poll');
      bracket.leave('SCHEDOP_poll', sched.poll(current, ports, toNumber(timeoutNs)));
    },
    shutdown(reason: number): never {
      bracket.enter('SCHEDOP_shutdown');
      bracket.leave('SCHEDOP_shutdown', sched.shutdown(current, toUint32(reason)));
      throw new Error('the engine let a vCPU go on after SCHEDOP_shutdown');
    },
    shutdownCode(reason: number): void {
      bracket.enter('SCHEDOP_shutdown_code');
      bracket.leave('SCHEDOP_shutdown_code', sched.shutdownCode(current, toUint32(reason)));
    },
    remoteShutdown(dom: number, reason: number): void {
      bracket.enter('SCHEDOP_remote_shutdown');
      bracket.leave('SCHEDOP_remote_shutdown', sched.remoteShutdown(current, dom, toUint32(reason)));
    },
    watchdog(id: number, timeoutSeconds: number): number {
      bracket.enter('SCHEDOP_watchdog');
      return bracket.leave('SCHEDOP_watchdog', sched.watchdog(current, id, timeoutSeconds));
    },
  });
}

function toRunstateInfo(record: RunstateRecord) {
  const { running, runnable, blocked, offline } = record;
  const timeNs = [BigInt(running), BigInt(runnable), BigInt(blocked), BigInt(offline)] as const;
  return { state: record.state, stateEntryTimeNs: BigInt(record.stateEntryTimeNs), timeNs };
}

function vcpuHypercalls({ vcpuOps }: Hypervisor, current: HvVcpu, bracket: Bracket) {
  return Object.freeze({
    initialise(vcpu: number): void {
      bracket.enter('VCPUOP_initialise');
      bracket.leave('VCPUOP_initialise', vcpuOps.initialise(current, vcpu));
    },
    up(vcpu: number): void {
      bracket.enter('VCPUOP_up');
      bracket.leave('VCPUOP_up', vcpuOps.up(current, vcpu));
    },
    down(vcpu: number): void {
      bracket.enter('VCPUOP_down');
      bracket.leave('VCPUOP_down', vcpuOps.down(current, vcpu));
    },
    isUp(vcpu: number): boolean {
      bracket.enter('VCPUOP_is_up');
      return bracket.leave('VCPUOP_is_up', vcpuOps.isUp(current, vcpu)) === 1;
    },
    getRunstateInfo(vcpu: number) {
      const record = new RunstateRecord();
      bracket.enter('VCPUOP_get_runstate_info');
      bracket.leave('VCPUOP_get_runstate_info', vcpuOps.getRunstateInfo(current, vcpu, record));
      return toRunstateInfo(record);
    },
    registerRunstateMemoryArea(vcpu: number, address: number): void {
      bracket.enter('VCPUOP_register_runstate_memory_area');
      const result = vcpuOps.registerRunstateMemoryArea(current, vcpu, address);
      bracket.leave('VCPUOP_register_runstate_memory_area', result);
    },
    registerVcpuInfo(vcpu: number, mfn: number, offset: number): void {
      bracket.enter('VCPUOP_register_vcpu_info');
      bracket.leave('VCPUOP_register_vcpu_info', vcpuOps.registerVcpuInfo(current, vcpu, mfn, offset));
    },
    setPeriodicTimer(vcpu: number, periodNs: number): void {
      bracket.enter('VCPUOP_set_periodic_timer');
      bracket.leave('VCPUOP_set_periodic_timer', vcpuOps.setPeriodicTimer(current, vcpu, periodNs));
    },
    stopPeriodicTimer(vcpu: number): void {
      bracket.enter('VCPUOP_stop_periodic_timer');
      bracket.leave('VCPUOP_stop_periodic_timer', vcpuOps.stopPeriodicTimer(current, vcpu));
    },
    setSingleshotTimer(vcpu: number, timeoutAbsNs: number, flags = 0): void {
      bracket.enter('VCPUOP_set_singleshot_timer');
      const result = vcpuOps.setSingleshotTimer(current, vcpu, timeoutAbsNs, toUint32(flags));
      bracket.leave('VCPUOP_set_singleshot_timer', result);
    },
    stopSingleshotTimer(vcpu: number): void {
      bracket.enter('VCPUOP_stop_singleshot_timer');
      bracket.leave('VCPUOP_stop_singleshot_timer', vcpuOps.stopSingleshotTimer(current, vcpu));
    },
  });
}

/** Text as bytes of its own; undefined for what is no text. */
function toBytes(text: string | Uint8Array): Uint8Array | undefined {
  if (typeof text === 'string') return new TextEncoder().encode(text);
  return text instanceof Uint8Array ? text.slice() : undefined;
}

function consoleHypercalls({ console }: Hypervisor, current: HvVcpu, bracket: Bracket) {
  return Object.freeze({
    write(text: string | Uint8Array): void {
      const bytes = toBytes(text);
      bracket.enter('CONSOLEIO_write');
      bracket.leave('CONSOLEIO_write', bytes === undefined ? -Errno.EFAULT : console.write(current, bytes));
    },
    read(maxBytes: number): Uint8Array {
      const count = toUint32(maxBytes);
      const buffer = new Uint8Array(Math.min(count, CONSOLE_INPUT_BYTES));
      bracket.enter('CONSOLEIO_read');
      const result = console.read(current, buffer);
      return buffer.subarray(
        0,
        bracket.leave('CONSOLEIO_read', result >= 0 && count > INT_MAX ? -Errno.E2BIG : result),
      );
    },
  });
}

function otherHypercalls(hypervisor: Hypervisor, current: HvVcpu, bracket: Bracket) {
  const { physdev, timers, version, hvmParams, domctl } = hypervisor;
  return {
    timer: Object.freeze({
      setTimerOp(deadlineNs: number): void {
        bracket.enter('set_timer_op');
        bracket.leave('set_timer_op', timers.setTimerOp(current, toNumber(deadlineNs)));
      },
    }),
    physdev: Object.freeze({
      eoi(irq: number): void {
        bracket.enter('PHYSDEVOP_eoi');
        bracket.leave('PHYSDEVOP_eoi', physdev.eoi(current, irq));
      },
      irqStatusQuery(irq: number): number {
        bracket.enter('PHYSDEVOP_irq_status_query');
        return bracket.leave('PHYSDEVOP_irq_status_query', physdev.irqStatusQuery(current, irq));
      },
    }),
    domctl: Object.freeze({
      getDomainInfo(dom: number): number {
        bracket.enter('XEN_DOMCTL_getdomaininfo');
        return bracket.leave('XEN_DOMCTL_getdomaininfo', domctl.getDomainInfo(current, dom));
      },
    }),
    hvm: Object.freeze({
      setParam(index: number, value: number): void {
        bracket.enter('HVMOP_set_param');
        bracket.leave('HVMOP_set_param', hvmParams.set(current, DOMID_SELF, index, toUint32(value)));
      },
      getParam(index: number): number {
        bracket.enter('HVMOP_get_param');
        return bracket.leave('HVMOP_get_param', hvmParams.get(current, DOMID_SELF, index));
      },
    }),
    xenVersion(): number {
      bracket.enter('XENVER_version');
      return bracket.leave('XENVER_version', version.version());
    },
  };
}

/**
 * The hypercalls of `current`. The object keeps no state; it belongs on the vCPU's own thread.
 * @param gate - called around each hypercall, with nothing in between but the hypercall
 */
export function createHypercalls(hypervisor: Hypervisor, current: HvVcpu, gate: HypercallGate) {
  const bracket = new Bracket(gate);
  const raw = new RawHypercalls(hypervisor, current);
  return Object.freeze({
    evtchn: evtchnHypercalls(hypervisor, current, bracket),
    sched: schedHypercalls(hypervisor, current, bracket),
    vcpu: vcpuHypercalls(hypervisor, current, bracket),
    console: consoleHypercalls(hypervisor, current, bracket),
    grant: grantHypercalls(hypervisor, current, gate),
    ...otherHypercalls(hypervisor, current, bracket),
    raw(number: number, a = 0, b = 0, c = 0): number {
      gate.enter(hypercallName(number, a));
      const result = raw.call(number, a, b, c);
      gate.exit();
      return result;
    },
  });
}
