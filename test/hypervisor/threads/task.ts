/** What a vCPU's worker of threads.test.ts is told, and what it reports. */
import type { MachineImage } from '../../../lib/hypervisor/image';

/** Words of the meeting place, a cache line apart. */
export const READY = 0;
export const GO = 64;
export const DONE = 128;

export interface VcpuTask {
  readonly image: MachineImage;
  readonly meeting: SharedArrayBuffer;
  readonly domainId: number;
  readonly vcpuId: number;
  readonly role: 'storm' | 'server' | 'client' | 'connect' | 'virq';
  readonly rounds: number;
  readonly seed: number;
  /** server and client: the port to send on. */
  readonly port: number;
  /** server and client: how they wait. */
  readonly waitBy: 'block' | 'poll';
}

export interface VcpuReport {
  /** Rounds that were finished. */
  readonly rounds: number;
  /** Results seen, by number of times. */
  readonly results: Readonly<Record<number, number>>;
}
