/**
 * Locks of the hypervisor's over a domain that are not free. In a dump they tell what a thread was doing when it was ended, or
 * that a thread is at work.
 */

import { FIFO } from '../../abi/fifo';
import { GRANTS_PER_FRAME } from '../../hypervisor/image';
import {
  ACTIVE_GRANT_LOCK,
  CHANNEL_LOCK,
  DOMAIN_EVENT_LOCK,
  DOMAIN_SHUTDOWN_LOCK,
  DOMAIN_WATCHDOG_LOCK,
  FIFO_QUEUE_LOCK,
  GRANT_TABLE_LOCK,
  GRANT_TABLE_MAPTRACK_LOCK,
  VCPU_RUNSTATE_LOCK,
  VCPU_TIMER_LOCK,
  VCPU_VIRQ_LOCK,
} from '../../hypervisor/state-layout';
import { readersOf, WRITER, WRITER_WAITS } from '../../memory/lock-words';
import type { Onlooker } from './onlooker';
import type { LockSnapshot } from './schema';

/** So many are told. */
const MOST_LOCKS = 64;

export function snapshotLocks(look: Onlooker): LockSnapshot[] {
  const found: LockSnapshot[] = [];
  const add = (name: string, address: number): void => {
    const word = look.state(address);
    if (word === 0 || found.length >= MOST_LOCKS) return;
    const held = (word & WRITER) !== 0 ? 'write' : (word & WRITER_WAITS) !== 0 ? 'write wanted' : 'read';
    found.push({ name, held, readers: readersOf(word) });
  };
  const { domain } = look;
  add('domain.event_lock', DOMAIN_EVENT_LOCK);
  add('domain.shutdown_lock', DOMAIN_SHUTDOWN_LOCK);
  add('domain.watchdog_lock', DOMAIN_WATCHDOG_LOCK);
  for (const { vcpuId, address, fifoAddress } of domain.vcpus) {
    add(`vcpu[${vcpuId}].virq_lock`, address + VCPU_VIRQ_LOCK);
    add(`vcpu[${vcpuId}].timer_lock`, address + VCPU_TIMER_LOCK);
    add(`vcpu[${vcpuId}].runstate_lock`, address + VCPU_RUNSTATE_LOCK);
    if (!look.ports.usesFifo) continue;
    for (let queue = 0; queue < FIFO.EVTCHN_FIFO_MAX_QUEUES; queue++) {
      add(`fifo_vcpu[${vcpuId}].queue_lock[${queue}]`, fifoAddress + FIFO_QUEUE_LOCK + queue * 4);
    }
  }
  const valid = look.validPorts;
  for (let port = 0; port < valid; port++) add(`channel[${port}].lock`, domain.channelAddress(port) + CHANNEL_LOCK);
  add('grant_table.lock', domain.grantTableAddress + GRANT_TABLE_LOCK);
  add('grant_table.maptrack_lock', domain.grantTableAddress + GRANT_TABLE_MAPTRACK_LOCK);
  const entries = look.grantFrames * GRANTS_PER_FRAME;
  for (let ref = 0; ref < entries; ref++) {
    add(`active_grant[${ref}].lock`, domain.activeGrantAddress(ref) + ACTIVE_GRANT_LOCK);
  }
  return found;
}
