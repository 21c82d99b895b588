/**
 * Two ways to make the hypercalls of a sequence: by the hypervisor's operations, and in the raw form, with argument
 * structures in guest memory. Both must do the same.
 */
import { EVTCHNOP, EVTCHNOP_internal, layoutOf, type StructName } from '../../lib/abi';
import { HYPERCALLS } from '../../lib/abi/hypercall-numbers';
import { SCHEDOP_block, SCHEDOP_poll } from '../../lib/abi/sched';
import { VCPUOP_register_vcpu_info } from '../../lib/abi/vcpu';
import { RESET_INTERRUPTED } from '../../lib/hypervisor/channel-closing';
import { PortStatus } from '../../lib/hypervisor/event-channel';
import { createHypercalls } from '../../lib/hypervisor/hypercalls';
import type { HvVcpu, Hypervisor } from '../../lib/hypervisor/hypervisor';
import { FIRST_GFN_FRAME, SCRATCH_FRAME } from './vector-machine';
import { type Step, VectorFormatError } from './vectors';

export interface Result {
  readonly ret: number;
  /** Defined results; empty where there are none. */
  readonly out: Readonly<Record<string, number>>;
}

/** Makes one hypercall of a step. */
export type Caller = (hypervisor: Hypervisor, current: HvVcpu, step: Step) => Result;

/** A numeric parameter of a step. */
export function parameter(step: Step, name: string): number {
  const value = step[name];
  if (typeof value !== 'number') throw new VectorFormatError(`${step.op} has no parameter ${name}`);
  return value;
}

export function numbers(step: Step, name: string): readonly number[] {
  const value = step[name];
  if (!Array.isArray(value)) throw new VectorFormatError(`${step.op} has no list ${name}`);
  return value;
}

function frameOf(gfn: number): number {
  return gfn + FIRST_GFN_FRAME;
}

/** A result that is a value if it is not an error. */
function named(result: number, name: string): Result {
  return result < 0 ? { ret: result, out: {} } : { ret: 0, out: { [name]: result } };
}

function plain(result: number): Result {
  return { ret: result, out: {} };
}

/** Fields of a status that mean something. */
function statusFields(status: PortStatus): Record<string, number> {
  const fields = Object.entries(status).filter(([, value]) => value >= 0);
  return Object.fromEntries(fields) as Record<string, number>;
}

export const callCore: Caller = (hypervisor, current, step) => {
  const { evtchn, sched, vcpuOps } = hypervisor;
  const p = (name: string) => parameter(step, name);
  switch (step.op) {
    case 'alloc_unbound':
      return named(evtchn.allocUnbound(current, p('dom'), p('remote_dom')), 'port');
    case 'bind_interdomain':
      return named(evtchn.bindInterdomain(current, p('remote_dom'), p('remote_port')), 'local_port');
    case 'bind_virq':
      return named(evtchn.bindVirq(current, p('virq'), p('vcpu')), 'port');
    case 'bind_ipi':
      return named(evtchn.bindIpi(current, p('vcpu')), 'port');
    case 'bind_pirq':
      return named(evtchn.bindPirq(current, p('pirq'), p('flags')), 'port');
    case 'close':
      return plain(evtchn.close(current, p('port')));
    case 'send':
      return plain(evtchn.send(current, p('port')));
    case 'status': {
      const status = new PortStatus();
      const ret = evtchn.status(current, p('dom'), p('port'), status);
      return { ret, out: ret === 0 ? statusFields(status) : {} };
    }
    case 'bind_vcpu':
      return plain(evtchn.bindVcpu(current, p('port'), p('vcpu')));
    case 'unmask':
      return plain(evtchn.unmask(current, p('port')));
    case 'reset':
    case 'reset_cont': {
      const result = evtchn.resetFrom(current, p('dom'), step.op === 'reset_cont', step.preempt === 1);
      return result === RESET_INTERRUPTED ? { ret: 0, out: { continuation: 1 } } : plain(result);
    }
    case 'init_control':
      return named(evtchn.initControl(current, frameOf(p('gfn')), p('offset'), p('vcpu')), 'link_bits');
    case 'expand_array':
      return plain(evtchn.expandArray(current, frameOf(p('gfn'))));
    case 'set_priority':
      return plain(evtchn.setPriority(current, p('port'), p('priority')));
    case 'poll':
      return plain(sched.poll(current, numbers(step, 'ports'), p('timeout')));
    case 'block':
      return plain(sched.block(current));
    case 'register_vcpu_info':
      return plain(vcpuOps.registerVcpuInfo(current, p('vcpu'), frameOf(p('gfn')), p('offset')));
    default:
      return callRaw(hypervisor, current, step);
  }
};

/** Address of the argument structure, and of the port list of a poll. */
const ARGUMENT = SCRATCH_FRAME * 4096;
const PORTS = ARGUMENT + 64;

class Arguments {
  private readonly fields;

  constructor(
    private readonly current: HvVcpu,
    struct: StructName,
  ) {
    const layout = layoutOf(current.domain.abi, struct);
    this.fields = layout.fields;
    for (let i = 0; i < layout.size; i++) current.domain.guest.write8(ARGUMENT + i, 0xa5);
  }

  put(field: string, value: number): this {
    const { offset, size } = this.at(field);
    let rest = value;
    for (let i = 0; i < size; i++) {
      this.current.domain.guest.write8(ARGUMENT + offset + i, rest % 256);
      rest = Math.floor(rest / 256);
    }
    return this;
  }

  get(field: string): number {
    const { offset, size } = this.at(field);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.current.domain.guest.read8(ARGUMENT + offset + i);
    return value;
  }

  private at(field: string) {
    const found = this.fields[field];
    if (found === undefined) throw new Error(`no field ${field}`);
    return found;
  }
}

/** Parameters of a step that are members of its structure, by member. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  alloc_unbound: ['dom', 'remote_dom'],
  bind_interdomain: ['remote_dom', 'remote_port'],
  bind_virq: ['virq', 'vcpu'],
  bind_ipi: ['vcpu'],
  bind_pirq: ['pirq', 'flags'],
  close: ['port'],
  send: ['port'],
  status: ['dom', 'port'],
  bind_vcpu: ['port', 'vcpu'],
  unmask: ['port'],
  reset: ['dom'],
  init_control: ['offset', 'vcpu'],
  expand_array: [],
  set_priority: ['port', 'priority'],
};

/** Members that hold a frame number. */
const FRAME_MEMBERS: Readonly<Record<string, string>> = { init_control: 'control_gfn', expand_array: 'array_gfn' };

/** Members that hold a result. */
const RESULT_MEMBERS: Readonly<Record<string, string>> = {
  alloc_unbound: 'port',
  bind_interdomain: 'local_port',
  bind_virq: 'port',
  bind_ipi: 'port',
  bind_pirq: 'port',
  init_control: 'link_bits',
};

/** Members of the union in evtchn_status, by status. */
const STATUS_MEMBERS: readonly Readonly<Record<string, string>>[] = [
  {},
  { dom: 'u.unbound.dom' },
  { dom: 'u.interdomain.dom', port: 'u.interdomain.port' },
  { pirq: 'u.pirq' },
  { virq: 'u.virq' },
  {},
];

function statusOf(args: Arguments): Record<string, number> {
  const status = args.get('status');
  const out: Record<string, number> = { status, vcpu: args.get('vcpu') };
  for (const [name, member] of Object.entries(STATUS_MEMBERS[status] ?? {})) out[name] = args.get(member);
  return out;
}

export const callRaw: Caller = (hypervisor, current, step) => {
  const { raw } = createHypercalls(hypervisor, current, { enter() {}, exit() {} });
  const p = (name: string) => parameter(step, name);
  switch (step.op) {
    case 'raw':
      return plain(raw(HYPERCALLS.__HYPERVISOR_event_channel_op, p('cmd'), ARGUMENT));
    case 'block':
      return plain(raw(HYPERCALLS.__HYPERVISOR_sched_op, SCHEDOP_block, 0));
    case 'poll': {
      const ports = numbers(step, 'ports');
      for (const [i, port] of ports.entries()) current.domain.guest.write32(PORTS + i * 4, port);
      const args = new Arguments(current, 'sched_poll').put('ports', PORTS).put('nr_ports', ports.length);
      args.put('timeout', p('timeout'));
      return plain(raw(HYPERCALLS.__HYPERVISOR_sched_op, SCHEDOP_poll, ARGUMENT));
    }
    case 'register_vcpu_info':
      new Arguments(current, 'vcpu_register_vcpu_info').put('mfn', frameOf(p('gfn'))).put('offset', p('offset'));
      return plain(raw(HYPERCALLS.__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, p('vcpu'), ARGUMENT));
    case 'reset_cont':
      new Arguments(current, 'evtchn_reset').put('dom', p('dom'));
      return plain(raw(HYPERCALLS.__HYPERVISOR_event_channel_op, EVTCHNOP_internal.EVTCHNOP_reset_cont, ARGUMENT));
    default:
      return callRawEventChannel(raw, current, step);
  }
};

function callRawEventChannel(
  raw: (number: number, command: number, argument: number) => number,
  current: HvVcpu,
  step: Step,
): Result {
  const members = MEMBERS[step.op];
  if (members === undefined) throw new VectorFormatError(`unknown operation ${step.op}`);
  const args = new Arguments(current, `evtchn_${step.op}` as StructName);
  for (const member of members) args.put(member, parameter(step, member));
  const frame = FRAME_MEMBERS[step.op];
  if (frame !== undefined) args.put(frame, frameOf(parameter(step, 'gfn')));
  const command = EVTCHNOP[`EVTCHNOP_${step.op}` as keyof typeof EVTCHNOP];
  const ret = raw(HYPERCALLS.__HYPERVISOR_event_channel_op, command, ARGUMENT);
  if (ret !== 0) return plain(ret);
  if (step.op === 'status') return { ret, out: statusOf(args) };
  const result = RESULT_MEMBERS[step.op];
  return { ret, out: result === undefined ? {} : { [result]: args.get(result) } };
}
