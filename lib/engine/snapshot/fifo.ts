/**
 * What a domain has registered for the FIFO ABI, and its queues as the guest would find them. The links are the guest's words: they
 * are followed for a fixed number of steps, and what makes no sense is told.
 */
import { FIFO, FIFO_MASKS } from '../../abi/fifo';
import { layoutOf } from '../../abi/layouts';
import type { HvVcpu } from '../../hypervisor/machine';
import { FIFO_QUEUE_TAIL } from '../../hypervisor/state-layout';
import type { Onlooker } from './onlooker';
import type { FifoSnapshot, QueueSnapshot } from './schema';

const BLOCK = layoutOf('x86_64', 'evtchn_fifo_control_block').fields;
const READY = BLOCK.ready?.offset as number;
const HEAD = BLOCK.head?.offset as number;
/** Ports of a queue that are told. */
const MOST_LINKED = 32;

/** Undefined for a domain on the 2-level ABI. */
export function snapshotFifo(look: Onlooker): FifoSnapshot | undefined {
  const { domain, ports } = look;
  if (!ports.usesFifo) return undefined;
  const blocks = domain.vcpus.filter((vcpu) => ports.controlBlock(vcpu) !== 0);
  return {
    pages: [...ports.eventArrayPages()],
    controlBlocks: blocks.map((vcpu) => {
      const address = ports.controlBlock(vcpu) >>> 0;
      const ready = look.guest(address + READY);
      const queues = Array.from({ length: FIFO.EVTCHN_FIFO_MAX_QUEUES }, (_, queue) =>
        snapshotQueue(look, vcpu, address, queue),
      ).filter(({ queue, head, tail }) => head !== 0 || tail !== 0 || ((ready >>> queue) & 1) === 1);
      return { vcpu: vcpu.vcpuId, address, ready, queues };
    }),
  };
}

function snapshotQueue(look: Onlooker, vcpu: HvVcpu, block: number, queue: number): QueueSnapshot {
  const head = look.guest(block + HEAD + queue * 4);
  const tail = look.state(vcpu.fifoAddress + FIFO_QUEUE_TAIL + queue * 4);
  return { queue, head, tail, ...follow(look, head) };
}

function follow(look: Onlooker, head: number): Pick<QueueSnapshot, 'linked' | 'ends'> {
  const linked: number[] = [];
  for (let port = head; port !== 0; ) {
    if (linked.length === MOST_LINKED) return { linked, ends: 'more' };
    if (linked.includes(port)) return { linked, ends: 'cycle' };
    const address = look.ports.eventWord(port);
    if (address === 0) return { linked, ends: 'no event word' };
    const word = look.guest(address);
    // The head of a queue that the guest has emptied stays as it was.
    if ((word & FIFO_MASKS.LINKED) === 0) return { linked, ends: port === head ? 'end' : 'not linked' };
    linked.push(port);
    port = word & FIFO_MASKS.LINK;
  }
  return { linked, ends: 'end' };
}
