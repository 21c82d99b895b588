/** All the locks of a machine, one after the other: for looking after those of a thread that died. */
import { FIFO } from '../abi/fifo';
import type { LockableMemory } from '../memory/memory';
import { nrGrantEntries } from './grant-entries';
import type { HvDomain, HvVcpu, Machine } from './machine';
import {
  ACTIVE_GRANT_LOCK,
  CHANNEL_LOCK,
  DOMAIN_EVENT_LOCK,
  DOMAIN_SHUTDOWN_LOCK,
  DOMAIN_WATCHDOG_LOCK,
  FIFO_QUEUE_LOCK,
  GRANT_TABLE_LOCK,
  GRANT_TABLE_MAPTRACK_LOCK,
  IRQ_LOCK,
  MACHINE_CONSOLE_LOCK,
  MACHINE_GLOBAL_VIRQ_HANDLERS_LOCK,
  MACHINE_TIME_LOCK,
  MACHINE_WALLCLOCK_LOCK,
  VCPU_RUNSTATE_LOCK,
  VCPU_TIMER_LOCK,
  VCPU_VIRQ_LOCK,
} from './state-layout';

/** Kinds of locks, from the last in the order of locks to the first: whoever holds one may wait for those before it. */
export type LockKind =
  | 'queue'
  | 'channel'
  | 'virq'
  | 'irq'
  | 'event'
  // The rest: nobody waits for another lock of these, or of the kinds above, while holding one, but for the VIRQs' handlers, and
  // for two grants of one table, the lower number first.
  | 'grant'
  | 'wallclock'
  | 'shutdown'
  | 'other';

/** A lock, and whose it is. */
export interface LockPlace {
  readonly kind: LockKind;
  readonly memory: LockableMemory;
  readonly address: number;
  readonly domain?: HvDomain;
  readonly vcpu?: HvVcpu;
  /** queue: its priority; channel: its port; irq: its number; grant: its reference. */
  readonly number?: number;
}

/**
 * Calls `visit` with the word of every lock of the machine. Channels that never were valid have no locks.
 * @param place - makes the whole of it; for few locks only, since there are many
 */
export function eachLock(machine: Machine, visit: (word: number, place: () => LockPlace) => void): void {
  const { global } = machine;
  const look = (place: LockPlace): void => visit(place.memory.load32(place.address), () => place);
  for (const domain of machine.domains) eachLockOf(domain, visit, look);
  for (let number = 0; number < machine.image.options.irqs; number++) {
    look({ kind: 'irq', memory: global, address: machine.irqAddress(number) + IRQ_LOCK, number });
  }
  look({ kind: 'wallclock', memory: global, address: MACHINE_WALLCLOCK_LOCK });
  for (const address of [MACHINE_GLOBAL_VIRQ_HANDLERS_LOCK, MACHINE_TIME_LOCK, MACHINE_CONSOLE_LOCK]) {
    look({ kind: 'other', memory: global, address });
  }
}

function eachLockOf(
  domain: HvDomain,
  visit: (word: number, place: () => LockPlace) => void,
  look: (place: LockPlace) => void,
): void {
  const memory = domain.state;
  for (let number = 0; domain.portIsValid(number); number++) {
    const address = domain.channelAddress(number) + CHANNEL_LOCK;
    visit(memory.load32(address), () => ({ kind: 'channel', memory, address, domain, number }));
  }
  for (const vcpu of domain.vcpus) {
    for (let number = 0; number < FIFO.EVTCHN_FIFO_MAX_QUEUES; number++) {
      look({ kind: 'queue', memory, address: vcpu.fifoAddress + FIFO_QUEUE_LOCK + number * 4, domain, vcpu, number });
    }
    look({ kind: 'virq', memory, address: vcpu.address + VCPU_VIRQ_LOCK, domain, vcpu });
    for (const offset of [VCPU_TIMER_LOCK, VCPU_RUNSTATE_LOCK]) {
      look({ kind: 'other', memory, address: vcpu.address + offset, domain, vcpu });
    }
  }
  look({ kind: 'event', memory, address: DOMAIN_EVENT_LOCK, domain });
  look({ kind: 'shutdown', memory, address: DOMAIN_SHUTDOWN_LOCK, domain });
  look({ kind: 'other', memory, address: DOMAIN_WATCHDOG_LOCK, domain });
  eachGrantLock(domain, visit, look);
}

/** Entries the table has not grown to were never used, nor their locks. */
function eachGrantLock(
  domain: HvDomain,
  visit: (word: number, place: () => LockPlace) => void,
  look: (place: LockPlace) => void,
): void {
  const { state: memory, grantTableAddress } = domain;
  const entries = nrGrantEntries(domain);
  for (let number = 0; number < entries; number++) {
    const address = domain.activeGrantAddress(number) + ACTIVE_GRANT_LOCK;
    visit(memory.load32(address), () => ({ kind: 'grant', memory, address, domain, number }));
  }
  for (const offset of [GRANT_TABLE_LOCK, GRANT_TABLE_MAPTRACK_LOCK]) {
    look({ kind: 'other', memory, address: grantTableAddress + offset, domain });
  }
}
