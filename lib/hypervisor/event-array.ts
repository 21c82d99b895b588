/**
 * Where the event words of a domain under the FIFO ABI lie: pages of the guest's memory, 1024 words each.
 *
 * @source xen/common/event_fifo.c (evtchn_fifo_word_from_port)
 */
import { FIFO_MASKS } from '../abi/fifo';
import type { HvDomain } from './machine';
import { FIFO_EVENT_ARRAY, FIFO_NUM_EVTCHNS } from './state-layout';

// Copies in this module: constants to the compiler, where an import is a property that is looked up per event.
const NUM_EVTCHNS = FIFO_NUM_EVTCHNS;
const EVENT_ARRAY = FIFO_EVENT_ARRAY;

/**
 * Guest address of a port's event word; 0 if there is no page for it yet.
 *
 * Order: the number of words is read first, then the page's address. expand_array stores them the other way round, the number
 * by an atomic store.
 */
export function wordAddress(domain: HvDomain, port: number): number {
  const { fifoAddress, state } = domain;
  if (port >= state.read32(fifoAddress + NUM_EVTCHNS)) return 0;
  return state.read32(fifoAddress + EVENT_ARRAY + (port >>> 10) * 4) + (port & 1023) * 4;
}

/** True while the guest has not taken the port off the queue it was linked on. */
export function isLinked(domain: HvDomain, port: number): boolean {
  const word = wordAddress(domain, port);
  return word !== 0 && (domain.guest.read32(word) & FIFO_MASKS.LINKED) !== 0;
}
