/** The event channels of a domain, under both ABIs. */
import { ECS_FREE, ECS_INTERDOMAIN, ECS_PIRQ, ECS_UNBOUND, ECS_VIRQ } from '../../abi/event-channel';
import { FIFO } from '../../abi/fifo';
import {
  CHANNEL_FIFO_PRIORITY,
  CHANNEL_NOTIFY_VCPU_ID,
  CHANNEL_REMOTE_DOMID,
  CHANNEL_REMOTE_PORT,
  CHANNEL_STATE,
  STATE_MASK,
  XEN_CONSUMER,
} from '../../hypervisor/state-layout';
import type { Onlooker } from './onlooker';
import type { ChannelSnapshot } from './schema';

/** How often a port's pending bit went from 0 to 1. */
export type EdgesOf = (port: number) => number;

/**
 * @param most - so many are described
 * @returns the first ones, and how many there are beyond
 */
export function snapshotChannels(
  look: Onlooker,
  most: number,
  edgesOf?: EdgesOf,
): { readonly channels: ChannelSnapshot[]; readonly omittedChannels: number } {
  const channels: ChannelSnapshot[] = [];
  let omittedChannels = 0;
  const valid = look.validPorts;
  const { fifo, domain } = { fifo: look.ports.usesFifo, domain: look.domain };
  for (let port = 1; port < valid; port++) {
    const state = look.state(domain.channelAddress(port) + CHANNEL_STATE);
    if ((state & STATE_MASK) === ECS_FREE) continue;
    if (channels.length < most) channels.push(snapshotChannel(look, port, state, fifo, edgesOf));
    else omittedChannels++;
  }
  return { channels, omittedChannels };
}

function snapshotChannel(
  look: Onlooker,
  port: number,
  state: number,
  fifo: boolean,
  edgesOf: EdgesOf | undefined,
): ChannelSnapshot {
  const { domain, ports } = look;
  const record = domain.channelAddress(port);
  const vcpu = look.state(record + CHANNEL_NOTIFY_VCPU_ID);
  return {
    port,
    state: state & STATE_MASK,
    vcpu,
    xenConsumer: (state & XEN_CONSUMER) !== 0,
    pending: ports.isPending(port),
    masked: ports.isMasked(port),
    ...(fifo ? fifoPart(look, port, record) : selectorPart(look, port, vcpu)),
    ...farEnd(look, record, state & STATE_MASK),
    ...(edgesOf === undefined ? {} : { edges: edgesOf(port) }),
  };
}

function fifoPart(look: Onlooker, port: number, record: number): Pick<ChannelSnapshot, 'word' | 'priority'> {
  const word = look.ports.eventWord(port);
  const priority = (look.state(record + CHANNEL_FIFO_PRIORITY) ^ FIFO.EVTCHN_FIFO_PRIORITY_DEFAULT) >>> 0;
  return { ...(word === 0 ? {} : { word: look.guest(word) }), priority };
}

function selectorPart(look: Onlooker, port: number, vcpu: number): Pick<ChannelSnapshot, 'selected'> {
  const target = look.domain.vcpus[vcpu];
  if (target === undefined || look.state(target.infoPointerAddress) === 0) return { selected: false };
  return { selected: look.ports.isAnnounced(port, target) };
}

function farEnd(
  look: Onlooker,
  record: number,
  state: number,
): Pick<ChannelSnapshot, 'remoteDomain' | 'remotePort' | 'irq'> {
  const remoteDomain = look.state(record + CHANNEL_REMOTE_DOMID);
  const remotePort = look.state(record + CHANNEL_REMOTE_PORT);
  if (state === ECS_UNBOUND) return { remoteDomain };
  if (state === ECS_INTERDOMAIN) return { remoteDomain, remotePort };
  return state === ECS_PIRQ || state === ECS_VIRQ ? { irq: remotePort } : {};
}
