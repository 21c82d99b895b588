/**
 * Requests and responses of the block protocol. They lie in one page with an sring header; how many depends on the ABI of the
 * front end, for the entries of 32-bit x86 are shorter.
 *
 * @source xen/include/public/io/blkif.h
 */
import type { Members } from '../struct';

/** A piece of a request: sectors of one granted frame. */
export const blkif_request_segment = {
  gref: 'uint32',
  /** First and last sector of the frame, 0..7, both included. */
  first_sect: 'uint8',
  last_sect: 'uint8',
} as const satisfies Members;

/** BLKIF_OP_READ, _WRITE, _WRITE_BARRIER and _FLUSH_DISKCACHE. */
export const blkif_request = {
  /** BLKIF_OP_*. */
  operation: 'uint8',
  nr_segments: 'uint8',
  /** The virtual device's number. */
  handle: 'uint16',
  /** Chosen by the front end, repeated in the response. */
  id: 'uint64',
  /** Where the first segment begins on the disk. */
  sector_number: 'uint64',
  seg: { type: 'struct blkif_request_segment', count: 11 },
} as const satisfies Members;

/** BLKIF_OP_DISCARD. */
export const blkif_request_discard = {
  operation: 'uint8',
  flag: 'uint8',
  handle: 'uint16',
  id: 'uint64',
  sector_number: 'uint64',
  nr_sectors: 'uint64',
} as const satisfies Members;

export const blkif_response = {
  id: 'uint64',
  operation: 'uint8',
  /** BLKIF_RSP_*. */
  status: 'int16',
} as const satisfies Members;
