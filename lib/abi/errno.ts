/** Xen's error numbers (xen/include/public/errno.h). Hypercalls return them negated. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  EWOULDBLOCK: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  EDEADLOCK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ENODATA: 61,
  ETIME: 62,
  EBADMSG: 74,
  EOVERFLOW: 75,
  EILSEQ: 84,
  ENOTSOCK: 88,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
} as const;

/** For the hypervisor itself: no guest ever sees these. */
export const ERRNO_INTERNAL = {
  EINTR: 4,
  ERESTART: 85,
} as const;

export type ErrnoName = keyof typeof Errno;

const names = new Map<number, ErrnoName>();
for (const [name, number] of Object.entries(Errno)) {
  if (!names.has(number)) names.set(number, name as ErrnoName);
}

/** The name of an errno, positive or negated: `errnoName(-22)` is `'EINVAL'`. Unknown numbers: `'E<number>'`. */
export function errnoName(errno: number): string {
  return names.get(Math.abs(errno)) ?? `E${Math.abs(errno)}`;
}

/** Thrown by the typed form of a hypercall where the raw form returns a negative errno. */
export class HypercallError extends Error {
  override readonly name = 'HypercallError';
  /** Positive errno, e.g. 22. */
  readonly errno: number;
  /** Its name, e.g. `'EINVAL'`. */
  readonly code: string;

  /**
   * @param hypercall - as Xen spells it, e.g. `EVTCHNOP_send`
   * @param result - what the hypercall returned: a negative errno
   */
  constructor(
    readonly hypercall: string,
    result: number,
  ) {
    super(`${hypercall}: ${errnoName(result)} (${result})`);
    this.errno = -result;
    this.code = errnoName(result);
  }
}
