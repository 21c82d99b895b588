/**
 * The two consoles: hypercalls to that of the hypervisor, and the state of a ring.
 *
 * @source xen/include/public/xen.h, xen/include/public/io/console.h
 */

/** Operations of __HYPERVISOR_console_io. */
export const CONSOLEIO = {
  CONSOLEIO_write: 0,
  CONSOLEIO_read: 1,
} as const;

/** xencons_interface.connection. */
export const XENCONSOLE = {
  XENCONSOLE_CONNECTED: 0,
  XENCONSOLE_DISCONNECTED: 1,
} as const;
