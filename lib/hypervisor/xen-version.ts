/**
 * xen_version: what the hypervisor says of itself.
 *
 * DIFFERS: only features that exist here are reported, so the map of features is smaller than Xen's. Wherever Xen would
 * name its build host, this names the project. There is no build id.
 *
 * @source xen/common/kernel.c (do_xen_version), xen/include/xsm/dummy.h (xsm_xen_version)
 */
import { Errno } from '../abi/errno';
import { XENFEAT, XENVER } from '../abi/xen-version';
import { toUint32 } from './arguments';
import { getUint32, putBytes, putUint32, putUint64 } from './guest-access';
import { PAGE_BYTES } from './image';
import type { HvDomain, HvVcpu } from './machine';

const MAJOR = 4;
const MINOR = 23;
const EXTRA_VERSION = '-unstable';
const CHANGESET = 'Thu Aug 20 2026 git:c447b7308b';

// Sizes of xen_extraversion_t and its like.
const EXTRA_VERSION_BYTES = 16;
const CAPABILITIES_BYTES = 1024;
const CHANGESET_BYTES = 64;
const COMMAND_LINE_BYTES = 1024;
const GUEST_HANDLE_BYTES = 16;
/** xen_compile_info_t: compiler, compile_by, compile_domain, compile_date. */
const COMPILE_INFO = [
  ['JavaScript', 64],
  ['upcall', 16],
  ['', 32],
  ['', 32],
] as const;

/** Guest types that can be built, as in XENVER_capabilities. */
const CAPABILITIES = {
  x86_64: 'xen-3.0-x86_64 xen-3.0-x86_32p ',
  x86_32: 'xen-3.0-x86_64 xen-3.0-x86_32p ',
  arm64: 'xen-3.0-aarch64 xen-3.0-armv7l ',
  arm32: 'xen-3.0-armv7l ',
} as const;

/** Where Xen begins in the guest's address space. */
const VIRT_START_X86_64 = [0x0000_0000, 0xffff_8000] as const;
const VIRT_START_X86_32 = 0xf580_0000;
const VIRT_START_ARM = 0x0020_0000;

export class XenVersion {
  private readonly encoder = new TextEncoder();

  /** XENVER_version. */
  version(): number {
    return (MAJOR << 16) | MINOR;
  }

  /**
   * xen_version as a C guest calls it.
   * @param command - XENVER_*
   * @returns a result or 0; -EFAULT, -EINVAL, -EPERM, -ENODATA, -ENOBUFS, -ENOSYS
   */
  op(current: HvVcpu, command: number, address: number): number {
    const { domain } = current;
    switch (toUint32(command)) {
      case XENVER.XENVER_version:
        return this.version();
      case XENVER.XENVER_extraversion:
        return this.putText(domain, address, EXTRA_VERSION, EXTRA_VERSION_BYTES);
      case XENVER.XENVER_compile_info:
        return this.putCompileInfo(domain, address);
      case XENVER.XENVER_capabilities:
        return this.putText(domain, address, CAPABILITIES[domain.abi], CAPABILITIES_BYTES);
      case XENVER.XENVER_changeset:
        return this.putText(domain, address, CHANGESET, CHANGESET_BYTES);
      case XENVER.XENVER_platform_parameters:
        return this.putPlatformParameters(domain, address);
      case XENVER.XENVER_get_features:
        return this.putFeatures(domain, address);
      case XENVER.XENVER_pagesize:
        return address === 0 ? PAGE_BYTES : -Errno.EINVAL;
      case XENVER.XENVER_guest_handle:
        return this.putHandle(domain, address);
      case XENVER.XENVER_commandline:
        return this.putText(domain, address, commandLine(domain), COMMAND_LINE_BYTES);
      case XENVER.XENVER_build_id:
        return domain.config.privileged ? -Errno.ENODATA : -Errno.EPERM;
      case XENVER.XENVER_extraversion2:
        return this.putVariable(domain, address, EXTRA_VERSION);
      case XENVER.XENVER_capabilities2:
        return this.putVariable(domain, address, CAPABILITIES[domain.abi]);
      case XENVER.XENVER_changeset2:
        return this.putVariable(domain, address, CHANGESET);
      case XENVER.XENVER_commandline2:
        return this.putVariable(domain, address, commandLine(domain));
      default:
        return -Errno.ENOSYS;
    }
  }

  private putText(domain: HvDomain, address: number, text: string, bytes: number): number {
    if (!domain.isWritable(address, bytes)) return -Errno.EFAULT;
    const field = new Uint8Array(bytes);
    this.encoder.encodeInto(text, field);
    putBytes(domain.guest, address, field);
    return 0;
  }

  /** xen_varbuf_t: the size of the buffer in, the text without a terminator out. A null pointer asks for its length. */
  private putVariable(domain: HvDomain, address: number, text: string): number {
    const bytes = this.encoder.encode(text);
    if (bytes.length === 0) return -Errno.ENODATA;
    if (address === 0) return bytes.length;
    if (!domain.isReadable(address, 4)) return -Errno.EFAULT;
    if (getUint32(domain.guest, address) < bytes.length) return -Errno.ENOBUFS;
    if (!domain.isWritable(address + 4, bytes.length)) return -Errno.EFAULT;
    putBytes(domain.guest, address + 4, bytes);
    return bytes.length;
  }

  private putCompileInfo(domain: HvDomain, address: number): number {
    const total = COMPILE_INFO.reduce((sum, [, bytes]) => sum + bytes, 0);
    if (!domain.isWritable(address, total)) return -Errno.EFAULT;
    let at = address;
    for (const [text, bytes] of COMPILE_INFO) {
      this.putText(domain, at, text, bytes);
      at += bytes;
    }
    return 0;
  }

  private putPlatformParameters(domain: HvDomain, address: number): number {
    const bytes = domain.constants.sizeof_xen_ulong_t;
    if (!domain.isWritable(address, bytes)) return -Errno.EFAULT;
    const low = domain.abi === 'x86_32' ? VIRT_START_X86_32 : domain.isX86 ? VIRT_START_X86_64[0] : VIRT_START_ARM;
    putUint32(domain.guest, address, low);
    if (bytes === 8) putUint32(domain.guest, address + 4, domain.isX86 ? VIRT_START_X86_64[1] : 0);
    return 0;
  }

  /** xen_feature_info_t: submap_idx in, submap out. */
  private putFeatures(domain: HvDomain, address: number): number {
    if (!domain.isReadable(address, 8)) return -Errno.EFAULT;
    if (getUint32(domain.guest, address) >= XENFEAT.XENFEAT_NR_SUBMAPS) return -Errno.EINVAL;
    if (!domain.isWritable(address, 8)) return -Errno.EFAULT;
    putUint32(domain.guest, address + 4, features(domain));
    return 0;
  }

  /** A UUID; here the domain's number, as the toolstack of a test machine may choose. */
  private putHandle(domain: HvDomain, address: number): number {
    if (!domain.isWritable(address, GUEST_HANDLE_BYTES)) return -Errno.EFAULT;
    putUint64(domain.guest, address, 0);
    putUint64(domain.guest, address + 8, 0);
    domain.guest.write8(address + 14, domain.id >>> 8);
    domain.guest.write8(address + 15, domain.id & 0xff);
    return 0;
  }
}

/** Xen's own command line, which ordinary domains are not told. */
function commandLine(domain: HvDomain): string {
  return domain.config.privileged ? '' : '<denied>';
}

function features(domain: HvDomain): number {
  let map = 0;
  if (domain.config.hardwareDomain) map |= 1 << XENFEAT.XENFEAT_dom0;
  if (!domain.isX86) return map | (1 << XENFEAT.XENFEAT_auto_translated_physmap);
  return map | (1 << XENFEAT.XENFEAT_runstate_phys_area) | (1 << XENFEAT.XENFEAT_vcpu_time_phys_area);
}
