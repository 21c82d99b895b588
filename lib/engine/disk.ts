/**
 * Disks as hardware: sectors come from a {@link SectorStore} and go to a vCPU's memory. The deterministic engines and stress keep
 * them in the domain's memory, behind its grant table, so that they are reset, explored and replayed with it.
 */
import { Errno } from '../abi/errno';
import { type Disk, type DiskPlace, SECTOR_BYTES } from '../guest/disk';
import type { Memory } from '../memory/memory';

/** Most sectors moved at a time. */
const CHUNK_SECTORS = 88;

/** Where sectors are kept. Lengths are whole sectors, and inside the disk. Results are 0 or -errno. */
export interface SectorStore {
  /** @param into - filled from its start, for `count` sectors */
  readSectors(sector: number, count: number, into: Uint8Array): number;
  writeSectors(sector: number, count: number, from: Uint8Array): number;
  flush(): number;
}

/** Sectors in memory. */
export class MemorySectors implements SectorStore {
  constructor(
    private readonly memory: Memory,
    private readonly address: number,
  ) {}

  readSectors(sector: number, count: number, into: Uint8Array): number {
    toWords(this.memory, this.address + sector * SECTOR_BYTES, wordsOf(into), count);
    return 0;
  }

  writeSectors(sector: number, count: number, from: Uint8Array): number {
    fromWords(this.memory, this.address + sector * SECTOR_BYTES, wordsOf(from), count);
    return 0;
  }

  flush(): number {
    return 0;
  }
}

/** A disk of a domain for one of its vCPUs. */
export class HostDisk implements Disk {
  readonly sectors: number;
  readonly readOnly: boolean;
  /** Scratch. */
  private readonly $bytes = new Uint8Array(CHUNK_SECTORS * SECTOR_BYTES);
  private readonly $words = wordsOf(this.$bytes);

  /** @param memory - the vCPU's, with its window */
  constructor(
    place: DiskPlace,
    private readonly store: SectorStore,
    private readonly memory: Memory,
  ) {
    this.sectors = place.sectors;
    this.readOnly = place.readOnly;
  }

  read(sector: number, count: number, address: number): number {
    const mistake = this.check(sector, count, address);
    if (mistake !== 0) return mistake;
    for (let done = 0; done < count; done += CHUNK_SECTORS) {
      const part = Math.min(CHUNK_SECTORS, count - done);
      const failed = this.store.readSectors(sector + done, part, this.$bytes);
      if (failed !== 0) return failed;
      fromWords(this.memory, address + done * SECTOR_BYTES, this.$words, part);
    }
    return 0;
  }

  write(sector: number, count: number, address: number): number {
    if (this.readOnly) return -Errno.EROFS;
    const mistake = this.check(sector, count, address);
    if (mistake !== 0) return mistake;
    for (let done = 0; done < count; done += CHUNK_SECTORS) {
      const part = Math.min(CHUNK_SECTORS, count - done);
      toWords(this.memory, address + done * SECTOR_BYTES, this.$words, part);
      const failed = this.store.writeSectors(sector + done, part, this.$bytes);
      if (failed !== 0) return failed;
    }
    return 0;
  }

  flush(): number {
    return this.store.flush();
  }

  private check(sector: number, count: number, address: number): number {
    if (!Number.isSafeInteger(sector) || !Number.isSafeInteger(count) || sector < 0 || count < 1) return -Errno.EINVAL;
    if (count > this.sectors || sector > this.sectors - count) return -Errno.EINVAL;
    if (!Number.isSafeInteger(address) || address % 4 !== 0) return -Errno.EINVAL;
    return this.memory.contains(address, count * SECTOR_BYTES) ? 0 : -Errno.EFAULT;
  }
}

/** Callers' buffers begin at their array buffers' beginnings, or at a multiple of 4. */
function wordsOf({ buffer, byteOffset, byteLength }: Uint8Array): Int32Array {
  return new Int32Array(buffer, byteOffset, byteLength >> 2);
}

function toWords(memory: Memory, address: number, words: Int32Array, sectors: number): void {
  const count = (sectors * SECTOR_BYTES) >> 2;
  for (let i = 0; i < count; i++) words[i] = memory.read32(address + i * 4);
}

function fromWords(memory: Memory, address: number, words: Int32Array, sectors: number): void {
  const count = (sectors * SECTOR_BYTES) >> 2;
  for (let i = 0; i < count; i++) memory.write32(address + i * 4, words[i] as number);
}
