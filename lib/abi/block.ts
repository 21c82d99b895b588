/**
 * The block protocol: what a front end asks of a disk, and what it is told.
 *
 * @source xen/include/public/io/blkif.h
 */

/** blkif_request.operation. */
export const BLKIF_OP = {
  BLKIF_OP_READ: 0,
  BLKIF_OP_WRITE: 1,
  /** A write behind all requests before it and ahead of all after it; when it is answered, it and they are on the disk. */
  BLKIF_OP_WRITE_BARRIER: 2,
  /** What was answered before is on the disk when this is answered. No segments. */
  BLKIF_OP_FLUSH_DISKCACHE: 3,
  BLKIF_OP_DISCARD: 5,
} as const;

/** blkif_response.status. */
export const BLKIF_RSP = {
  BLKIF_RSP_OKAY: 0,
  BLKIF_RSP_ERROR: -1,
  BLKIF_RSP_EOPNOTSUPP: -2,
} as const;

export const BLKIF_MAX_SEGMENTS_PER_REQUEST = 11;
/** Bytes of a sector as the protocol counts them, whatever the disk has. */
export const BLKIF_SECTOR_BYTES = 512;

/** Bits of the back end's `info` node. */
export const VDISK = { VDISK_CDROM: 1, VDISK_REMOVABLE: 2, VDISK_READONLY: 4 } as const;
