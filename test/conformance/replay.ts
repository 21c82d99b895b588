/**
 * Replays a recorded sequence against the hypervisor and compares everything that was recorded, after every step and at
 * the end.
 */
import { isDeepStrictEqual } from 'node:util';
import { ECS_FREE, ECS_INTERDOMAIN, ECS_IPI, ECS_PIRQ, ECS_UNBOUND, ECS_VIRQ, FIFO, FIFO_MASKS } from '../../lib/abi';
import type { HvDomain } from '../../lib/hypervisor/machine';
import {
  CHANNEL_FIFO_PRIORITY,
  CHANNEL_NOTIFY_VCPU_ID,
  CHANNEL_REMOTE_DOMID,
  CHANNEL_REMOTE_PORT,
  CHANNEL_STATE,
  DOMAIN_ALIVE,
  DOMAIN_REMOVED,
  DOMAIN_STATUS,
  DOMAIN_VALID_EVTCHNS,
  STATE_MASK,
  XEN_CONSUMER,
} from '../../lib/hypervisor/state-layout';
import { clearEventBits, isFifo, setEventBits } from '../support/fifo-guest';
import { type Caller, callCore, parameter } from './callers';
import { clearBit, clearSelector, fillPage, handleUpcall, setBit } from './guest-actions';
import { VectorMachine } from './vector-machine';
import { type Sequence, type Step, VectorFormatError } from './vectors';

/** Where a replay first differed from the record. */
export interface Difference {
  /** Index of the step, or 'final'. */
  readonly step: number | 'final';
  readonly op: string;
  /** ret, out, kicks, wakes, xen, chg, mem, or a field of the final state. */
  readonly field: string;
  readonly expected: unknown;
  readonly got: unknown;
}

export type Outcome = { readonly verdict: 'passed' } | { readonly verdict: 'failed'; readonly difference: Difference };

interface Returned {
  readonly ret: number | null;
  readonly out: Readonly<Record<string, unknown>>;
}

const nothing: Returned = { ret: null, out: {} };

function guestAction(machine: VectorMachine, step: Step): Returned {
  const p = (name: string) => parameter(step, name);
  const domain = machine.domain(p('d'));
  const vcpu = () => machine.vcpu(p('d'), p('v'));
  const info = () => machine.hypervisor.vcpuInfoAddress(vcpu());
  switch (step.op) {
    case 'g_mask':
      setBit(domain, domain.maskAddress, p('port'));
      break;
    case 'g_unmask':
      clearBit(domain, domain.maskAddress, p('port'));
      break;
    case 'g_clear_pending':
      clearBit(domain, domain.pendingAddress, p('port'));
      break;
    case 'g_set_pending':
      setBit(domain, domain.pendingAddress, p('port'));
      break;
    case 'g_clear_upcall':
      domain.guest.write8(info(), 0);
      break;
    case 'g_clear_sel':
      clearSelector(machine, vcpu());
      break;
    case 'g_set_upcall_mask':
      domain.guest.write8(info() + 1, p('value'));
      break;
    case 'g_upcall':
      return { ret: null, out: { ports: handleUpcall(machine, vcpu()) } };
    case 'g_page_fill':
      fillPage(domain, p('gfn'), p('value'));
      machine.memoryChanges();
      break;
    case 'g_f_mask':
      setEventBits(domain, p('port'), FIFO_MASKS.MASKED);
      break;
    case 'g_f_unmask':
      clearEventBits(domain, p('port'), FIFO_MASKS.MASKED);
      break;
    case 'g_f_clear_pending':
      clearEventBits(domain, p('port'), FIFO_MASKS.PENDING);
      break;
    case 'g_fifo_consume':
      return { ret: null, out: { ports: machine.fifoGuest(vcpu()).consume(info()) } };
    default:
      throw new VectorFormatError(`unknown operation ${step.op}`);
  }
  return nothing;
}

function hypervisorAction(machine: VectorMachine, step: Step): Returned {
  const { hypervisor } = machine;
  const p = (name: string) => parameter(step, name);
  const domain = () => machine.domain(p('dom'));
  switch (step.op) {
    case 'h_vcpu_virq':
      hypervisor.sendVcpuVirq(machine.vcpu(p('dom'), p('vcpu')), p('virq'));
      break;
    case 'h_domain_virq':
      hypervisor.sendDomainVirq(domain(), p('virq'));
      break;
    case 'h_global_virq':
      hypervisor.sendGlobalVirq(p('virq'));
      break;
    case 'h_set_virq_handler':
      return { ret: hypervisor.setVirqHandler(domain(), p('virq')), out: {} };
    case 'h_virq_enabled':
      return { ret: hypervisor.virqEnabled(domain(), p('vcpu'), p('virq')) ? 1 : 0, out: {} };
    case 'h_pirq':
      hypervisor.pirqs.send(domain(), p('pirq'));
      break;
    case 'h_xen_alloc': {
      const current = machine.vcpu(p('d'), p('v'));
      const port = hypervisor.xenAlloc(current, domain(), p('vcpu'), p('remote_dom'));
      return port < 0 ? { ret: port, out: {} } : { ret: 0, out: { port } };
    }
    case 'h_xen_free':
      hypervisor.xenFree(domain(), p('port'));
      break;
    case 'h_xen_notify':
      hypervisor.xenNotify(domain(), p('port'));
      break;
    case 'h_poll_timeout':
      hypervisor.pollTimeout(machine.vcpu(p('dom'), p('vcpu')));
      break;
    case 'h_pause':
      hypervisor.pauseDomain(domain());
      break;
    case 'h_unpause':
      hypervisor.unpauseDomain(domain());
      break;
    // Recorded without the VIRQ_DOM_EXC that the toolstack's calls raise.
    case 'h_kill':
      hypervisor.evtchn.destroy(domain());
      break;
    case 'h_remove':
      domain().state.store32(DOMAIN_STATUS, DOMAIN_REMOVED);
      break;
    default:
      throw new VectorFormatError(`unknown operation ${step.op}`);
  }
  return nothing;
}

function hypercall(machine: VectorMachine, step: Step, caller: Caller): Returned {
  const current = machine.vcpu(parameter(step, 'd'), parameter(step, 'v'));
  const { out, ret } = caller(machine.hypervisor, current, step);
  if (step.op !== 'poll' && step.op !== 'block') return { ret, out };
  return { ret, out: { blocked: machine.isBlocked(current) ? 1 : 0 } };
}

function perform(machine: VectorMachine, step: Step, caller: Caller): Returned {
  if (step.op.startsWith('g_')) return guestAction(machine, step);
  if (step.op.startsWith('h_')) return hypervisorAction(machine, step);
  return hypercall(machine, step, caller);
}

const STATE_NAMES: Readonly<Record<number, string>> = {
  [ECS_UNBOUND]: 'unbound',
  [ECS_INTERDOMAIN]: 'interdomain',
  [ECS_PIRQ]: 'pirq',
  [ECS_VIRQ]: 'virq',
  [ECS_IPI]: 'ipi',
};

/** What of a channel's record belongs to its state. */
function channelFields(ecs: number, dom: number, number: number): Record<string, number> {
  switch (ecs) {
    case ECS_UNBOUND:
      return { dom };
    case ECS_INTERDOMAIN:
      return { dom, rport: number };
    case ECS_PIRQ:
      return { pirq: number };
    case ECS_VIRQ:
      return { virq: number };
    default:
      return {};
  }
}

function portsOf(domain: HvDomain): Record<string, unknown>[] {
  const ports: Record<string, unknown>[] = [];
  for (let port = 1; domain.portIsValid(port); port++) {
    const channel = domain.channelAddress(port);
    const read = (field: number) => domain.state.read32(channel + field);
    const ecs = read(CHANNEL_STATE) & STATE_MASK;
    if (ecs === ECS_FREE) continue;
    ports.push({
      port,
      state: STATE_NAMES[ecs] ?? `state ${ecs}`,
      vcpu: read(CHANNEL_NOTIFY_VCPU_ID),
      ...channelFields(ecs, read(CHANNEL_REMOTE_DOMID), read(CHANNEL_REMOTE_PORT)),
      ...((read(CHANNEL_STATE) & XEN_CONSUMER) !== 0 && { xen: 1 }),
      ...(isFifo(domain) && { priority: read(CHANNEL_FIFO_PRIORITY) ^ FIFO.EVTCHN_FIFO_PRIORITY_DEFAULT }),
    });
  }
  return ports;
}

function finalState(machine: VectorMachine, domain: HvDomain): Record<string, unknown> {
  return {
    dying: domain.status() === DOMAIN_ALIVE ? 0 : 1,
    fifo: isFifo(domain) ? 1 : 0,
    valid_ports: domain.state.read32(DOMAIN_VALID_EVTCHNS),
    blocked: domain.vcpus.filter((vcpu) => machine.isBlocked(vcpu)).map(({ vcpuId }) => vcpuId),
    ports: portsOf(domain),
    page: machine.sharedPage(domain),
  };
}

function compare(step: number | 'final', op: string, expected: object, got: object): Difference | undefined {
  for (const [field, value] of Object.entries(got)) {
    const wanted = (expected as Record<string, unknown>)[field];
    if (!isDeepStrictEqual(wanted, value)) return { step, op, field, expected: wanted, got: value };
  }
  return undefined;
}

/** What is recorded of a step; absent is empty. */
function recorded({ chg = [], kicks = [], mem = [], out = {}, ret = null, wakes = [], xen = [] }: Step): object {
  return { ret, out, kicks, wakes, xen, chg, mem };
}

function replayStep(machine: VectorMachine, step: Step, index: number, caller: Caller): Difference | undefined {
  machine.effects.clear();
  const returned = perform(machine, step, caller);
  machine.noteAbis();
  const { kicks, wakes, xen } = machine.effects;
  return compare(index, step.op, recorded(step), { ...returned, kicks, wakes, xen, ...machine.memoryChanges() });
}

function createMachine(sequence: Sequence): VectorMachine {
  try {
    return new VectorMachine(sequence);
  } catch (error) {
    throw error instanceof RangeError ? new VectorFormatError(error.message) : error;
  }
}

/**
 * Replays one sequence.
 * @param caller - how its hypercalls are made
 * @throws VectorFormatError for a sequence that names what it does not have, or an unknown operation
 */
export function replay(sequence: Sequence, caller: Caller = callCore): Outcome {
  const machine = createMachine(sequence);
  for (const [index, step] of sequence.steps.entries()) {
    const difference = replayStep(machine, step, index, caller);
    if (difference !== undefined) return { verdict: 'failed', difference };
  }
  for (const domain of machine.hypervisor.domains) {
    const expected = sequence.final[domain.id];
    if (expected === undefined) continue;
    const difference = compare('final', `domain ${domain.id}`, expected, finalState(machine, domain));
    if (difference !== undefined) return { verdict: 'failed', difference };
  }
  return { verdict: 'passed' };
}
