/**
 * What a guest under the FIFO ABI does to its own memory: plain changes of event words, and the recorder's event handler.
 */
import { FIFO_MASKS, layoutOf } from '../../lib/abi';
import { wordAddress } from '../../lib/hypervisor/event-array';
import type { HvDomain, HvVcpu } from '../../lib/hypervisor/machine';
import { DOMAIN_EVTCHN_FIFO, FIFO_CONTROL_BLOCK } from '../../lib/hypervisor/state-layout';

const { LINK, LINKED, MASKED, PENDING } = FIFO_MASKS;
const HEAD = layoutOf('x86_64', 'evtchn_fifo_control_block').fields.head?.offset as number;

export function isFifo(domain: HvDomain): boolean {
  return domain.state.read32(DOMAIN_EVTCHN_FIFO) !== 0;
}

/** Sets bits of a port's event word, if there is one. */
export function setEventBits(domain: HvDomain, port: number, bits: number): void {
  const word = wordAddress(domain, port);
  if (word !== 0) domain.guest.write32(word, domain.guest.read32(word) | bits);
}

/** Clears bits of a port's event word, if there is one. */
export function clearEventBits(domain: HvDomain, port: number, bits: number): void {
  const word = wordAddress(domain, port);
  if (word !== 0) domain.guest.write32(word, domain.guest.read32(word) & ~bits);
}

/** One vCPU's handler, with the heads it keeps for itself. */
export class FifoGuest {
  private readonly heads: number[] = new Array(16).fill(0);

  constructor(private readonly vcpu: HvVcpu) {}

  /**
   * Serves all events; returns their ports, in order.
   * @param info - address of the vCPU's vcpu_info
   */
  consume(info: number): number[] {
    const { guest, state } = this.vcpu.domain;
    const ports: number[] = [];
    guest.write8(info, 0);
    const control = state.read32(this.vcpu.fifoAddress + FIFO_CONTROL_BLOCK);
    if (control === 0) return ports;
    let ready = takeWord(this.vcpu, control);
    while (ready !== 0) {
      const queue = 31 - Math.clz32(ready & -ready);
      const port = this.heads[queue] || guest.read32(control + HEAD + queue * 4);
      const word = wordAddress(this.vcpu.domain, port);
      if (word === 0) {
        this.heads[queue] = 0;
        ready &= ~(1 << queue);
        continue;
      }
      const value = guest.read32(word);
      const link = value & LINK;
      guest.write32(word, value & ~(LINKED | LINK));
      if (link === 0) ready &= ~(1 << queue);
      this.heads[queue] = link;
      if ((value & PENDING) !== 0 && (value & MASKED) === 0) {
        guest.write32(word, value & ~(LINKED | LINK | PENDING));
        ports.push(port);
      }
      ready |= takeWord(this.vcpu, control);
    }
    return ports;
  }
}

function takeWord(vcpu: HvVcpu, address: number): number {
  const value = vcpu.domain.guest.read32(address);
  vcpu.domain.guest.write32(address, 0);
  return value;
}
