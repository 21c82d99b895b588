/** Names of the words that a domain has registered for the FIFO ABI, wherever it has put them. */
import { layoutOf } from '../abi/layouts';
import { PAGE_BYTES } from '../hypervisor/image';
import { EVENT_WORDS_PER_PAGE } from '../hypervisor/state-layout';
import { AddressNames } from '../memory/names';

const CONTROL_BLOCK = layoutOf('x86_64', 'evtchn_fifo_control_block');

/** Guest addresses of what is registered. */
export interface FifoPlaces {
  readonly controlBlocks: readonly { readonly vcpu: number; readonly address: number }[];
  /** Of the event array, in order. */
  readonly pages: readonly number[];
}

/** Names for what lies at the address; undefined where nothing of it does. */
export function fifoNamesAt({ controlBlocks, pages }: FifoPlaces, address: number): AddressNames | undefined {
  const block = controlBlocks.find((each) => address >= each.address && address < each.address + CONTROL_BLOCK.size);
  if (block !== undefined) {
    const name = `control_block[${block.vcpu}]`;
    return new AddressNames([{ name, address: block.address, layout: CONTROL_BLOCK }]);
  }
  const page = pages.findIndex((start) => address >= start && address < start + PAGE_BYTES);
  if (page < 0) return undefined;
  const word = address & ~3;
  const port = page * EVENT_WORDS_PER_PAGE + (word % PAGE_BYTES) / 4;
  return new AddressNames([{ name: `event_array[${port}]`, address: word, bits: { '': 'event word' } }]);
}
