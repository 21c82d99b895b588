/** The hypervisor's memory of a thread that is ended at its n-th access. */
import { AtomicsMemory } from '../../../lib/memory/atomics-memory';
import type { LockHolder } from '../../../lib/memory/lock-words';
import type { Memory } from '../../../lib/memory/memory';

/** Thrown at the end, and by every access after it. */
export class Death extends Error {
  override readonly name = 'Death';
}

/** How many accesses a thread makes. One for all its memories. */
export class Life {
  accesses = 0;
  /** Called before the access that the thread does not make any more. */
  end: () => never = () => {
    throw new Death();
  };

  constructor(public limit = Number.POSITIVE_INFINITY) {}

  step(): void {
    if (++this.accesses > this.limit) this.end();
  }
}

const ACCESSES = [
  ...(['read', 'write', 'load', 'store', 'add', 'and', 'or', 'xor', 'exchange', 'compareExchange'] as const).flatMap(
    (name) => [`${name}8`, `${name}32`] as const,
  ),
  ...(['fence', 'wait32', 'notify32'] as const),
] as const;

type Access = (this: Memory, ...operands: number[]) => unknown;

export class MortalMemory extends AtomicsMemory {
  constructor(
    buffer: SharedArrayBuffer,
    holder: LockHolder,
    number: number,
    readonly life: Life,
  ) {
    super(buffer, holder, number);
  }

  // Notes are accesses too. Those of the locks are counted where the operations on locks make them.
  protected override note(address: number): void {
    this.life.step();
    super.note(address);
  }

  protected override crossOut(): void {
    this.life.step();
    super.crossOut();
  }
}

for (const name of ACCESSES) {
  const access = AtomicsMemory.prototype[name] as Access;
  Object.defineProperty(MortalMemory.prototype, name, {
    value(this: MortalMemory, ...operands: number[]) {
      this.life.step();
      return access.apply(this, operands);
    },
  });
}
