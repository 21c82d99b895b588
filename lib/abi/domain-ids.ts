/**
 * Domain numbers with a meaning of their own.
 *
 * @source xen/include/public/xen.h
 */

/** Real domains have lower numbers. */
export const DOMID_FIRST_RESERVED = 32752;
/** The calling domain. */
export const DOMID_SELF = 32752;
/** Owner of memory-mapped devices. */
export const DOMID_IO = 32753;
/** Owner of the hypervisor's memory. */
export const DOMID_XEN = 32754;
/** Owner of shared pages. */
export const DOMID_COW = 32755;
/** No domain. */
export const DOMID_INVALID = 32756;
/** xenstore: every domain. */
export const DOMID_ANY = 32757;
/** The idle domain. */
export const DOMID_IDLE = 32767;
/** Bits a domain number may have. */
export const DOMID_MASK = 32767;

/** Reserved domain numbers. */
export const DOMID = {
  DOMID_FIRST_RESERVED,
  DOMID_SELF,
  DOMID_IO,
  DOMID_XEN,
  DOMID_COW,
  DOMID_INVALID,
  DOMID_ANY,
  DOMID_IDLE,
  DOMID_MASK,
} as const;
