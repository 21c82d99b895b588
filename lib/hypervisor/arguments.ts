/**
 * Values from outside as hypercall arguments. The typed form takes whatever JavaScript can pass; what C could not hold
 * becomes a value that no check lets through.
 */
import { DOMID_INVALID } from '../abi/domain-ids';

/** No port, vCPU, VIRQ or PIRQ has this number. */
export const NO_NUMBER = 0xffffffff;

/** The number itself if it is an unsigned 32-bit integer, else {@link NO_NUMBER}. */
export function toUint32(value: number): number {
  return typeof value === 'number' && value >>> 0 === value ? value : NO_NUMBER;
}

/** The number itself if it can be a domain's (16 bits), else DOMID_INVALID. */
export function toDomid(value: number): number {
  return typeof value === 'number' && (value & 0xffff) === value ? value : DOMID_INVALID;
}

/** The number itself; NaN for anything that is no number. */
export function toNumber(value: number): number {
  return typeof value === 'number' ? value : Number.NaN;
}
