/**
 * Waiting for another vCPU to be done with something, asleep: a counter of completions, each of which lets one waiter
 * pass.
 *
 * A waiter publishes the completion's address in its kernel block and blocks; whoever completes sends an event to the
 * *wake port* of each vCPU that waits for it: an IPI whose handler does nothing, because being woken is all it is
 * for.
 *
 * Why no waiter is forgotten: the waiter publishes, then looks at the counter; the other raises the counter, then
 * looks for waiters. All are sequentially consistent, so at least one sees the other. Look and block are made
 * with upcalls disabled, see `haltUntil`. Waiters woken for nothing look and sleep again.
 *
 * @source Linux, kernel/sched/completion.c (what it offers; the means are our own)
 */
import type { Memory } from '../memory/memory';
import type { Events } from './events';
import { haltUntil } from './irq';
import { AWAITED, kernelBlock, WAKE_PORT } from './kernel-area';
import type { Vcpu, Word } from './vcpu';

/** What {@link Completion.completeAll} sets the counter to: far more than there will ever be waiters. */
const FOR_EVER = 0x4000_0000;

export class Completion {
  private readonly vcpu: Vcpu;
  private readonly memory: Memory;
  private readonly block: number;

  /**
   * Binds this vCPU's wake port if it has none yet.
   * @param events - of the vCPU that uses this object; each vCPU makes its own over the same word
   * @param word - the counter; 0 = nothing completed yet
   * @throws HypercallError ENOSPC
   */
  constructor(
    events: Events,
    private readonly word: Word,
  ) {
    this.vcpu = events.vcpu;
    this.memory = this.vcpu.memory;
    this.block = kernelBlock(this.vcpu);
    if (this.memory.read32(this.block + WAKE_PORT) === 0) {
      this.memory.store32(
        this.block + WAKE_PORT,
        events.bindIpi(() => {}),
      );
    }
  }

  /** Lets one waiter pass, now or when it comes. From any vCPU; from a handler too. */
  complete(): void {
    this.word.add(1);
    this.wakeWaiters();
  }

  /** Lets all waiters pass, those to come included. */
  completeAll(): void {
    this.word.store(FOR_EVER);
    this.wakeWaiters();
  }

  /** Passes if that is possible at once; returns whether it did. */
  tryWait(): boolean {
    for (let count = this.word.load(); count > 0; count = this.word.load()) {
      if (count >= FOR_EVER || this.word.compareExchange(count, count - 1) === count) return true;
    }
    return false;
  }

  /** Sleeps until it may pass. Not from a handler. Returns with upcalls enabled. */
  wait(): void {
    const { memory, block, word } = this;
    memory.store32(block + AWAITED, word.address);
    haltUntil(this.vcpu, () => this.tryWait());
    memory.store32(block + AWAITED, 0);
  }

  private wakeWaiters(): void {
    const { memory, vcpu, word } = this;
    for (let id = 0; id < vcpu.domain.vcpus; id++) {
      const block = kernelBlock(vcpu, id);
      if (id === vcpu.id || memory.load32(block + AWAITED) !== word.address) continue;
      vcpu.hypercall.evtchn.send(memory.load32(block + WAKE_PORT));
    }
  }
}
