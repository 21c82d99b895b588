/**
 * The armed timers of a vCPU in order of deadline: a linked list of timer numbers, in words of its kernel block.
 * Not guarded here: the owner disables upcalls around each call.
 */
import type { Memory } from '../memory/memory';
import { TIMER_DEADLINE, TIMER_HEAD, TIMER_NEXT, TIMER_PERIOD } from './kernel-area';

const TWO_TO_32 = 0x1_0000_0000;

export class TimerQueue {
  private readonly head: number;

  /** @param block - address of the vCPU's kernel block */
  constructor(
    private readonly memory: Memory,
    private readonly block: number,
  ) {
    this.head = block + TIMER_HEAD;
  }

  /** The timer with the earliest deadline; -1 if none is armed. */
  first(): number {
    return this.memory.read32(this.head) - 1;
  }

  /** System time in ns; 0 if the timer is not armed. */
  deadline(timer: number): number {
    return this.read64(TIMER_DEADLINE, timer);
  }

  /** Nanoseconds; 0 for a one-shot timer. */
  period(timer: number): number {
    return this.read64(TIMER_PERIOD, timer);
  }

  /**
   * Arms a timer that is not armed. Of equal deadlines the one inserted first comes first.
   * @param deadlineNs - more than 0
   * @returns true if it is the first now
   */
  insert(timer: number, deadlineNs: number, periodNs: number): boolean {
    const { memory, head } = this;
    this.write64(TIMER_DEADLINE, timer, deadlineNs);
    this.write64(TIMER_PERIOD, timer, periodNs);
    let link = head;
    for (let next = memory.read32(link); next !== 0 && this.deadline(next - 1) <= deadlineNs; ) {
      link = this.nextOf(next - 1);
      next = memory.read32(link);
    }
    memory.write32(this.nextOf(timer), memory.read32(link));
    memory.write32(link, timer + 1);
    return link === head;
  }

  /**
   * Disarms a timer.
   * @returns true if it was the first
   */
  remove(timer: number): boolean {
    const { memory, head } = this;
    if (this.deadline(timer) === 0) return false;
    this.write64(TIMER_DEADLINE, timer, 0);
    let link = head;
    while (memory.read32(link) !== timer + 1) link = this.nextOf(memory.read32(link) - 1);
    memory.write32(link, memory.read32(this.nextOf(timer)));
    return link === head;
  }

  /** Address of the link from a timer to the one after it. */
  private nextOf(timer: number): number {
    return this.block + TIMER_NEXT + timer * 4;
  }

  private read64(field: number, timer: number): number {
    const address = this.block + field + timer * 8;
    return (this.memory.read32(address + 4) >>> 0) * TWO_TO_32 + (this.memory.read32(address) >>> 0);
  }

  private write64(field: number, timer: number, value: number): void {
    const address = this.block + field + timer * 8;
    this.memory.write32(address, value % TWO_TO_32);
    this.memory.write32(address + 4, Math.floor(value / TWO_TO_32));
  }
}
