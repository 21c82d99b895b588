/**
 * What goes through the transmit ring of a network front end: requests that name a granted frame and the bytes in it, and
 * responses that give it back.
 *
 * @source xen/include/public/io/netif.h (netif_tx_request, netif_tx_response)
 */
import { layoutOf } from '../abi/layouts';
import { type FieldLayout, structLayout } from '../abi/struct';
import { type RingProtocol, ringSize } from './ring';

/** The same under every ABI. */
export const NET_PROTOCOL: RingProtocol = {
  request: structLayout('x86_64', 'netif_tx_request', {
    /** Grant of the frame. */
    gref: 'uint32',
    /** Of the first byte in it. */
    offset: 'uint16',
    /** NETTXF_*: none here. */
    flags: 'uint16',
    /** Repeated in the response. */
    id: 'uint16',
    /** Bytes. */
    size: 'uint16',
  }),
  response: structLayout('x86_64', 'netif_tx_response', {
    id: 'uint16',
    /** NETIF_RSP_*, as an unsigned number. */
    status: 'uint16',
  }),
};

/** Entries of a ring of one page. */
export const NET_RING_SIZE = ringSize(NET_PROTOCOL);

/**
 * Offset in the ring's page of a word that is not 0 once its owner has closed its end: `cli_live` and `srv_live` of libvchan, the
 * other way round, in bytes that the header of a ring leaves free.
 */
export const NET_CLOSED = (layoutOf('x86_64', 'sring').fields.__pad as FieldLayout).offset;

/** netif_tx_response.status, as what {@link NET_PROTOCOL} reads. */
export const NETIF_RSP = { NETIF_RSP_OKAY: 0, NETIF_RSP_ERROR: 0xffff, NETIF_RSP_DROPPED: 0xfffe } as const;

/** A request as it was read. */
export interface NetRequest {
  readonly gref: number;
  readonly offset: number;
  readonly id: number;
  readonly size: number;
}
