/**
 * What a machine's state looks like as data: in a dump file and on a control socket. The schemas check what is read from
 * either; the types are those of the schemas, so that the two cannot part.
 *
 * A field may be added: readers ignore what they do not know. Whatever else changes takes another version.
 */
import * as v from 'valibot';

/** A whole number from 0: a count, an id, an unsigned word. */
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/** Guest pseudo-physical address; 0: none. */
const address = count;
/** Time in ns. */
const ns = v.pipe(v.number(), v.minValue(0));
/** Numbers as ranges: `0-3,7`; empty for none. */
const ranges = v.pipe(v.string(), v.regex(/^(\d+(-\d+)?(,\d+(-\d+)?)*)?$/));
const hex = v.pipe(v.string(), v.regex(/^0x[0-9a-f]+$/));

export const VCPU_STATES = ['starting', 'running', 'blocked', 'polling', 'offline', 'finished'] as const;

export const vcpuSnapshot = v.object({
  id: count,
  state: v.picklist(VCPU_STATES),
  /** Bits of PauseFlag. */
  pauseFlags: count,
  /** The port SCHEDOP_poll waits for; -1: any of several; 0: it does not poll. */
  pollPort: v.pipe(v.number(), v.integer(), v.minValue(-1)),
  /** Guest address of its vcpu_info; 0: it has none. */
  info: address,
  /** The bytes evtchn_upcall_pending and evtchn_upcall_mask; on Arm the second is the interrupt mask of its processor. */
  upcallPending: count,
  upcallMask: count,
  /** evtchn_pending_sel. */
  selector: hex,
  /** How long it was in each state, in ns, the time since the last change included where the clock is known. */
  running: ns,
  blocked: ns,
  offline: ns,
  /** Deadlines of the timers that are armed: system time in ns. */
  timers: v.object({
    singleshot: v.optional(ns),
    periodic: v.optional(ns),
    poll: v.optional(ns),
  }),
});

export const channelSnapshot = v.object({
  port: count,
  /** ECS_*. */
  state: count,
  /** The vCPU that is notified. */
  vcpu: count,
  xenConsumer: v.boolean(),
  pending: v.boolean(),
  masked: v.boolean(),
  /** 2-level: the bit of the vCPU's selector that stands for it. */
  selected: v.optional(v.boolean()),
  /** FIFO: its event word, absent while there is none, and its priority. */
  word: v.optional(count),
  priority: v.optional(count),
  /** unbound, interdomain: the other domain; interdomain: the port there. */
  remoteDomain: v.optional(count),
  remotePort: v.optional(count),
  /** PIRQ, VIRQ: the number. */
  irq: v.optional(count),
  /** How often the port's pending bit went from 0 to 1. Absent where nobody counts. */
  edges: v.optional(count),
});

export const queueSnapshot = v.object({
  queue: count,
  /** The guest's: the port at the head of the queue. */
  head: count,
  /** The hypervisor's: the port it put on the queue last. */
  tail: count,
  /** The ports that are linked from the head on, the first ones. */
  linked: v.array(count),
  /** How the list goes on after those: 'end', 'more', or what is wrong with it. */
  ends: v.picklist(['end', 'more', 'cycle', 'no event word', 'not linked']),
});

export const fifoSnapshot = v.object({
  /** Guest addresses of the pages of the event array. */
  pages: v.array(address),
  controlBlocks: v.array(
    v.object({
      vcpu: count,
      address,
      ready: count,
      /** Those that are not empty, or were used. */
      queues: v.array(queueSnapshot),
    }),
  ),
});

export const lockSnapshot = v.object({
  /** As traces have it: `domain.event_lock`, `channel[5].lock`. */
  name: v.string(),
  held: v.picklist(['write', 'read', 'write wanted']),
  readers: count,
});

/** A grant that others use. */
export const activeGrantSnapshot = v.object({
  ref: count,
  /** Who uses it, and which frame. */
  domain: count,
  frame: count,
  /** Four counts of a byte, from the lowest: host writable, host read-only, device writable, device read-only. */
  pin: count,
  /** The entry of the table as the guest has it now; flags: GTF_*. */
  entry: v.object({ domain: count, frame: count, flags: count }),
});

/** A grant of another domain's that this one has mapped. */
export const mappingSnapshot = v.object({
  handle: count,
  domain: count,
  ref: count,
  /** GNTMAP_*. */
  flags: count,
  readonly: v.boolean(),
  /** Where in its window; absent where no page is known. */
  address: v.optional(address),
});

export const grantsSnapshot = v.object({
  /** Frames of the table, and as many as it may have; handles in use so far, likewise. */
  frames: count,
  maxFrames: count,
  maptrack: count,
  maxMaptrack: count,
  /** In order of references, and of handles. */
  active: v.array(activeGrantSnapshot),
  mappings: v.array(mappingSnapshot),
  /** Beyond those listed. */
  omitted: count,
});

/** The page a domain shares with a service of Domain-0. */
export const servicePageSnapshot = v.object({
  service: v.string(),
  address,
  connected: v.boolean(),
  /** xenstore: XENSTORE_ERROR_*. */
  error: v.optional(count),
  /** Indices run freely modulo 2^32. */
  rings: v.array(v.object({ name: v.string(), size: count, prod: count, cons: count })),
});

export const domainSnapshot = v.object({
  id: count,
  name: v.string(),
  abi: v.string(),
  events: v.picklist(['2l', 'fifo']),
  frames: count,
  status: v.picklist(['alive', 'dying', 'removed']),
  /** SHUTDOWN_* code; null: it has not been shut down. */
  shutdown: v.nullable(count),
  /** Ports that have a record, channels in use, and the highest port it may have. */
  validPorts: count,
  activePorts: count,
  maxPort: count,
  /** vCPUs whose bit in the poll mask is set. */
  polling: ranges,
  /** shared_info: the ports whose bits are set in the bitmaps (2-level ABI), and the wallclock. */
  sharedInfo: v.object({
    address,
    pending: ranges,
    masked: ranges,
    wcVersion: count,
    wcSec: count,
    wcNsec: count,
  }),
  vcpus: v.array(vcpuSnapshot),
  /** In order of ports; free ones are left out. */
  channels: v.array(channelSnapshot),
  /** Channels beyond those listed. */
  omittedChannels: count,
  fifo: v.optional(fifoSnapshot),
  /** Absent while nothing of it is used, and it uses nothing. */
  grants: v.optional(grantsSnapshot),
  /** Absent without services. */
  servicePages: v.optional(v.array(servicePageSnapshot)),
  /** Locks of the hypervisor's that somebody holds or waits for. */
  locks: v.array(lockSnapshot),
  /** The scenario's words. */
  words: v.array(v.object({ name: v.string(), address, value: v.pipe(v.number(), v.integer()) })),
});

export type VcpuState = (typeof VCPU_STATES)[number];
export type VcpuSnapshot = v.InferOutput<typeof vcpuSnapshot>;
export type ChannelSnapshot = v.InferOutput<typeof channelSnapshot>;
export type QueueSnapshot = v.InferOutput<typeof queueSnapshot>;
export type FifoSnapshot = v.InferOutput<typeof fifoSnapshot>;
export type ActiveGrantSnapshot = v.InferOutput<typeof activeGrantSnapshot>;
export type MappingSnapshot = v.InferOutput<typeof mappingSnapshot>;
export type GrantsSnapshot = v.InferOutput<typeof grantsSnapshot>;
export type ServicePageSnapshot = v.InferOutput<typeof servicePageSnapshot>;
export type LockSnapshot = v.InferOutput<typeof lockSnapshot>;
export type DomainSnapshot = v.InferOutput<typeof domainSnapshot>;
