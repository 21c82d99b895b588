/** The console ring page: one ring for the guest's output, one for its input. Both ends of the console use it. */
import { type FieldLayout, layoutOf } from '../abi';
import type { Memory } from '../memory/memory';
import { ByteRing, type ByteRingPlace } from './byte-ring';

/** The same on every ABI. */
const { fields } = layoutOf('x86_64', 'xencons_interface');

function field(name: string): FieldLayout {
  return fields[name] as FieldLayout;
}

function placeOf(page: number, ring: 'in' | 'out'): ByteRingPlace {
  const { offset, size } = field(ring);
  return {
    bytes: page + offset,
    size,
    cons: page + field(`${ring}_cons`).offset,
    prod: page + field(`${ring}_prod`).offset,
  };
}

export class ConsolePage {
  /** From the guest. */
  readonly out: ByteRing;
  /** To the guest. */
  readonly in: ByteRing;
  private readonly connectionAddress: number;

  /**
   * @param address - of a struct xencons_interface in `memory`
   * @param limit - bytes that either ring may hold, see {@link ByteRing}; default what fits
   */
  constructor(
    private readonly memory: Memory,
    readonly address: number,
    limit?: number,
  ) {
    this.out = new ByteRing(memory, placeOf(address, 'out'), limit);
    this.in = new ByteRing(memory, placeOf(address, 'in'), limit);
    this.connectionAddress = address + field('connection').offset;
  }

  /** XENCONSOLE_CONNECTED when the back end serves the console. */
  connection(): number {
    return this.memory.load8(this.connectionAddress);
  }

  /** Back end only. */
  setConnection(state: number): void {
    this.memory.store8(this.connectionAddress, state);
  }
}
