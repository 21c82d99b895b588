/** A domain on the FIFO ABI, as tests look at it. */
import { FIFO_MASKS } from '../../../lib/abi';
import { wordAddress } from '../../../lib/hypervisor/event-array';
import type { HvDomain, HvVcpu } from '../../../lib/hypervisor/hypervisor';
import { FifoGuest } from '../../support/fifo-guest';
import type { TestMachine } from './machine';

/** Control blocks are in this frame, pages of the array follow. */
export const CONTROL_FRAME = 8;
export const CONTROL_BLOCK_SPACING = 128;
export const HEAD_OFFSET = 8;

export class FifoDomain {
  readonly domain: HvDomain;
  private readonly guests: readonly FifoGuest[];

  constructor(
    private readonly machine: TestMachine,
    domainId: number,
    pages = 1,
  ) {
    this.domain = machine.domain(domainId);
    const { vcpus } = this.domain;
    const { evtchn } = machine.hypervisor;
    this.guests = vcpus.map((vcpu) => new FifoGuest(vcpu));
    for (const { vcpuId } of vcpus) {
      const result = evtchn.initControl(this.boot, CONTROL_FRAME, vcpuId * CONTROL_BLOCK_SPACING, vcpuId);
      if (result !== 17) throw new Error(`init_control returned ${result}`);
    }
    for (let page = 0; page < pages; page++) this.addPage(page);
  }

  get boot(): HvVcpu {
    return this.domain.vcpus[0] as HvVcpu;
  }

  /** The number of the page in the array. */
  addPage(page: number): void {
    const result = this.machine.hypervisor.evtchn.expandArray(this.boot, CONTROL_FRAME + 1 + page);
    if (result !== 0) throw new Error(`expand_array returned ${result}`);
  }

  /** A port of the domain's that notifies a vCPU. */
  bindIpi(vcpuId: number): number {
    return this.machine.hypervisor.evtchn.bindIpi(this.boot, vcpuId);
  }

  send(port: number): void {
    const result = this.machine.hypervisor.evtchn.send(this.boot, port);
    if (result !== 0) throw new Error(`send returned ${result}`);
  }

  control(vcpuId: number): number {
    return CONTROL_FRAME * 4096 + vcpuId * CONTROL_BLOCK_SPACING;
  }

  head(vcpuId: number, priority: number): number {
    return this.domain.guest.read32(this.control(vcpuId) + HEAD_OFFSET + priority * 4);
  }

  ready(vcpuId: number): number {
    return this.domain.guest.read32(this.control(vcpuId));
  }

  wordAddress(port: number): number {
    return wordAddress(this.domain, port);
  }

  setBits(port: number, bits: number): void {
    this.domain.guest.or32(this.wordAddress(port), bits);
  }

  clearBits(port: number, bits: number): void {
    this.domain.guest.and32(this.wordAddress(port), ~bits);
  }

  /** The bits of a port's word by name, and its link: `PENDING LINKED 5`. */
  describe(port: number): string {
    const word = this.domain.guest.read32(this.wordAddress(port));
    const names = (['PENDING', 'MASKED', 'LINKED', 'BUSY'] as const).filter((name) => (word & FIFO_MASKS[name]) !== 0);
    return [...names, word & FIFO_MASKS.LINK].join(' ');
  }

  /** Serves everything on a vCPU's queues; returns the ports, in order. */
  consume(vcpuId: number): number[] {
    const vcpu = this.domain.vcpus[vcpuId] as HvVcpu;
    return (this.guests[vcpuId] as FifoGuest).consume(this.machine.hypervisor.vcpuInfoAddress(vcpu));
  }
}
