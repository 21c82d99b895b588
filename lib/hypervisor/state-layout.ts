/**
 * Where the hypervisor's own mutable state lies: the private buffer of each domain (struct domain, struct vcpu,
 * struct evtchn, struct pirq, the FIFO ABI's and the grant table's) and the one buffer of the machine. Guests never see either.
 *
 * The tables have the shape of the ABI's structure tables, so that traces name these words as they name guest ones:
 * `domain.event_lock`, `vcpu[1].pause_flags`, `channel[5].state`. All-zero memory is the state before start of day; see
 * `image.ts` for what start of day adds.
 *
 * Placement follows who writes what: words that senders only read lie apart from those that change with every event, and
 * a channel has a cache line of its own.
 *
 * @source xen/include/xen/sched.h (struct domain, vcpu, evtchn), xen/common/event_fifo.c,
 * xen/common/grant_table.c, xen/arch/x86/irq.c (irq_guest_action_t)
 */

import { FIFO } from '../abi/fifo';
import { type StructLayout, structLayout } from '../abi/struct';
import { NR_VIRQS } from '../abi/virq';

/** No ABI's but the hypervisor's own: all fields are 32-bit words or pairs of them, so any ABI gives the same table. */
const HOST = 'x86_64';

/** Most vCPUs a domain may have. */
export const MAX_VCPUS = 128;
/** Most domains of a machine: the size of an IRQ's guest bitmap. */
export const MAX_DOMAINS = 256;
/** Characters of console input that wait to be read. */
export const CONSOLE_INPUT_BYTES = 128;
/** Watchdogs of a domain. */
export const NR_WATCHDOGS = 2;
/** Event words in a page of a FIFO event array. */
export const EVENT_WORDS_PER_PAGE = 1024;

/** struct domain. Locks are words of {@link LockableMemory}. */
export const DOMAIN = structLayout(HOST, 'domain', {
  /** Read-write. Written by whatever changes a channel, read by status. See `event-channel.ts`. */
  event_lock: 'uint32',
  // Guarded by event_lock.
  /** Channels that are not free; the reserved port 0 does not count. */
  active_evtchns: 'uint32',
  /** Of these, the ones the hypervisor itself consumes. */
  xen_evtchns: 'uint32',
  /** Port at which an interrupted reset goes on; 0: no reset is under way. */
  next_evtchn: 'uint32',
  // Guarded by shutdown_lock.
  shutdown_lock: 'uint32',
  /** SHUTDOWN_* plus 1; 0: none laid down yet. */
  shutdown_code: 'uint32',
  is_shutting_down: 'uint32',
  /** All vCPUs have stopped and the handler of VIRQ_DOM_EXC was told. */
  is_shut_down: 'uint32',
  /** How often the toolstack paused the domain. */
  controller_pause_count: 'uint32',
  /** Bit n: VMASST_TYPE n. */
  vm_assist: 'uint64',
  // Guarded by watchdog_lock.
  watchdog_lock: 'uint32',
  /** Bit n: watchdog n+1 is allocated. */
  watchdog_inuse_map: 'uint32',
  /** Guarded by event_lock. No channel below this is free. */
  first_free_evtchn: 'uint32',
  pad0: 'uint32',

  // Read by every send.
  /** DOMAIN_ALIVE, _DYING or _REMOVED. */
  status: 'uint32',
  /** Ports below this have a record. Grows in steps of 64 and never shrinks. */
  valid_evtchns: 'uint32',
  /** Bit v: vCPU v sits in SCHEDOP_poll. */
  poll_mask: { type: 'uint32', count: MAX_VCPUS / 32 },
  /** Guest address of the page registered with PHYSDEVOP_pirq_eoi_gmfn; 0: none. */
  pirq_eoi_map: 'uint32',
  /** The page was registered with version 1: EOI unmasks. */
  auto_unmask: 'uint32',
  /** Added to the machine's wallclock. */
  time_offset_seconds: 'int32',
  /** 1: the domain uses the FIFO ABI. Changed under event_lock; events follow the bit in their channel's state. */
  evtchn_fifo: 'uint32',
  /** System time in ns at which a watchdog that is allocated fires. */
  watchdog_deadline: { type: 'uint64', count: NR_WATCHDOGS },
  /** HVM parameters, see `hvm-params.ts`. */
  hvm_params: { type: 'uint32', count: 4 },
  pad2: { type: 'uint32', count: 14 },
});

/** struct vcpu. */
export const VCPU = structLayout(HOST, 'vcpu', {
  // Changes with every sleep and wake.
  /** PauseFlag bits. A sleeping thread waits on this word. */
  pause_flags: 'uint32',
  /** The port SCHEDOP_poll waits for; -1: any; 0: it does not poll. */
  poll_evtchn: 'int32',
  pad0: { type: 'uint32', count: 14 },

  // Senders read these; they hardly ever change.
  /** Guest address of its vcpu_info; 0: it has none and uses the machine's dummy. */
  vcpu_info: 'uint32',
  /** VCPUOP_register_vcpu_info was done; it can be done once. */
  vcpu_info_registered: 'uint32',
  /** VCPUOP_initialise was done. */
  is_initialised: 'uint32',
  /** Guest address of the registered vcpu_runstate_info; 0: none. */
  runstate_guest: 'uint32',
  /** The area was registered by physical address: always written with the update flag. */
  runstate_guest_phys: 'uint32',
  /** Guest address of the registered copy of vcpu_time_info; 0: none. */
  time_info_guest: 'uint32',
  /** 1: the processor's interrupt mask is set. Arm only; on x86 PV evtchn_upcall_mask takes its place. */
  irq_masked: 'uint32',
  /** MACHINE.time_generation when its vcpu_time_info was written last. */
  time_generation: 'uint32',
  pad1: { type: 'uint32', count: 8 },

  /** Read-write. Read by senders of VIRQs across look-up and delivery, written by close while it empties a slot. */
  virq_lock: 'uint32',
  /** Port of each VIRQ; 0: not bound. Global and domain VIRQs are in vCPU 0's table. */
  virq_to_evtchn: { type: 'uint32', count: NR_VIRQS },
  pad2: { type: 'uint32', count: 7 },

  // Guarded by timer_lock. Times in ns of system time.
  timer_lock: 'uint32',
  /** Bits TIMER_SINGLESHOT, _PERIODIC and _POLL: the deadline below means something. */
  timers_armed: 'uint32',
  singleshot_deadline: 'uint64',
  periodic_deadline: 'uint64',
  poll_deadline: 'uint64',
  /** 0: the periodic timer is off. */
  periodic_period: 'uint64',
  /** When it ticked last; 0: never. */
  periodic_last_event: 'uint64',
  pad3: { type: 'uint32', count: 4 },

  // Guarded by runstate_lock.
  runstate_lock: 'uint32',
  /** RUNSTATE_*. */
  runstate: 'uint32',
  runstate_entry_time: 'uint64',
  /** Time spent running, runnable, blocked, offline, without the span since the last change. */
  runstate_time: { type: 'uint64', count: 4 },
  pad4: { type: 'uint32', count: 4 },
});

/**
 * struct evtchn. State and binding change only under the domain's event_lock and the channel's lock, both held for writing;
 * FIFO_CHANNEL in the state is set under event_lock alone.
 */
export const CHANNEL = structLayout(HOST, 'channel', {
  /** Read-write. See `event-channel.ts`. */
  lock: 'uint32',
  /**
   * ECS_*, in bits 0-7; XEN_CONSUMER in bit 8; FIFO_CHANNEL in bit 9. One word, so that one read tells whether a guest may use
   * the channel, and by which ABI its events are delivered.
   */
  state: 'uint32',
  /** The vCPU that is notified. Changed under event_lock alone. */
  notify_vcpu_id: 'uint32',
  /** unbound: the domain that may connect; interdomain: the peer. */
  remote_domid: 'uint32',
  /** interdomain: the peer's port; pirq and virq: the number. */
  remote_port: 'uint32',

  // FIFO ABI. These outlive close and EVTCHNOP_reset.
  /** There was an event before there was an event word for it. */
  fifo_pending: 'uint32',
  /** Priority, XOR the default one: zero memory has the default. */
  fifo_priority: 'uint32',
  /** The queue it was last linked on: vCPU * 16 + priority. One word, so that the pair is never read in two halves. */
  fifo_last_queue: 'uint32',
  pad: { type: 'uint32', count: 8 },
});

/**
 * struct evtchn_fifo_domain. It and {@link FIFO_VCPU} lie behind the channels, all zero unless evtchn_fifo is
 * set: a domain that does not use the FIFO ABI never touches them.
 */
export const FIFO_DOMAIN = structLayout(HOST, 'fifo', {
  /** Ports below this have an event word: 1024 for each page of the array. Raised after the page's address is there. */
  num_evtchns: 'uint32',
  pad: { type: 'uint32', count: 15 },
  /** Guest address of each page of the event array. */
  event_array: { type: 'uint32', count: FIFO.EVTCHN_FIFO_NR_CHANNELS / EVENT_WORDS_PER_PAGE },
});

/** struct evtchn_fifo_vcpu. */
export const FIFO_VCPU = structLayout(HOST, 'fifo_vcpu', {
  /** Guest address of its control block; 0: none yet, its events are dropped. */
  control_block: 'uint32',
  pad: { type: 'uint32', count: 15 },
  /** Of each queue. Held for writing while an event is put on it; of two, the lower one by vCPU and priority goes first. */
  queue_lock: { type: 'uint32', count: FIFO.EVTCHN_FIFO_MAX_QUEUES },
  /** Port put on the queue last; 0: none. Guarded by the queue's lock. The guest may have taken it off since. */
  queue_tail: { type: 'uint32', count: FIFO.EVTCHN_FIFO_MAX_QUEUES },
  /** Port that is being put on the queue; 0: none. Guarded by the queue's lock: it matters if that is found held by a dead thread. */
  queue_port: { type: 'uint32', count: FIFO.EVTCHN_FIFO_MAX_QUEUES },
});

/**
 * struct grant_table: what the domain grants, and what it has mapped of others'. At the very end of the private buffer: this,
 * then a record for each entry of the grant table there may be, the window's pages, a record for each mapping.
 */
export const GRANT_TABLE = structLayout(HOST, 'grant_table', {
  /** Guards growth. */
  lock: 'uint32',
  /** Frames of the table in use. Grows and never shrinks. */
  nr_grant_frames: 'uint32',
  pad0: { type: 'uint32', count: 14 },
  /** Guards the rest. */
  maptrack_lock: 'uint32',
  /** Handles below this have been used. */
  maptrack_limit: 'uint32',
  /** First handle of those that are free again, plus 1; 0: none. */
  maptrack_head: 'uint32',
  pad1: { type: 'uint32', count: 13 },
});

/** struct active_grant_entry: a grant as it is used. Guarded by its lock. */
export const ACTIVE_GRANT = structLayout(HOST, 'active_grant', {
  lock: 'uint32',
  /** How often it is used: four counts of a byte, see `grant-entries.ts`. 0: not at all, and what follows means nothing. */
  pin: 'uint32',
  /** By whom. */
  domid: 'uint32',
  /** Which frame it was when that began. */
  frame: 'uint32',
});

/** struct grant_mapping: what a handle stands for. */
export const GRANT_MAPPING = structLayout(HOST, 'grant_mapping', {
  /** GNTMAP_*; 0: nothing is mapped. Changed under the lock of the grant it uses. */
  flags: 'uint32',
  /** The granting domain. */
  domid: 'uint32',
  ref: 'uint32',
  /** The next free handle plus 1, while this one is free. Guarded by maptrack_lock. */
  next: 'uint32',
});

/** struct pirq, for one domain. */
export const PIRQ = structLayout(HOST, 'pirq', {
  /** Port it is bound to; 0: not bound. Guarded by event_lock. */
  evtchn: 'uint32',
  /** It awaits the domain's EOI. Guarded by the IRQ's lock. */
  masked: 'uint32',
});

/** One machine IRQ: irq_desc and its irq_guest_action_t. Everything is guarded by the lock. */
export const IRQ = structLayout(HOST, 'irq', {
  lock: 'uint32',
  nr_guests: 'uint32',
  /** The first binder asked BIND_PIRQ__WILL_SHARE, and so did all others. */
  shareable: 'uint32',
  /** Guests whose EOI is awaited. */
  in_flight: 'uint32',
  /** The line was raised again while EOIs were awaited: it fires again with the last of them. */
  line: 'uint32',
  pad: 'uint32',
  /** System time in ns at which the missing EOIs are taken for given; 0: none is missing. */
  eoi_deadline: 'uint64',
  /** Bit i: the machine's i-th domain has it bound. */
  guests: { type: 'uint32', count: MAX_DOMAINS / 32 },
});

/** What the machine has once. IRQs follow. */
export const MACHINE = structLayout(HOST, 'machine', {
  global_virq_handlers_lock: 'uint32',
  /** Index of the handler domain plus 1; 0: the hardware domain. */
  global_virq_handlers: { type: 'uint32', count: NR_VIRQS },
  /** Serialises writers of the wallclock, of every domain. */
  wallclock_lock: 'uint32',
  /** Wallclock at system time 0. */
  wc_sec: 'uint32',
  wc_sec_hi: 'uint32',
  wc_nsec: 'uint32',
  /** Guards the next three. */
  time_lock: 'uint32',
  /** Counts calibrations, so that a vCPU sees whether its vcpu_time_info is out of date. */
  time_generation: 'uint32',
  pad0: 'uint32',
  /** Tick count, and system time in ns, at the last calibration. The clock runs at 1 GHz: they are equal. */
  time_stamp: 'uint64',
  console_lock: 'uint32',
  serial_rx_prod: 'uint32',
  serial_rx_cons: 'uint32',
  /** IRQs with an EOI outstanding. Atomic. */
  irqs_in_flight: 'uint32',
  serial_rx_ring: { type: 'uint8', count: CONSOLE_INPUT_BYTES },
  pad2: { type: 'uint32', count: 10 },
  /** Stands for the vcpu_info of every vCPU, of all domains, that has none. As in Xen, there is one for all of them. */
  dummy_vcpu_info: { type: 'uint32', count: 16 },
});

// Distance of one record to the next.
export const DOMAIN_BYTES = DOMAIN.size;
export const VCPU_BYTES = VCPU.size;
export const CHANNEL_BYTES = CHANNEL.size;
export const FIFO_DOMAIN_BYTES = FIFO_DOMAIN.size;
export const FIFO_VCPU_BYTES = FIFO_VCPU.size;
export const GRANT_TABLE_BYTES = GRANT_TABLE.size;
export const ACTIVE_GRANT_BYTES = ACTIVE_GRANT.size;
export const GRANT_MAPPING_BYTES = GRANT_MAPPING.size;
export const PIRQ_BYTES = PIRQ.size;
export const IRQ_BYTES = IRQ.size;
export const MACHINE_BYTES = MACHINE.size;

/** Channel records come into use this many at a time. */
export const EVTCHNS_PER_BUCKET = 64;

// Bits of VCPU.timers_armed.
export const TIMER_SINGLESHOT = 1;
export const TIMER_PERIODIC = 2;
export const TIMER_POLL = 4;

/** Values of {@link DOMAIN}.status. */
export const DOMAIN_ALIVE = 0;
/** All its ports are closed, it gets no new ones; it can still be named. */
export const DOMAIN_DYING = 1;
/** It cannot be named any more. */
export const DOMAIN_REMOVED = 2;

/** In {@link CHANNEL}.state: events at this channel are the hypervisor's. To the guest the channel is unusable. */
export const XEN_CONSUMER = 1 << 8;
/**
 * In {@link CHANNEL}.state: the FIFO ABI delivers this channel's events. Never in a channel that is free or the hypervisor's
 * own, so it means nothing there.
 */
export const FIFO_CHANNEL = 1 << 9;
/** In {@link CHANNEL}.state: the ECS_* number. */
export const STATE_MASK = 0xff;

/** Offset of a field in one of the tables above. */
function at(table: StructLayout, field: string): number {
  const layout = table.fields[field];
  if (layout === undefined) throw new Error(`${table.name} has no field ${field}`);
  return layout.offset;
}

export const DOMAIN_EVENT_LOCK = at(DOMAIN, 'event_lock');
export const DOMAIN_ACTIVE_EVTCHNS = at(DOMAIN, 'active_evtchns');
export const DOMAIN_XEN_EVTCHNS = at(DOMAIN, 'xen_evtchns');
export const DOMAIN_NEXT_EVTCHN = at(DOMAIN, 'next_evtchn');
export const DOMAIN_SHUTDOWN_LOCK = at(DOMAIN, 'shutdown_lock');
export const DOMAIN_SHUTDOWN_CODE = at(DOMAIN, 'shutdown_code');
export const DOMAIN_IS_SHUTTING_DOWN = at(DOMAIN, 'is_shutting_down');
export const DOMAIN_IS_SHUT_DOWN = at(DOMAIN, 'is_shut_down');
export const DOMAIN_CONTROLLER_PAUSE_COUNT = at(DOMAIN, 'controller_pause_count');
export const DOMAIN_VM_ASSIST = at(DOMAIN, 'vm_assist');
export const DOMAIN_WATCHDOG_LOCK = at(DOMAIN, 'watchdog_lock');
export const DOMAIN_WATCHDOG_INUSE_MAP = at(DOMAIN, 'watchdog_inuse_map');
export const DOMAIN_WATCHDOG_DEADLINE = at(DOMAIN, 'watchdog_deadline');
export const DOMAIN_STATUS = at(DOMAIN, 'status');
export const DOMAIN_VALID_EVTCHNS = at(DOMAIN, 'valid_evtchns');
export const DOMAIN_POLL_MASK = at(DOMAIN, 'poll_mask');
export const DOMAIN_PIRQ_EOI_MAP = at(DOMAIN, 'pirq_eoi_map');
export const DOMAIN_AUTO_UNMASK = at(DOMAIN, 'auto_unmask');
export const DOMAIN_TIME_OFFSET_SECONDS = at(DOMAIN, 'time_offset_seconds');
export const DOMAIN_FIRST_FREE_EVTCHN = at(DOMAIN, 'first_free_evtchn');
export const DOMAIN_HVM_PARAMS = at(DOMAIN, 'hvm_params');
export const DOMAIN_EVTCHN_FIFO = at(DOMAIN, 'evtchn_fifo');

export const VCPU_PAUSE_FLAGS = at(VCPU, 'pause_flags');
export const VCPU_POLL_EVTCHN = at(VCPU, 'poll_evtchn');
export const VCPU_INFO = at(VCPU, 'vcpu_info');
export const VCPU_INFO_REGISTERED = at(VCPU, 'vcpu_info_registered');
export const VCPU_IS_INITIALISED = at(VCPU, 'is_initialised');
export const VCPU_RUNSTATE_GUEST = at(VCPU, 'runstate_guest');
export const VCPU_RUNSTATE_GUEST_PHYS = at(VCPU, 'runstate_guest_phys');
export const VCPU_TIME_INFO_GUEST = at(VCPU, 'time_info_guest');
export const VCPU_IRQ_MASKED = at(VCPU, 'irq_masked');
export const VCPU_TIME_GENERATION = at(VCPU, 'time_generation');
export const VCPU_VIRQ_LOCK = at(VCPU, 'virq_lock');
export const VCPU_VIRQ_TO_EVTCHN = at(VCPU, 'virq_to_evtchn');
export const VCPU_TIMER_LOCK = at(VCPU, 'timer_lock');
export const VCPU_TIMERS_ARMED = at(VCPU, 'timers_armed');
export const VCPU_SINGLESHOT_DEADLINE = at(VCPU, 'singleshot_deadline');
export const VCPU_POLL_DEADLINE = at(VCPU, 'poll_deadline');
export const VCPU_PERIODIC_DEADLINE = at(VCPU, 'periodic_deadline');
export const VCPU_PERIODIC_PERIOD = at(VCPU, 'periodic_period');
export const VCPU_PERIODIC_LAST_EVENT = at(VCPU, 'periodic_last_event');
export const VCPU_RUNSTATE_LOCK = at(VCPU, 'runstate_lock');
export const VCPU_RUNSTATE = at(VCPU, 'runstate');
export const VCPU_RUNSTATE_ENTRY_TIME = at(VCPU, 'runstate_entry_time');
export const VCPU_RUNSTATE_TIME = at(VCPU, 'runstate_time');

export const CHANNEL_LOCK = at(CHANNEL, 'lock');
export const CHANNEL_STATE = at(CHANNEL, 'state');
export const CHANNEL_NOTIFY_VCPU_ID = at(CHANNEL, 'notify_vcpu_id');
export const CHANNEL_REMOTE_DOMID = at(CHANNEL, 'remote_domid');
export const CHANNEL_REMOTE_PORT = at(CHANNEL, 'remote_port');

export const CHANNEL_FIFO_PENDING = at(CHANNEL, 'fifo_pending');
export const CHANNEL_FIFO_PRIORITY = at(CHANNEL, 'fifo_priority');
export const CHANNEL_FIFO_LAST_QUEUE = at(CHANNEL, 'fifo_last_queue');

export const FIFO_NUM_EVTCHNS = at(FIFO_DOMAIN, 'num_evtchns');
export const FIFO_EVENT_ARRAY = at(FIFO_DOMAIN, 'event_array');
export const FIFO_CONTROL_BLOCK = at(FIFO_VCPU, 'control_block');
export const FIFO_QUEUE_LOCK = at(FIFO_VCPU, 'queue_lock');
export const FIFO_QUEUE_TAIL = at(FIFO_VCPU, 'queue_tail');
export const FIFO_QUEUE_PORT = at(FIFO_VCPU, 'queue_port');

export const GRANT_TABLE_LOCK = at(GRANT_TABLE, 'lock');
export const GRANT_TABLE_NR_GRANT_FRAMES = at(GRANT_TABLE, 'nr_grant_frames');
export const GRANT_TABLE_MAPTRACK_LOCK = at(GRANT_TABLE, 'maptrack_lock');
export const GRANT_TABLE_MAPTRACK_LIMIT = at(GRANT_TABLE, 'maptrack_limit');
export const GRANT_TABLE_MAPTRACK_HEAD = at(GRANT_TABLE, 'maptrack_head');

export const ACTIVE_GRANT_LOCK = at(ACTIVE_GRANT, 'lock');
export const ACTIVE_GRANT_PIN = at(ACTIVE_GRANT, 'pin');
export const ACTIVE_GRANT_DOMID = at(ACTIVE_GRANT, 'domid');
export const ACTIVE_GRANT_FRAME = at(ACTIVE_GRANT, 'frame');

export const GRANT_MAPPING_FLAGS = at(GRANT_MAPPING, 'flags');
export const GRANT_MAPPING_DOMID = at(GRANT_MAPPING, 'domid');
export const GRANT_MAPPING_REF = at(GRANT_MAPPING, 'ref');
export const GRANT_MAPPING_NEXT = at(GRANT_MAPPING, 'next');

export const PIRQ_EVTCHN = at(PIRQ, 'evtchn');
export const PIRQ_MASKED = at(PIRQ, 'masked');

export const IRQ_LOCK = at(IRQ, 'lock');
export const IRQ_NR_GUESTS = at(IRQ, 'nr_guests');
export const IRQ_SHAREABLE = at(IRQ, 'shareable');
export const IRQ_IN_FLIGHT = at(IRQ, 'in_flight');
export const IRQ_LINE = at(IRQ, 'line');
export const IRQ_EOI_DEADLINE = at(IRQ, 'eoi_deadline');
export const IRQ_GUESTS = at(IRQ, 'guests');

export const MACHINE_GLOBAL_VIRQ_HANDLERS_LOCK = at(MACHINE, 'global_virq_handlers_lock');
export const MACHINE_GLOBAL_VIRQ_HANDLERS = at(MACHINE, 'global_virq_handlers');
export const MACHINE_WALLCLOCK_LOCK = at(MACHINE, 'wallclock_lock');
export const MACHINE_WC_SEC = at(MACHINE, 'wc_sec');
export const MACHINE_WC_SEC_HI = at(MACHINE, 'wc_sec_hi');
export const MACHINE_WC_NSEC = at(MACHINE, 'wc_nsec');
export const MACHINE_TIME_LOCK = at(MACHINE, 'time_lock');
export const MACHINE_TIME_GENERATION = at(MACHINE, 'time_generation');
export const MACHINE_TIME_STAMP = at(MACHINE, 'time_stamp');
export const MACHINE_CONSOLE_LOCK = at(MACHINE, 'console_lock');
export const MACHINE_SERIAL_RX_PROD = at(MACHINE, 'serial_rx_prod');
export const MACHINE_SERIAL_RX_CONS = at(MACHINE, 'serial_rx_cons');
export const MACHINE_IRQS_IN_FLIGHT = at(MACHINE, 'irqs_in_flight');
export const MACHINE_DUMMY_VCPU_INFO = at(MACHINE, 'dummy_vcpu_info');
export const MACHINE_SERIAL_RX_RING = at(MACHINE, 'serial_rx_ring');
