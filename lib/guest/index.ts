/**
 * The guest kernel library: what a small paravirtual kernel links to. Entry point `upcall/guest`.
 *
 * Ordinary guest code over the {@link Vcpu} interface: it runs on threads with the guest and is explored with it.
 * A kernel makes its objects per vCPU, in the guest function; all they keep is in the domain's memory.
 */
export { GrantError, HypercallError } from '../abi';
export { type BarePorts, barePorts, bootPorts, PortBit, type PortBits } from './bare-ports';
export { Blkback, type BlkbackCounters, type BlkbackEnd } from './blkback';
export { Blkfront, type BlkfrontCounters, type BlockDeviceInfo, type BlockOperation } from './blkfront';
export { bringUp, placeVcpuInfo } from './boot';
export { readWallclock, scaleTicks, systemTimeNs, type Wallclock } from './clock';
export { Completion } from './completion';
export type { Disk, DiskPlace } from './disk';
export { Events } from './events';
export {
  copyFromGrant,
  copyToGrant,
  ForeignFrames,
  type GrantMapping,
  type GrantPart,
  GrantTable,
} from './grant-table';
export { forceUpcall, haltUntil, irqDisable, irqEnable, irqEnabled, irqRestore, irqSave } from './irq';
export { checkKernelArea, KERNEL_BLOCK, kernelBlock, kernelRanges, MAX_TIMERS } from './kernel-area';
export { Frames, LIBRARY_PAGE, libraryPage } from './library-page';
export { Mutex } from './mutex';
export { NET_FRAME_BYTES, type NetCounters, NetFront } from './net-front';
export { layWire, type Wire, WireError } from './net-wire';
export type { EventHandler } from './port-control';
export { printk } from './printk';
export { type ConsoleOptions, findConsole, PvConsole } from './pv-console';
export { PvSpinlock, SPINS_BEFORE_POLL } from './pv-spinlock';
export {
  BackRing,
  FrontRing,
  initialiseRing,
  RING_END_BYTES,
  RingError,
  type RingProtocol,
  type RingValue,
  ringSize,
} from './ring';
export type { ServicePlace } from './service-page';
export { Spinlock } from './spinlock';
export { Timer, type TimerCallback, Timers } from './timers';
export { Tty } from './tty';
export type {
  EventAbi,
  EvtchnHypercalls,
  EvtchnStatus,
  GrantCopyEnd,
  GrantHypercalls,
  GuestDomain,
  Hypercalls,
  RunstateInfo,
  SchedHypercalls,
  Vcpu,
  VcpuHypercalls,
  Word,
  Words,
} from './vcpu';
export { WaitQueue } from './wait-queue';
export { parseXenbusState, XenbusDevice } from './xenbus';
export { type Watch, type WatchHandler, Xenstore, type XenstoreNodes } from './xenstore';
export { findXenstore, type WatchEvent, XenstoreError } from './xenstore-client';
