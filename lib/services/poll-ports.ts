/**
 * How a service waits for its clients: asleep until one of its ports, all masked, is pending.
 *
 * Why no event is lost: a pending bit is cleared before what it stands for is looked at, and SCHEDOP_poll looks at the pending
 * bits again after it has announced the poller.
 */
import type { Vcpu } from '../guest/vcpu';

export class PollPorts {
  private readonly pending: number;

  constructor(
    private readonly vcpu: Vcpu,
    /** May grow and shrink between calls. */
    private readonly ports: ReadonlySet<number>,
  ) {
    this.pending = vcpu.sharedInfo.evtchn_pending.address;
  }

  /** Sleeps until there are events. Returns their ports, whose pending bits it has taken. */
  wait(): number[] {
    for (;;) {
      const found = this.take();
      if (found.length > 0) return found;
      this.vcpu.hypercall.sched.poll([...this.ports]);
    }
  }

  /** By bytes: the bitmap is shared with the other services. */
  private take(): number[] {
    const { memory } = this.vcpu;
    const masks = new Map<number, number>();
    for (const port of this.ports) masks.set(port >> 3, (masks.get(port >> 3) ?? 0) | (1 << (port & 7)));
    const found: number[] = [];
    for (const [byte, mask] of masks) {
      const address = this.pending + byte;
      if ((memory.read8(address) & mask) === 0) continue;
      const taken = memory.and8(address, ~mask) & mask;
      for (let bits = taken; bits !== 0; bits &= bits - 1) found.push(byte * 8 + 31 - Math.clz32(bits & -bits));
    }
    return found;
  }
}
