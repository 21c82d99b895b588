/**
 * How often each port's pending bit went from 0 to 1, for who looks at a machine while it runs. Counted only where somebody may
 * look: threads that are given no table have an observer that counts nothing by port.
 *
 * Each thread counts in a row of its own, plainly: no word is written by two threads, and no line of cache shared by two rows.
 * Who looks adds the rows up, and may miss what is being counted.
 */
import { channelCapacity, type DomainConfig } from '../../hypervisor/image';

/** In doubles, so that counts never wrap. Two lines of cache: a buffer need not begin where a line does. */
const APART = 16;

/** Of a table: where each domain's ports begin in a row, and the length of a row. Domains by position. */
interface Shape {
  readonly first: readonly number[];
  readonly rowLength: number;
}

function shapeOf(configs: readonly DomainConfig[]): Shape {
  let next = 0;
  const first = configs.map((config) => {
    next += channelCapacity(config);
    return next - channelCapacity(config);
  });
  return { first, rowLength: next + APART };
}

/** @param threads - rows; pages of it that are never counted in take no memory */
export function createEdgeTable(configs: readonly DomainConfig[], threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(8 * shapeOf(configs).rowLength * threads);
}

/** One thread's access to the table. */
export class EdgeTable {
  private readonly counts: Float64Array;
  private readonly shape: Shape;
  /** Of the domain with that id, in this thread's row. */
  private readonly firstById: number[] = [];

  /** @param row - of this thread */
  constructor(buffer: SharedArrayBuffer, configs: readonly DomainConfig[], row: number) {
    this.counts = new Float64Array(buffer);
    this.shape = shapeOf(configs);
    for (const [index, { id }] of configs.entries()) {
      this.firstById[id] = row * this.shape.rowLength + (this.shape.first[index] as number);
    }
  }

  count(domainId: number, port: number): void {
    (this.counts[(this.firstById[domainId] as number) + port] as number)++;
  }

  /** @param domain - position of the domain */
  sum(domain: number, port: number): number {
    let sum = 0;
    const at = (this.shape.first[domain] as number) + port;
    for (let i = at; i < this.counts.length; i += this.shape.rowLength) sum += this.counts[i] as number;
    return sum;
  }
}
