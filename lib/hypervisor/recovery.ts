/**
 * What is left of a thread that was ended from outside while it ran hypervisor code: half-done changes under locks that nobody
 * releases, events that were raised and not announced. Xen has no part like this: there nothing ends a processor in the
 * middle of Xen.
 *
 * Whoever looks after the threads calls this, on one thread, when the dead thread can make no further access:
 * 1. {@link Recovery.releaseWritersLocks} at once. What a lock guards is made whole while the dead thread still holds it, so
 *    nobody sees it otherwise; then the lock is released.
 * 2. locks it held for reading, by the two halves of `lock-words.ts`. Readers leave nothing half done under them;
 * 3. {@link Recovery.announceAgain} for each domain that lives on;
 * 4. {@link Recovery.closeOff} for the domain of the dead thread, when all its vCPUs have stopped.
 *
 * Why every state in between is made whole:
 * - A channel's record means what its state word says, and that word is the last one written when a channel comes into use and
 *   the first one when it is freed. An interdomain channel has two ends, changed one after the other under both locks: an
 *   end whose other end does not point back is made to wait for that domain, as if the other had just been closed.
 * - Of a domain's channels, the counts and hints follow from the records. The VIRQ table too: its entry is filled after the
 *   channel's state and emptied before. A PIRQ has three parts, bound in one order and unbound in the reverse one: if one is
 *   missing the others are removed.
 * - IRQs: see {@link Pirqs.mend}. Event queues: see {@link FifoPorts.mendQueue}.
 * - Grants: the bits by which a granter sees that its grant is in use follow from the record's pin, which is written after they
 *   are set and before they are cleared. The pin itself may count a use of the dead thread's domain that has no mapping, or
 *   its mapping no window page: all that domain uses is given back when it is closed off, see `endUses`. Nobody else's
 *   uses are in the same pin. Free handles hang on a list whose head is written last; one that was just taken, or was to
 *   be given back, is lost to a domain that ends. Under the other locks of grant tables lies a single count.
 * - Under the other locks lie single words, pairs of words that are figures (times), or a ring whose index is written last.
 *   Deadlines of timers and watchdogs are the dead thread's own domain's, unless it was the timer thread: that ends the machine.
 * - An event is raised in steps: pending, selector or queue, upcall flag, wake-up. All of them but the first can be done
 *   again at any time: a guest finds nothing new, a sleeper looks and sleeps again. The first is done, or the event was not
 *   sent.
 *
 * What is not undone: an EVTCHNOP_reset of another domain that a control domain's thread did not finish. It stays under way,
 * and further ones give -EBUSY.
 *
 * The locks taken here are those of a patient memory: they throw StuckLockError if another dead thread that was not reported
 * yet holds one. Every method can then be called again, when what this thread holds itself was released in the same way.
 */
import { ECS_FREE, ECS_INTERDOMAIN, ECS_PIRQ, ECS_RESERVED, ECS_UNBOUND, ECS_VIRQ } from '../abi/event-channel';
import { takeFromWriter, WRITER_WAITS, writerOf } from '../memory/lock-words';
import { type Channels, consumerIsXen, ecsOf, isUsable } from './channels';
import type { EventChannels } from './event-channel';
import type { FifoPorts } from './event-fifo';
import type { FifoControl } from './fifo-control';
import { settleFlags } from './grant-entries';
import type { GrantTables } from './grant-table';
import { eachLock, type LockKind, type LockPlace } from './lock-list';
import type { HvDomain, HvVcpu, Machine } from './machine';
import type { Pirqs } from './pirq';
import { PauseFlag } from './platform';
import type { PortAbis } from './port-ops';
import type { Sched } from './sched';
import {
  DOMAIN_ACTIVE_EVTCHNS,
  DOMAIN_EVTCHN_FIFO,
  DOMAIN_FIRST_FREE_EVTCHN,
  DOMAIN_VALID_EVTCHNS,
  DOMAIN_XEN_EVTCHNS,
  STATE_MASK,
} from './state-layout';
import type { Time } from './time';
import type { VcpuState } from './vcpu-state';
import { isVcpuVirq, type Virqs } from './virq';

/** The order in which locks are looked after: from the last in the order of locks to the first. */
const ORDER: readonly LockKind[] = [
  'queue',
  'channel',
  'virq',
  'irq',
  'event',
  'grant',
  'wallclock',
  'shutdown',
  'other',
];

/** The parts of the hypervisor that know what their locks guard. */
export interface RecoveryParts {
  readonly machine: Machine;
  readonly channels: Channels;
  readonly abis: PortAbis;
  readonly fifoPorts: FifoPorts;
  readonly fifo: FifoControl;
  readonly vcpuState: VcpuState;
  readonly virqs: Virqs;
  readonly pirqs: Pirqs;
  readonly evtchn: EventChannels;
  readonly time: Time;
  readonly sched: Sched;
  readonly grants: GrantTables;
}

export class Recovery {
  constructor(private readonly parts: RecoveryParts) {}

  /**
   * Releases the locks that a dead thread held for writing, what they guard made whole. Marks that it waited for a lock are
   * taken back.
   * @param holder - its id as a holder of locks
   * @returns how many locks it held
   */
  releaseWritersLocks(holder: number): number {
    const held: LockPlace[] = [];
    eachLock(this.parts.machine, (word, place) => {
      if (writerOf(word) === holder) held.push(place());
      // A dead writer's mark would keep readers off for ever. Those of the living come back by themselves.
      if ((word & WRITER_WAITS) !== 0) place().memory.and32(place().address, ~WRITER_WAITS);
    });
    held.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
    for (const place of held) {
      this.makeWhole(place);
      takeFromWriter(place.memory, place.address);
    }
    if (held.some(({ kind }) => kind === 'irq')) this.parts.pirqs.recountInFlight();
    this.tellShutdowns();
    return held.length;
  }

  /**
   * Announces what is pending in a domain once more, and wakes whoever may have been about to be woken. Guests may see an upcall
   * that finds nothing, and a SCHEDOP_block or SCHEDOP_poll that ends early.
   */
  announceAgain(domain: HvDomain): void {
    for (let port = 1; domain.portIsValid(port); port++) this.announcePort(domain, port);
    for (const vcpu of domain.vcpus) this.wakeAgain(vcpu);
  }

  /**
   * Closes all channels of a domain that will not run again, so that its peers' ends wait for somebody, and gives back what it
   * uses of others' grants, as if it was destroyed. What others have mapped of its frames stays until they unmap it.
   */
  closeOff(domain: HvDomain): void {
    this.parts.evtchn.destroy(domain);
    this.parts.grants.release(domain);
  }

  /** Precondition: the dead thread holds the lock. */
  private makeWhole({ kind, domain, vcpu, number = 0 }: LockPlace): void {
    if (kind === 'queue') this.parts.fifoPorts.mendQueue(domain as HvDomain, vcpu as HvVcpu, number);
    else if (kind === 'channel') this.mendChannel(domain as HvDomain, number);
    else if (kind === 'irq') this.parts.pirqs.mend(number);
    else if (kind === 'event') this.mendDomain(domain as HvDomain);
    else if (kind === 'grant') settleFlags(domain as HvDomain, number);
    else if (kind === 'wallclock') this.parts.time.publishWallclocks();
  }

  private mendChannel(domain: HvDomain, port: number): void {
    const { channels } = this.parts;
    const state = channels.state(domain, port);
    const marks = state & ~STATE_MASK;
    const vcpuId = channels.notifyVcpu(domain, port).vcpuId;
    const remoteDomid = channels.remoteDomid(domain, port);
    if (ecsOf(state) === ECS_FREE) channels.write(domain, port, ECS_FREE, 0, 0, 0);
    else if (ecsOf(state) === ECS_UNBOUND) channels.write(domain, port, state, vcpuId, remoteDomid, 0);
    else if (ecsOf(state) === ECS_INTERDOMAIN && !this.isAnswered(domain, port)) {
      channels.write(domain, port, ECS_UNBOUND | marks, vcpuId, remoteDomid, 0);
    }
  }

  /** True if the other end of an interdomain channel points back. */
  private isAnswered(domain: HvDomain, port: number): boolean {
    const { channels, machine } = this.parts;
    const peer = machine.peer(channels.remoteDomid(domain, port));
    const peerPort = channels.remotePort(domain, port);
    return (
      peer.portIsValid(peerPort) &&
      ecsOf(channels.state(peer, peerPort)) === ECS_INTERDOMAIN &&
      channels.remoteDomid(peer, peerPort) === domain.id &&
      channels.remotePort(peer, peerPort) === port
    );
  }

  /** What the event_lock guards. The locks below it that the dead thread held are free by now. */
  private mendDomain(domain: HvDomain): void {
    const { channels, pirqs, virqs } = this.parts;
    for (let port = 1; domain.portIsValid(port); port++) {
      const ecs = ecsOf(channels.state(domain, port));
      if (ecs === ECS_VIRQ) {
        const virq = channels.remotePort(domain, port);
        const holder = isVcpuVirq(virq) ? channels.notifyVcpu(domain, port) : (domain.vcpus[0] as HvVcpu);
        virqs.fillSlot(holder, virq, port);
      } else if (ecs === ECS_PIRQ && pirqs.port(domain, channels.remotePort(domain, port)) !== port) {
        this.freeChannel(domain, port);
      }
    }
    for (const pirq of domain.config.pirqs) if (this.parts.machine.pirqExists(pirq)) this.mendPirq(domain, pirq);
    if (domain.state.read32(DOMAIN_EVTCHN_FIFO) === 0) this.parts.fifo.forget(domain);
    this.recount(domain);
  }

  /** A PIRQ is bound wholly or not at all: the guest's entry, its bit in the IRQ's record, the channel. */
  private mendPirq(domain: HvDomain, pirq: number): void {
    const { channels, pirqs } = this.parts;
    const port = pirqs.port(domain, pirq);
    const isGuest = pirqs.isGuest(domain, pirq);
    const bound = port !== 0 && ecsOf(channels.state(domain, port)) === ECS_PIRQ;
    if (port !== 0 && bound && isGuest) return;
    if (isGuest) pirqs.guestUnbind(domain, pirq);
    pirqs.setPort(domain, pirq, 0);
    if (bound) this.freeChannel(domain, port);
  }

  private freeChannel(domain: HvDomain, port: number): void {
    this.parts.channels.writeLock(domain, port);
    this.parts.channels.free(domain, port);
    this.parts.channels.writeUnlock(domain, port);
  }

  private recount(domain: HvDomain): void {
    const { channels } = this.parts;
    const valid = domain.state.read32(DOMAIN_VALID_EVTCHNS);
    let active = 0;
    let xen = 0;
    let firstFree = valid;
    for (let port = valid - 1; port >= 0; port--) {
      const state = channels.state(domain, port);
      if (ecsOf(state) === ECS_FREE) firstFree = port;
      else if (ecsOf(state) !== ECS_RESERVED) active++;
      if (consumerIsXen(state)) xen++;
    }
    domain.state.write32(DOMAIN_ACTIVE_EVTCHNS, active);
    domain.state.write32(DOMAIN_XEN_EVTCHNS, xen);
    domain.state.write32(DOMAIN_FIRST_FREE_EVTCHN, firstFree);
  }

  /** A thread may have laid down that a domain shuts down, and died before it told the engine. Telling it twice does nothing. */
  private tellShutdowns(): void {
    const { machine, sched } = this.parts;
    for (const domain of machine.domains) {
      const code = sched.shutdownCodeOf(domain);
      if (code !== undefined) machine.platform.domainShutdown(domain.id, code);
    }
  }

  private announcePort(domain: HvDomain, port: number): void {
    const { abis, channels, fifoPorts, vcpuState } = this.parts;
    channels.readLock(domain, port);
    const state = channels.state(domain, port);
    if (isUsable(state) && abis.of(state).isPending(domain, port) && !abis.of(state).isMasked(domain, port)) {
      const vcpu = channels.notifyVcpu(domain, port);
      if (abis.of(state) === fifoPorts) {
        fifoPorts.setPending(domain, vcpu, port);
      } else {
        vcpuState.announce(vcpu, port >>> domain.evtchnWordShift);
        vcpuState.markEventsPending(vcpu);
      }
    }
    channels.readUnlock(domain, port);
  }

  /**
   * Ends the vCPU's sleep if it is in one: a waker takes the marks of a poll away before it clears BLOCKED, so what is left does
   * not tell a sleep that was about to be ended from another.
   */
  private wakeAgain(vcpu: HvVcpu): void {
    const { state } = vcpu.domain;
    this.parts.fifoPorts.announceAgain(vcpu);
    this.parts.vcpuState.unblock(vcpu);
    // Somebody may have cleared a flag and died before it notified.
    if ((state.load32(vcpu.pauseFlagsAddress) & PauseFlag.PARKED) !== 0) state.notify32(vcpu.pauseFlagsAddress);
  }
}
