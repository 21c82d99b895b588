/**
 * The machine a sequence starts from, and what is seen of it after each step: kicks, wakes, events at the hypervisor's
 * own ports, and every changed word of guest memory.
 */

import { type HvDomain, type HvVcpu, Hypervisor } from '../../lib/hypervisor/hypervisor';
import {
  createMachineImage,
  type DomainConfig,
  domainConfig,
  type MachineImage,
  PAGE_BYTES,
} from '../../lib/hypervisor/image';
import { type Observer, PauseFlag, type Platform } from '../../lib/hypervisor/platform';
import { initialiseMachine } from '../../lib/hypervisor/start-of-day';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import { FifoGuest, isFifo } from '../support/fifo-guest';
import { type Sequence, type VectorDomain, VectorFormatError } from './vectors';

const SHARED_INFO_FRAME = 1;
/** Arguments of raw hypercalls; not compared. */
export const SCRATCH_FRAME = 3;
/** Guest page g of a sequence is this frame plus g. */
export const FIRST_GFN_FRAME = 8;
const GFNS = 8;
const READ_ONLY_GFN = 7;
const FRAMES = FIRST_GFN_FRAME + GFNS;
const IRQS = 16;

function configOf(domain: VectorDomain): DomainConfig {
  return domainConfig({
    id: domain.id,
    abi: domain.width === 64 ? 'x86_64' : 'x86_32',
    vcpus: domain.vcpus,
    maxPort: domain.max_port,
    privileged: domain.privileged === 1,
    hardwareDomain: domain.hwdom === 1,
    pirqs: domain.pirqs ?? [],
    frames: FRAMES,
    sharedInfoFrame: SHARED_INFO_FRAME,
    mappable: { from: FIRST_GFN_FRAME, to: FRAMES },
    readOnlyFrames: [FIRST_GFN_FRAME + READ_ONLY_GFN],
    periodicTimerNs: 0,
    timekeeping: false,
  });
}

/** What one step did besides its result. */
export class Effects implements Observer {
  kicks: number[][] = [];
  wakes: number[][] = [];
  xen: number[][] = [];

  clear(): void {
    this.kicks = [];
    this.wakes = [];
    this.xen = [];
  }

  kicked(domainId: number, vcpuId: number): void {
    this.kicks.push([domainId, vcpuId]);
  }

  woken(domainId: number, vcpuId: number): void {
    this.wakes.push([domainId, vcpuId]);
  }

  raised(): void {}

  xenConsumer(domainId: number, vcpuId: number, port: number): void {
    this.xen.push([domainId, vcpuId, port]);
  }
}

/** A vCPU that sleeps shows it in its pause flags; nobody waits here. Time stands still. */
const platform: Platform = {
  now: () => 0,
  deschedule() {},
  yield() {},
  timerChanged() {},
  consoleWrite() {},
  domainShutdown() {},
};

/** A domain's memory as it was after the step before. */
class Watch {
  private readonly now: Buffer;
  private readonly words: Int32Array;
  private readonly before: Buffer;
  private readonly beforeWords: Int32Array;

  constructor(
    readonly domain: HvDomain,
    memory: SharedArrayBuffer,
  ) {
    this.now = Buffer.from(memory);
    this.words = new Int32Array(memory);
    const copy = new ArrayBuffer(memory.byteLength);
    this.before = Buffer.from(copy);
    this.beforeWords = new Int32Array(copy);
    this.accept();
  }

  accept(): void {
    this.now.copy(this.before);
  }

  /** Calls back for each word that differs, with its new value, and takes over the new values. */
  changes(found: (frame: number, offset: number, value: number) => void): void {
    if (this.now.equals(this.before)) return;
    for (let i = 0; i < this.words.length; i++) {
      if (this.words[i] === this.beforeWords[i]) continue;
      const frame = Math.floor((i * 4) / PAGE_BYTES);
      if (frame !== SCRATCH_FRAME) found(frame, (i * 4) % PAGE_BYTES, (this.words[i] as number) >>> 0);
    }
    this.accept();
  }

  /** Non-zero words of the shared page. */
  sharedPage(): number[][] {
    const page: number[][] = [];
    const first = (SHARED_INFO_FRAME * PAGE_BYTES) / 4;
    for (let i = 0; i < PAGE_BYTES / 4; i++) {
      const value = (this.words[first + i] as number) >>> 0;
      if (value !== 0) page.push([i * 4, value]);
    }
    return page;
  }
}

export class VectorMachine {
  readonly effects = new Effects();
  /** The recorder's FIFO guests, by domain and vCPU, while the domain uses the FIFO ABI. */
  private readonly fifoGuests = new Map<HvVcpu, FifoGuest>();
  readonly hypervisor: Hypervisor;
  private readonly image: MachineImage;
  private readonly watches: readonly Watch[];

  constructor(sequence: Sequence) {
    this.image = createMachineImage(sequence.domains.map(configOf), {
      irqs: IRQS,
      unmappedIrqs: sequence.pirq_unmapped,
      irqEoiTimeoutNs: 0,
    });
    this.hypervisor = new Hypervisor(this.image, (buffer) => new AtomicsMemory(buffer), platform, this.effects);
    initialiseMachine(this.hypervisor);
    for (const domain of sequence.domains) this.prepare(this.domain(domain.id), domain);
    this.watches = this.hypervisor.domains.map(
      (domain, i) => new Watch(domain, (this.image.domains[i] as MachineImage['domains'][number]).guest),
    );
  }

  /** @throws VectorFormatError for a domain the sequence does not have */
  domain(id: number): HvDomain {
    const domain = this.hypervisor.domain(id);
    if (domain === undefined) throw new VectorFormatError(`there is no domain ${id}`);
    return domain;
  }

  /** @throws VectorFormatError for a vCPU the sequence does not have */
  vcpu(domainId: number, vcpuId: number): HvVcpu {
    const vcpu = this.domain(domainId).vcpu(vcpuId);
    if (vcpu === undefined) throw new VectorFormatError(`there is no vCPU ${vcpuId} in domain ${domainId}`);
    return vcpu;
  }

  fifoGuest(vcpu: HvVcpu): FifoGuest {
    let guest = this.fifoGuests.get(vcpu);
    if (guest === undefined) {
      guest = new FifoGuest(vcpu);
      this.fifoGuests.set(vcpu, guest);
    }
    return guest;
  }

  /** After a step: the guests of a domain that has left the FIFO ABI have no heads left over from it. */
  noteAbis(): void {
    for (const vcpu of this.fifoGuests.keys()) if (!isFifo(vcpu.domain)) this.fifoGuests.delete(vcpu);
  }

  isBlocked(vcpu: HvVcpu): boolean {
    return (vcpu.domain.state.load32(vcpu.pauseFlagsAddress) & PauseFlag.BLOCKED) !== 0;
  }

  /** Words that changed since the last call: of shared pages, and of guest pages. */
  memoryChanges(): { chg: number[][]; mem: number[][] } {
    const chg: number[][] = [];
    const mem: number[][] = [];
    for (const watch of this.watches) {
      watch.changes((frame, offset, value) => {
        if (frame === SHARED_INFO_FRAME) chg.push([watch.domain.id, offset, value]);
        else mem.push([watch.domain.id, frame - FIRST_GFN_FRAME, offset, value]);
      });
    }
    return { chg, mem };
  }

  sharedPage(domain: HvDomain): number[][] {
    return (this.watches[domain.index] as Watch).sharedPage();
  }

  /** Overwrites what our start of day put into the shared page with what the sequence starts from. */
  private prepare(domain: HvDomain, vector: VectorDomain): void {
    const memory = new Uint8Array((this.image.domains[domain.index] as MachineImage['domains'][number]).guest);
    memory.fill(0);
    if (vector.mask === 1) memory.fill(0xff, domain.maskAddress, domain.maskAddress + domain.maxEvtchns / 8);
    if (vector.upcall_mask !== 1) return;
    for (const vcpu of domain.vcpus) {
      const info = this.hypervisor.vcpuInfoAddress(vcpu);
      if (info !== 0) memory[info + 1] = 1;
    }
  }
}
