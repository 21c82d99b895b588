/**
 * The event channels of a domain in the form of Xen's debug key 'e', which is known from its console log.
 *
 * @source xen/common/event_channel.c (domain_dump_evtchn_info), event_2l.c and event_fifo.c (print_state)
 */
import { ECS_INTERDOMAIN, ECS_NAMES, ECS_PIRQ, ECS_UNBOUND, ECS_VIRQ } from '../../abi/event-channel';
import { FIFO_MASKS } from '../../abi/fifo';
import { VIRQ } from '../../abi/virq';
import type { ChannelSnapshot, DomainSnapshot, QueueSnapshot } from '../../engine/snapshot/schema';

const VIRQ_NAMES = new Map<number, string>(Object.entries(VIRQ).map(([name, number]) => [number, name]));
/** Of a word without structure; LINK is a number. */
const FLAGS = ['PENDING', 'MASKED', 'LINKED', 'BUSY'] as const;
const INDENT = '    ';

export function channelLines(domain: DomainSnapshot): string[] {
  const { id, polling, channels, omittedChannels } = domain;
  return [
    `Event channel information for domain ${id}:`,
    `Polling vCPUs: {${polling}}`,
    `${INDENT}port [p/m/s]`,
    ...channels.map((channel) => `${INDENT}${channelLine(channel)}`),
    ...(channels.length === 0 ? [`${INDENT}no channel is in use`] : []),
    ...(omittedChannels > 0 ? [`${INDENT}… and ${omittedChannels} more`] : []),
    ...fifoLines(domain),
  ];
}

/** `   5 [1/0/1]: s=5 n=0 x=0 v=0  VIRQ_TIMER` */
function channelLine(channel: ChannelSnapshot): string {
  const { port, state, vcpu, xenConsumer, pending, masked, edges } = channel;
  const bits = `[${digit(pending)}/${digit(masked)}/${abiState(channel)}]`;
  const counted = edges === undefined ? '' : ` edges=${edges}`;
  const end = farEnd(channel);
  return `${String(port).padStart(4)} ${bits}: s=${state} n=${vcpu} x=${digit(xenConsumer)}${end}${counted}  ${kindOf(channel)}`;
}

/** What the ABI keeps of the port besides pending and masked: the selector bit, or the link. */
function abiState({ selected, word, priority }: ChannelSnapshot): string {
  if (priority === undefined) return digit(selected ?? false);
  if (word === undefined) return '?     ';
  const busy = (word & FIFO_MASKS.BUSY) === 0 ? ' ' : 'B';
  const link = (word & FIFO_MASKS.LINKED) === 0 ? '-' : String(word & FIFO_MASKS.LINK);
  return `${busy} ${link.padEnd(4)}`;
}

function farEnd({ state, remoteDomain, remotePort, irq }: ChannelSnapshot): string {
  if (state === ECS_UNBOUND) return ` d=${remoteDomain}`;
  if (state === ECS_INTERDOMAIN) return ` d=${remoteDomain} p=${remotePort}`;
  if (state === ECS_PIRQ) return ` p=${irq} i=${irq}`;
  return state === ECS_VIRQ ? ` v=${irq}` : '';
}

/** The state in words. */
export function kindOf({ state, irq }: ChannelSnapshot): string {
  const name = ECS_NAMES[state] ?? `state ${state}`;
  return state === ECS_VIRQ ? (VIRQ_NAMES.get(irq ?? -1) ?? `VIRQ ${irq}`) : name;
}

function fifoLines({ fifo, channels }: DomainSnapshot): string[] {
  if (fifo === undefined) return [];
  const used = channels.filter(({ word = 0 }) => word !== 0);
  return [
    'FIFO event channels:',
    ...fifo.pages.map(
      (address, page) => `${INDENT}event_array[${page * 1024}..${page * 1024 + 1023}] at ${hex(address)}`,
    ),
    ...fifo.controlBlocks.flatMap(({ vcpu, address, ready, queues }) => [
      `${INDENT}control_block[${vcpu}] at ${hex(address)}`,
      `${INDENT}control_block[${vcpu}].ready = ${hex(ready)}${queuesOf(ready)}`,
      ...queues.map((queue) => `${INDENT}control_block[${vcpu}].${queueLine(queue)}`),
    ]),
    ...used.map(
      ({ port, word = 0, priority }) => `${INDENT}event_array[${port}] = ${wordText(word)}  priority ${priority}`,
    ),
  ];
}

/** `head[7] = 5, tail 9: event_array[5].LINKED, event_array[9].LINKED` */
function queueLine({ queue, head, tail, linked, ends }: QueueSnapshot): string {
  const words = linked.map((port) => `event_array[${port}].LINKED`);
  const rest = ends === 'end' ? [] : ends === 'more' ? ['…'] : [`then ${ends}`];
  const list = [...words, ...rest].join(', ');
  return `head[${queue}] = ${head}, tail ${tail}${list === '' ? '' : `: ${list}`}`;
}

function queuesOf(ready: number): string {
  const queues = Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => ((ready >>> bit) & 1) === 1);
  if (queues.length === 0) return '';
  return ` ${queues.length === 1 ? 'queue' : 'queues'} ${queues.join()}`;
}

/** `PENDING,LINKED,LINK=9` */
function wordText(word: number): string {
  const flags: string[] = FLAGS.filter((flag) => (word & FIFO_MASKS[flag]) !== 0);
  const link = word & FIFO_MASKS.LINK;
  if (link !== 0) flags.push(`LINK=${link}`);
  return flags.length === 0 ? hex(word) : flags.join();
}

function digit(flag: boolean): string {
  return flag ? '1' : '0';
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
