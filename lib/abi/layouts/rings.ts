/**
 * Structures that two domains share through a granted page: console and xenstore rings, the ring header of the block
 * and network protocols, grant entries.
 *
 * Ring indices run freely modulo 2^32; the position in the ring is the index modulo its size. Each side writes its own
 * indices only: producer indices by who fills that ring, consumer indices by who empties it.
 *
 * @source xen/include/public/io/console.h, io/xs_wire.h, io/ring.h, grant_table.h
 */
import type { Members } from '../struct';

/** A guest's console. `in` carries key strokes to the guest, `out` its output. */
export const xencons_interface = {
  in: { type: 'char', count: 1024 },
  out: { type: 'char', count: 2048 },
  in_cons: 'uint32',
  in_prod: 'uint32',
  out_cons: 'uint32',
  out_prod: 'uint32',
  /** XENCONSOLE_*. */
  connection: 'uint8',
} as const satisfies Members;

/** A guest's connection to xenstore: requests and responses, each an xsd_sockmsg and its payload. */
export const xenstore_domain_interface = {
  req: { type: 'char', count: 1024 },
  rsp: { type: 'char', count: 1024 },
  req_cons: 'uint32',
  req_prod: 'uint32',
  rsp_cons: 'uint32',
  rsp_prod: 'uint32',
  /** XENSTORE_SERVER_FEATURE_* bits, written by the server. */
  server_features: 'uint32',
  /** XENSTORE_CONNECTED or XENSTORE_RECONNECT. */
  connection: 'uint32',
  /** XENSTORE_ERROR_*. */
  error: 'uint32',
  /** The guest's port, for a stub domain to find. */
  evtchn_port: 'uint32',
} as const satisfies Members;

/** Header of a xenstore message. */
export const xsd_sockmsg = {
  /** XS_*. */
  type: 'uint32',
  /** Chosen by the client, repeated in the answer. */
  req_id: 'uint32',
  /** Transaction, 0 for none. */
  tx_id: 'uint32',
  /** Bytes of payload that follow, at most XENSTORE_PAYLOAD_MAX. */
  len: 'uint32',
} as const satisfies Members;

/** A grant: which domain may use which frame, and whether it does. */
export const grant_entry_v1 = {
  /** GTF_*: type and permissions by the granter, the reading and writing bits by the hypervisor. */
  flags: 'uint16',
  domid: 'uint16',
  frame: 'uint32',
} as const satisfies Members;

/** A request/response ring, as the block and network protocols use it. */
export const sring = {
  req_prod: 'uint32',
  /** The back end wants an event once req_prod passes this. Starts at 1, as rsp_event. */
  req_event: 'uint32',
  rsp_prod: 'uint32',
  rsp_event: 'uint32',
  pvt: {
    union: {
      netif: { struct: { smartpoll_active: 'uint8' } },
      tapif_user: { struct: { msg: 'uint8' } },
      pvt_pad: { type: 'uint8', count: 4 },
    },
  },
  __pad: { type: 'uint8', count: 44 },
  /** A power of two of them; each as large as the larger of the protocol's request and response. */
  ring: { flexible: 'request/response entry' },
} as const satisfies Members;
