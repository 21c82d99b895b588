/**
 * event_channel_op as a C guest calls it: decodes the argument structure, each member read once, and copies results back.
 *
 * DIFFERS: only the results are copied back; Xen writes the whole structure, with the arguments as it read them.
 *
 * @source xen/common/event_channel.c (do_event_channel_op)
 */
import { Errno } from '../abi/errno';
import * as op from '../abi/event-channel';
import { type EventChannels, PortStatus } from './event-channel';
import { getUint16, getUint32, getUint64, putUint16, putUint32 } from './guest-access';
import type { HvDomain, HvVcpu } from './machine';

const EFAULT = -Errno.EFAULT;

export class RawEventChannelOps {
  /** Scratch of one call. */
  private readonly $status = new PortStatus();

  constructor(
    private readonly evtchn: EventChannels,
    private readonly current: HvVcpu,
    private readonly domain: HvDomain = current.domain,
  ) {}

  /**
   * @param command - EVTCHNOP_*
   * @param arg - guest address of its structure
   */
  call(command: number, arg: number): number {
    switch (command) {
      case op.EVTCHNOP_alloc_unbound:
        return this.allocUnbound(arg);
      case op.EVTCHNOP_bind_interdomain:
        return this.bindInterdomain(arg);
      case op.EVTCHNOP_bind_virq:
        return this.bindVirq(arg);
      case op.EVTCHNOP_bind_ipi:
        return this.bindIpi(arg);
      case op.EVTCHNOP_bind_pirq:
        return this.bindPirq(arg);
      case op.EVTCHNOP_close:
        return this.readable(arg, 4) ? this.evtchn.close(this.current, this.u32(arg)) : EFAULT;
      case op.EVTCHNOP_send:
        return this.readable(arg, 4) ? this.evtchn.send(this.current, this.u32(arg)) : EFAULT;
      case op.EVTCHNOP_status:
        return this.status(arg);
      case op.EVTCHNOP_bind_vcpu:
        return this.readable(arg, 8) ? this.evtchn.bindVcpu(this.current, this.u32(arg), this.u32(arg + 4)) : EFAULT;
      case op.EVTCHNOP_unmask:
        return this.readable(arg, 4) ? this.evtchn.unmask(this.current, this.u32(arg)) : EFAULT;
      case op.EVTCHNOP_reset:
      case op.EVTCHNOP_internal.EVTCHNOP_reset_cont:
        return this.reset(arg, command !== op.EVTCHNOP_reset);
      case op.EVTCHNOP_init_control:
        return this.initControl(arg);
      case op.EVTCHNOP_expand_array:
        return this.readable(arg, 8)
          ? this.evtchn.expandArray(this.current, getUint64(this.domain.guest, arg))
          : EFAULT;
      case op.EVTCHNOP_set_priority:
        return this.readable(arg, 8) ? this.evtchn.setPriority(this.current, this.u32(arg), this.u32(arg + 4)) : EFAULT;
      default:
        return -Errno.ENOSYS;
    }
  }

  /** evtchn_alloc_unbound: dom 0, remote_dom 2 -> port 4. */
  private allocUnbound(arg: number): number {
    if (!this.readable(arg, 8)) return EFAULT;
    const port = this.evtchn.allocUnbound(this.current, this.u16(arg), this.u16(arg + 2));
    return this.putPort(arg + 4, port);
  }

  /** evtchn_bind_interdomain: remote_dom 0, remote_port 4 -> local_port 8. */
  private bindInterdomain(arg: number): number {
    if (!this.readable(arg, 12)) return EFAULT;
    const port = this.evtchn.bindInterdomain(this.current, this.u16(arg), this.u32(arg + 4));
    return this.putPort(arg + 8, port);
  }

  /** evtchn_bind_virq: virq 0, vcpu 4 -> port 8. */
  private bindVirq(arg: number): number {
    if (!this.readable(arg, 12)) return EFAULT;
    const port = this.evtchn.bindVirq(this.current, this.u32(arg), this.u32(arg + 4));
    return this.putPort(arg + 8, port);
  }

  /** evtchn_bind_ipi: vcpu 0 -> port 4. */
  private bindIpi(arg: number): number {
    if (!this.readable(arg, 8)) return EFAULT;
    return this.putPort(arg + 4, this.evtchn.bindIpi(this.current, this.u32(arg)));
  }

  /** evtchn_bind_pirq: pirq 0, flags 4 -> port 8. */
  private bindPirq(arg: number): number {
    if (!this.readable(arg, 12)) return EFAULT;
    const port = this.evtchn.bindPirq(this.current, this.u32(arg), this.u32(arg + 4));
    return this.putPort(arg + 8, port);
  }

  /** evtchn_status: dom 0, port 4 -> status 8, vcpu 12, u 16. */
  private status(arg: number): number {
    if (!this.readable(arg, 24)) return EFAULT;
    const { $status } = this;
    const result = this.evtchn.status(this.current, this.u16(arg), this.u32(arg + 4), $status);
    if (result < 0) return result;
    if (!this.domain.isWritable(arg, 24)) return EFAULT;
    const { guest } = this.domain;
    putUint32(guest, arg + 8, $status.status);
    putUint32(guest, arg + 12, $status.vcpu);
    if ($status.dom >= 0) putUint16(guest, arg + 16, $status.dom);
    if ($status.port >= 0) putUint32(guest, arg + 20, $status.port);
    if ($status.pirq >= 0) putUint32(guest, arg + 16, $status.pirq);
    if ($status.virq >= 0) putUint32(guest, arg + 16, $status.virq);
    return 0;
  }

  /** evtchn_reset: dom 0. */
  private reset(arg: number, resuming: boolean): number {
    if (!this.readable(arg, 2)) return EFAULT;
    return this.evtchn.resetFrom(this.current, this.u16(arg), resuming, false);
  }

  /** evtchn_init_control: control_gfn 0, offset 8, vcpu 12 -> link_bits 16. */
  private initControl(arg: number): number {
    if (!this.readable(arg, 24)) return EFAULT;
    const gfn = getUint64(this.domain.guest, arg);
    const result = this.evtchn.initControl(this.current, gfn, this.u32(arg + 8), this.u32(arg + 12));
    if (result < 0) return result;
    if (!this.domain.isWritable(arg + 16, 1)) return EFAULT;
    this.domain.guest.write8(arg + 16, result);
    return 0;
  }

  /** Copies a port back. If that fails, the port stays allocated, as in Xen. */
  private putPort(address: number, port: number): number {
    if (port < 0) return port;
    if (!this.domain.isWritable(address, 4)) return EFAULT;
    putUint32(this.domain.guest, address, port);
    return 0;
  }

  private readable(address: number, bytes: number): boolean {
    return this.domain.isReadable(address, bytes);
  }

  private u16(address: number): number {
    return getUint16(this.domain.guest, address);
  }

  private u32(address: number): number {
    return getUint32(this.domain.guest, address);
  }
}
