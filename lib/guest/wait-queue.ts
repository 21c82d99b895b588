/**
 * Waiting, asleep, until another vCPU or a handler has changed something: whoever changes it wakes all that wait.
 *
 * A waiter publishes an address that stands for what it waits for in its kernel block and blocks; the waker sends an event
 * to the *wake port* of each vCPU that has published that address: an IPI whose handler does nothing, because being woken
 * is all it is for.
 *
 * Why no waiter is forgotten: the waiter publishes, then looks at its condition; the other makes the condition true, then
 * looks for waiters. All are sequentially consistent, so at least one sees the other. Look and block are made with upcalls
 * disabled, see `haltUntil`. Waiters woken for nothing look and sleep again.
 *
 * @source Linux, kernel/sched/wait.c (what it offers; the means are our own)
 */
import type { Memory } from '../memory/memory';
import type { Events } from './events';
import { haltUntil } from './irq';
import { AWAITED, kernelBlock, WAKE_PORT } from './kernel-area';
import type { Vcpu } from './vcpu';

export class WaitQueue {
  private readonly vcpu: Vcpu;
  private readonly memory: Memory;
  private readonly block: number;

  /**
   * Binds this vCPU's wake port if it has none yet.
   * @param events - of the vCPU that uses this object; each vCPU makes its own over the same address
   * @param address - tells one queue from another; not 0
   * @throws HypercallError ENOSPC
   */
  constructor(
    events: Events,
    private readonly address: number,
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

  /**
   * Sleeps until the condition holds. Not from a handler. Returns with upcalls enabled.
   * @param condition - evaluated with upcalls disabled; what makes it true is followed by {@link wakeAll}, or by an
   * upcall of this vCPU
   */
  wait(condition: () => boolean): void {
    const { memory, block } = this;
    memory.store32(block + AWAITED, this.address);
    haltUntil(this.vcpu, condition);
    memory.store32(block + AWAITED, 0);
  }

  /** Makes the waiters on all other vCPUs look again. From any vCPU; from a handler too. */
  wakeAll(): void {
    const { memory, vcpu, address } = this;
    for (let id = 0; id < vcpu.domain.vcpus; id++) {
      const block = kernelBlock(vcpu, id);
      if (id === vcpu.id || memory.load32(block + AWAITED) !== address) continue;
      vcpu.hypercall.evtchn.send(memory.load32(block + WAKE_PORT));
    }
  }
}
