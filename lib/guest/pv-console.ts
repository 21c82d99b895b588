/**
 * Front end of the PV console: a stream of bytes out, a stream of bytes in, over a page and an event channel that the
 * toolstack has set up.
 *
 * Any vCPU may write and read. Writers take turns, so that what one write() passes on stays together; so do readers. One
 * vCPU, the *owner*, serves the event channel: the back end sends an event whenever it has taken output or brought
 * input, and the owner wakes the others that wait for it. The owner has to take upcalls: a kernel gives this to a vCPU
 * that idles in block(), as a rule vCPU 0.
 *
 * Both rings are also in the hands of the back end. If their indices contradict each other the operation ends with
 * -EINVAL, as in Linux.
 *
 * Why no wake-up is lost: the back end moves an index, then sends; the waiter looks at the index with upcalls disabled and
 * blocks. Either the look sees the new index, or the event comes after it, and ends the block (of the owner directly, of
 * another vCPU by the owner's wakeAll; see `WaitQueue`).
 *
 * Leaves out: writing from a handler. It would wait for a lock that the code it interrupts may hold.
 *
 * @source Linux, drivers/tty/hvc/hvc_xen.c; Mini-OS, console/xencons_ring.c
 */
import { Errno, HVM_PARAM } from '../abi';
import { Word32 } from '../memory/fields';
import { RING_CORRUPT } from './byte-ring';
import { ConsolePage } from './console-page';
import type { Events } from './events';
import { CONSOLE_IN_LOCK, CONSOLE_OUT_LOCK, kernelBlock } from './kernel-area';
import { Mutex } from './mutex';
import { findServicePage, type ServicePlace } from './service-page';
import type { Vcpu } from './vcpu';
import { WaitQueue } from './wait-queue';

export interface ConsoleOptions {
  /** The vCPU that serves the event channel; default 0. It has to make a PvConsole before others wait. */
  readonly owner?: number;
  /** Bytes either ring may hold, if fewer than fit: the back end has to agree. For exploration. */
  readonly limit?: number;
}

/**
 * Where this domain's console is.
 * @throws Error if it was built without one
 */
export function findConsole(vcpu: Vcpu): ServicePlace {
  const place = findServicePage(vcpu, {
    mfn: 'console.domU.mfn',
    evtchn: 'console.domU.evtchn',
    pfnParam: HVM_PARAM.HVM_PARAM_CONSOLE_PFN,
    evtchnParam: HVM_PARAM.HVM_PARAM_CONSOLE_EVTCHN,
  });
  if (place === undefined) throw new Error('this domain was built without a console: give the scenario console: true');
  return place;
}

export class PvConsole {
  private readonly vcpu: Vcpu;
  private readonly page: ConsolePage;
  private readonly port: number;
  private readonly outLock: Mutex;
  private readonly inLock: Mutex;
  private readonly waiters: WaitQueue;
  private readonly encoder = new TextEncoder();

  /**
   * Each vCPU makes its own; that of the owner binds the port.
   * @throws HypercallError ENOSPC: no port is left
   */
  constructor(events: Events, { page, port }: ServicePlace, options: ConsoleOptions = {}) {
    const { vcpu } = events;
    const { owner = 0, limit } = options;
    const shared = kernelBlock(vcpu, 0);
    this.vcpu = vcpu;
    this.port = port;
    this.page = new ConsolePage(vcpu.memory, page, limit);
    this.outLock = new Mutex(events, new Word32(vcpu.memory, shared + CONSOLE_OUT_LOCK));
    this.inLock = new Mutex(events, new Word32(vcpu.memory, shared + CONSOLE_IN_LOCK));
    this.waiters = new WaitQueue(events, page);
    if (vcpu.id === owner) events.bindEvtchn(port, () => this.waiters.wakeAll());
  }

  /**
   * Writes all of it, sleeping while the ring is full. Not from a handler.
   * @param text - a string goes out as UTF-8
   * @returns the number of bytes; -EINVAL: the ring is corrupt, some of them may be lost
   */
  write(text: string | Uint8Array): number {
    const bytes = typeof text === 'string' ? this.encoder.encode(text) : text;
    this.outLock.lock();
    const written = this.putAll(bytes);
    this.outLock.unlock();
    return written;
  }

  /**
   * Takes what input there is, sleeping until there is some. Not from a handler.
   * @param into - of at least one byte
   * @returns the number of bytes, at least 1; -EINVAL: the ring is corrupt
   */
  read(into: Uint8Array): number {
    this.inLock.lock();
    let taken = this.page.in.take(into);
    while (taken === 0) {
      this.waiters.wait(() => this.page.in.waiting() !== 0);
      taken = this.page.in.take(into);
    }
    this.inLock.unlock();
    return this.passOn(taken);
  }

  /** As {@link read}, but returns 0 at once if there is no input, or another vCPU waits for it. */
  tryRead(into: Uint8Array): number {
    if (!this.inLock.tryLock()) return 0;
    const taken = this.page.in.take(into);
    this.inLock.unlock();
    return taken === 0 ? 0 : this.passOn(taken);
  }

  private putAll(bytes: Uint8Array): number {
    let written = 0;
    while (written < bytes.length) {
      const count = this.page.out.put(bytes, written);
      if (count === RING_CORRUPT) return -Errno.EINVAL;
      written += count;
      if (count > 0) this.vcpu.hypercall.evtchn.send(this.port);
      else this.waiters.wait(() => this.page.out.room() !== 0);
    }
    return written;
  }

  /** Tells the back end that input was taken. */
  private passOn(taken: number): number {
    if (taken === RING_CORRUPT) return -Errno.EINVAL;
    this.vcpu.hypercall.evtchn.send(this.port);
    return taken;
  }
}
