/**
 * console_io: the hypervisor's console. Any domain may write to it, as in a Xen built with verbose debugging; reading takes
 * a control domain.
 *
 * Output goes to the engine and raises VIRQ_CON_RING. Input waits in a buffer of 128 characters; each character raises
 * VIRQ_CONSOLE, also one for which there was no room.
 *
 * Leaves out: reading back the console ring, switching input between Xen and the domain, colours and line prefixes.
 *
 * @source xen/drivers/char/console.c (do_console_io, guest_console_write, __serial_rx)
 */
import { CONSOLEIO } from '../abi/console';
import { Errno } from '../abi/errno';
import { VIRQ_CON_RING, VIRQ_CONSOLE } from '../abi/virq';
import { toUint32 } from './arguments';
import { getBytes } from './guest-access';
import type { HvVcpu, Machine } from './machine';
import {
  CONSOLE_INPUT_BYTES,
  MACHINE_CONSOLE_LOCK,
  MACHINE_SERIAL_RX_CONS,
  MACHINE_SERIAL_RX_PROD,
  MACHINE_SERIAL_RX_RING,
} from './state-layout';
import type { Virqs } from './virq';

const INT_MAX = 0x7fffffff;
/** Xen copies output in portions of this size; one that cannot be read ends the call after those before it. */
const WRITE_PORTION_BYTES = 127;

export class Console {
  constructor(
    private readonly machine: Machine,
    private readonly virqs: Virqs,
  ) {}

  /**
   * CONSOLEIO_write.
   * @param bytes - borrowed by the platform until it returns
   * @returns 0
   */
  write(current: HvVcpu, bytes: Uint8Array): number {
    if (bytes.length === 0) return 0;
    this.machine.platform.consoleWrite(current, bytes);
    this.virqs.sendGlobal(VIRQ_CON_RING);
    return 0;
  }

  /**
   * CONSOLEIO_read.
   * @param into - at most its length is read; of 0..128 bytes
   * @returns the number of characters, 0 when there are none; -EPERM
   */
  read(current: HvVcpu, into: Uint8Array): number {
    if (!current.domain.config.privileged) return -Errno.EPERM;
    const { global } = this.machine;
    global.writeLock(MACHINE_CONSOLE_LOCK);
    const consumer = global.read32(MACHINE_SERIAL_RX_CONS);
    const count = Math.min((global.read32(MACHINE_SERIAL_RX_PROD) - consumer) | 0, into.length);
    for (let i = 0; i < count; i++) into[i] = global.read8(inputAddress(consumer + i));
    global.write32(MACHINE_SERIAL_RX_CONS, consumer + count);
    global.writeUnlock(MACHINE_CONSOLE_LOCK);
    return count;
  }

  /**
   * console_io as a C guest calls it.
   * @param command - CONSOLEIO_*
   * @param count - bytes at `address`
   * @returns 0 or the number of characters read; -ENOSYS, -EPERM, -EFAULT, -E2BIG (read, above 2^31-1)
   */
  io(current: HvVcpu, command: number, count: number, address: number): number {
    switch (command) {
      case CONSOLEIO.CONSOLEIO_write:
        return this.writeFrom(current, toUint32(count), address);
      case CONSOLEIO.CONSOLEIO_read:
        return this.readTo(current, toUint32(count), address);
      default:
        return current.domain.config.privileged ? -Errno.ENOSYS : -Errno.EPERM;
    }
  }

  /** Characters arrive at the console, from outside. */
  input(bytes: Uint8Array): void {
    const { global } = this.machine;
    for (const byte of bytes) {
      global.writeLock(MACHINE_CONSOLE_LOCK);
      const producer = global.read32(MACHINE_SERIAL_RX_PROD);
      if (((producer - global.read32(MACHINE_SERIAL_RX_CONS)) | 0) !== CONSOLE_INPUT_BYTES) {
        global.write8(inputAddress(producer), byte);
        global.write32(MACHINE_SERIAL_RX_PROD, producer + 1);
      }
      global.writeUnlock(MACHINE_CONSOLE_LOCK);
      this.virqs.sendGlobal(VIRQ_CONSOLE);
    }
  }

  private writeFrom(current: HvVcpu, count: number, address: number): number {
    const { domain } = current;
    const readable = domain.isReadable(address, 0) ? Math.min(count, domain.memoryBytes - address) : 0;
    const faults = readable < count;
    const length = faults ? readable - (readable % WRITE_PORTION_BYTES) : count;
    if (length > 0) this.write(current, getBytes(domain.guest, address, length));
    return faults ? -Errno.EFAULT : 0;
  }

  private readTo(current: HvVcpu, count: number, address: number): number {
    const { domain } = current;
    if (!domain.config.privileged) return -Errno.EPERM;
    if (count > INT_MAX) return -Errno.E2BIG;
    const { global } = this.machine;
    let result = 0;
    global.writeLock(MACHINE_CONSOLE_LOCK);
    const consumer = global.read32(MACHINE_SERIAL_RX_CONS);
    const waiting = Math.min((global.read32(MACHINE_SERIAL_RX_PROD) - consumer) | 0, count);
    if (waiting > 0 && !domain.isWritable(address, waiting)) {
      result = -Errno.EFAULT;
    } else {
      for (let i = 0; i < waiting; i++) domain.guest.write8(address + i, global.read8(inputAddress(consumer + i)));
      global.write32(MACHINE_SERIAL_RX_CONS, consumer + waiting);
      result = waiting;
    }
    global.writeUnlock(MACHINE_CONSOLE_LOCK);
    return result;
  }
}

/** Address of a character of the input buffer by its running number. */
function inputAddress(index: number): number {
  return MACHINE_SERIAL_RX_RING + (index & (CONSOLE_INPUT_BYTES - 1));
}
