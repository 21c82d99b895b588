/** Disks of a domain, as its drivers see the hardware: sectors, and nothing between a call and its result. */
export const SECTOR_BYTES = 512;

/** What a domain knows of one of its disks; plain data. */
export interface DiskPlace {
  readonly sectors: number;
  readonly readOnly: boolean;
  /** Where an engine keeps the sectors that has no file: behind the grant table of the domain's memory. */
  readonly address: number;
  /** The file that holds them when the domain runs on threads. */
  readonly file?: string;
}

/**
 * A disk. Calls return 0 or a negative errno, whatever the numbers: EINVAL for sectors that are not there or an address that is not
 * a multiple of 4, EFAULT for one outside the domain's memory and its window, EROFS, EIO. A page of the window at which nothing
 * is mapped, or not for writing, is a page fault as for any access.
 *
 * One call at a time: not from a handler.
 *
 * DIFFERS: a disk kept in memory has no volatile cache, so nothing that was written is lost without a flush.
 */
export interface Disk {
  /** Of 512 bytes. */
  readonly sectors: number;
  readonly readOnly: boolean;
  /** Brings `count` sectors from `sector` on to an address. */
  read(sector: number, count: number, address: number): number;
  write(sector: number, count: number, address: number): number;
  /** Returns when all that was written is on the disk. */
  flush(): number;
}
