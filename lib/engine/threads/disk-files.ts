/**
 * Files as disks. They are looked at before anything is started, and opened by each thread that uses them: what one thread has
 * written, another reads.
 */
import { closeSync, fsyncSync, ftruncateSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { Errno } from '../../abi/errno';
import { type DiskPlace, SECTOR_BYTES } from '../../guest/disk';
import type { Memory } from '../../memory/memory';
import { MemorySectors, type SectorStore } from '../disk';
import { ScenarioError } from '../errors';
import type { MachinePlan } from '../machine-plan';

/** Sectors in a file, read and written on the caller's own thread. The file is closed with the thread that opened it. */
class FileSectors implements SectorStore {
  constructor(private readonly fd: number) {}

  readSectors(sector: number, count: number, into: Uint8Array): number {
    return transfer(count * SECTOR_BYTES, (done, left) =>
      readSync(this.fd, into, done, left, sector * SECTOR_BYTES + done),
    );
  }

  writeSectors(sector: number, count: number, from: Uint8Array): number {
    return transfer(count * SECTOR_BYTES, (done, left) =>
      writeSync(this.fd, from, done, left, sector * SECTOR_BYTES + done),
    );
  }

  flush(): number {
    return transfer(1, () => {
      fsyncSync(this.fd);
      return 1;
    });
  }
}

/** All of the bytes, however many calls that takes. A file that has become shorter is an error of the disk. */
function transfer(bytes: number, move: (done: number, left: number) => number): number {
  try {
    for (let done = 0; done < bytes; ) {
      const moved = move(done, bytes - done);
      if (moved === 0) return -Errno.EIO;
      done += moved;
    }
    return 0;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    return code === 'ENOSPC' ? -Errno.ENOSPC : -Errno.EIO;
  }
}

/** The disks that one thread has opened. */
export class OpenDisks {
  private readonly files = new Map<string, number>();

  /** @param memory - of the domain, for a disk without a file */
  open({ file, address, readOnly }: DiskPlace, memory: Memory): SectorStore {
    if (file === undefined) return new MemorySectors(memory, address);
    const fd = this.files.get(file) ?? openSync(file, readOnly ? 'r' : 'r+');
    this.files.set(file, fd);
    return new FileSectors(fd);
  }

  close(): void {
    for (const fd of this.files.values()) closeSync(fd);
    this.files.clear();
  }
}

/** A disk for set-up, check and devices: its file is open during each call only. */
export function openForCalls(place: DiskPlace, memory: Memory): SectorStore {
  const during = (use: (store: SectorStore) => number): number => {
    const disks = new OpenDisks();
    try {
      return use(disks.open(place, memory));
    } finally {
      disks.close();
    }
  };
  return {
    readSectors: (sector, count, into) => during((store) => store.readSectors(sector, count, into)),
    writeSectors: (sector, count, from) => during((store) => store.writeSectors(sector, count, from)),
    flush: () => during((store) => store.flush()),
  };
}

/**
 * Sees to it that the files of all disks can be used; makes those that do not exist, full of zeros.
 * @throws ScenarioError SCENARIO_OPTION for the first that cannot
 */
export function prepareDiskFiles({ domains }: MachinePlan): void {
  for (const { name, guestDomain } of domains) {
    for (const [disk, place] of Object.entries(guestDomain.disks)) {
      if (place.file !== undefined) prepare(`domain '${name}', disk '${disk}': ${place.file}`, place.file, place);
    }
  }
}

function prepare(what: string, file: string, { sectors, readOnly }: DiskPlace): void {
  const bytes = sectors * SECTOR_BYTES;
  try {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found !== undefined && !found.isFile()) throw unusable(`${what} is no file`);
    if (found === undefined && readOnly) throw unusable(`${what} does not exist`);
    if (found !== undefined && found.size !== bytes) {
      throw unusable(`${what} has ${found.size} bytes, and ${sectors} sectors have ${bytes}`);
    }
    const fd = openSync(file, found === undefined ? 'wx+' : readOnly ? 'r' : 'r+');
    if (found === undefined) ftruncateSync(fd, bytes);
    closeSync(fd);
  } catch (error) {
    if (error instanceof ScenarioError) throw error;
    throw unusable(`${what} cannot be opened: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

function unusable(message: string): ScenarioError {
  return new ScenarioError('SCENARIO_OPTION', message);
}
