/** What both ends of a split block device know: the structures of each ABI, and the names of the ABIs in xenstore. */
import { type AbiName, BLKIF_SECTOR_BYTES, layoutOf } from '../abi';
import type { RingProtocol } from './ring';

export const FRAME_BYTES = 4096;
export const SECTORS_PER_FRAME = FRAME_BYTES / BLKIF_SECTOR_BYTES;

/** `protocol` nodes by ABI. @source xen/include/public/io/protocols.h */
const PROTOCOLS: Readonly<Record<AbiName, string>> = {
  x86_64: 'x86_64-abi',
  x86_32: 'x86_32-abi',
  arm64: 'arm-abi',
  arm32: 'arm-abi',
};

export function protocolName(abi: string): string {
  return PROTOCOLS[abi as AbiName];
}

/** The structures of a front end of that ABI. */
export function blkifProtocol(abi: AbiName): RingProtocol {
  return { request: layoutOf(abi, 'blkif_request'), response: layoutOf(abi, 'blkif_response') };
}

/** Those of the ABI that a front end has named; undefined if there is none of that name. */
export function blkifProtocolNamed(name: string): RingProtocol | undefined {
  const [abi] = Object.entries(PROTOCOLS).find(([, each]) => each === name) ?? [];
  return abi === undefined ? undefined : blkifProtocol(abi as AbiName);
}
