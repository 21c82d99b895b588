/**
 * A domain as an onlooker reads it, whoever runs it and whatever is in its memory: words by address, through nothing
 * but the given functions. No lock is taken, since a thread that was ended may hold it, and nothing is written.
 *
 * What is read may change meanwhile, and a guest's memory may hold anything. So every loop here and in its users is
 * bounded by numbers of the hypervisor's, clipped to what the ABI allows, and an address outside a buffer reads as 0.
 */
import type { DomainImage, MachineImage } from '../../hypervisor/image';
import type { HvDomain } from '../../hypervisor/machine';
import { type PeekDomain, PortView } from '../../hypervisor/port-view';
import { DOMAIN_VALID_EVTCHNS, GRANT_TABLE_NR_GRANT_FRAMES } from '../../hypervisor/state-layout';
import type { Peek } from '../invariants';

const TWO_TO_32 = 0x1_0000_0000;

export class Onlooker {
  readonly ports: PortView;

  constructor(
    readonly domain: HvDomain,
    private readonly peek: PeekDomain,
  ) {
    this.ports = new PortView(domain, peek);
  }

  /** A word of the domain's memory, unsigned. */
  guest(address: number): number {
    return this.peek.guest(address) >>> 0;
  }

  /** A word of the hypervisor's state for it, unsigned. */
  state(address: number): number {
    return this.peek.private(address) >>> 0;
  }

  /** A pair of words of that state. */
  statePair(address: number): number {
    return this.state(address) + this.state(address + 4) * TWO_TO_32;
  }

  /** Ports below this have a record. */
  get validPorts(): number {
    return Math.min(this.state(DOMAIN_VALID_EVTCHNS), this.domain.channelCapacity);
  }

  /** Frames its grant table has. */
  get grantFrames(): number {
    const { config, grantTableAddress } = this.domain;
    return Math.min(this.state(grantTableAddress + GRANT_TABLE_NR_GRANT_FRAMES), config.grantFrames);
  }
}

/** Words of a machine's buffers by domain, as they are at the moment. */
export function peekBuffers(image: MachineImage): Peek {
  const words = new Map(image.domains.map((domain) => [domain.config.id, wordsOf(domain)]));
  return {
    guest: (id, address) => words.get(id)?.guest[address >>> 2] ?? 0,
    private: (id, address) => words.get(id)?.state[address >>> 2] ?? 0,
  };
}

function wordsOf({ guest, private: state }: DomainImage): { readonly guest: Int32Array; readonly state: Int32Array } {
  return { guest: new Int32Array(guest), state: new Int32Array(state) };
}

/** Numbers that a test holds for, as ranges: `0-3,7`. */
export function rangesOf(count: number, holds: (number: number) => boolean): string {
  const ranges: string[] = [];
  for (let first = 0; first < count; first++) {
    if (!holds(first)) continue;
    let last = first;
    while (last + 1 < count && holds(last + 1)) last++;
    ranges.push(last === first ? String(first) : `${first}-${last}`);
    first = last;
  }
  return ranges.join();
}

/** A number in hexadecimal, 0x first, padded to so many digits. */
export function hexadecimal(value: number, digits = 1): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
