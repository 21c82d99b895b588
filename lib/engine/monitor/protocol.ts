/** What goes over a control socket: see README.md. Schemas for the side that reads, types for both. */
import * as v from 'valibot';
import { domainSnapshot, vcpuSnapshot } from '../snapshot/schema';

export const PROTOCOL_VERSION = 1;
/** Longest line a client may send. */
export const MOST_REQUEST_BYTES = 4096;
/** Longest line a server sends: as large as a dump may be. */
export const MOST_REPLY_BYTES = 256 * 1024 * 1024;
/** Channels of a domain that are described unless a client asks for another number. */
export const DEFAULT_CHANNELS = 1024;

const count = v.pipe(v.number(), v.minValue(0));

/** The server's first line. */
export const greetingSchema = v.object({
  upcall: v.literal('control'),
  version: v.number(),
  /** Process that runs the machine. */
  pid: count,
});

export const requestSchema = v.object({
  /** Returned with the reply. */
  id: v.number(),
  request: v.literal('machine'),
  channels: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1 << 17))),
});

export const machineReport = v.object({
  scenario: v.string(),
  engine: v.picklist(['threads', 'stress']),
  seed: v.number(),
  /** How long the run has lasted. */
  elapsedNs: count,
  /** Stress: iterations that are over. */
  iterations: v.optional(count),
  domains: v.array(
    v.object({
      ...domainSnapshot.entries,
      vcpus: v.array(
        v.object({
          ...vcpuSnapshot.entries,
          upcalls: count,
          hypercalls: count,
          /** 0 -> 1 changes of the pending bit of ports that notify it. */
          events: count,
        }),
      ),
    }),
  ),
});

/** A reply, or the news that the run is over, after which the server closes the connection. */
export const replySchema = v.union([
  v.object({ id: v.number(), machine: machineReport }),
  v.object({ id: v.nullable(v.number()), error: v.object({ code: v.string(), message: v.string() }) }),
  v.object({ end: v.string() }),
]);

export type Greeting = v.InferOutput<typeof greetingSchema>;
export type Request = v.InferOutput<typeof requestSchema>;
export type Reply = v.InferOutput<typeof replySchema>;
export type MachineReport = v.InferOutput<typeof machineReport>;
export type ReportedDomain = MachineReport['domains'][number];
export type ReportedVcpu = ReportedDomain['vcpus'][number];
