/**
 * The errors xenstored answers with, and strings of bytes: the store's text holds one byte per character, whatever the
 * bytes mean to the clients.
 *
 * @source xen/include/public/io/xs_wire.h (xsd_errors)
 */

export type XsError =
  | 'EINVAL'
  | 'EACCES'
  | 'EEXIST'
  | 'EISDIR'
  | 'ENOENT'
  | 'ENOMEM'
  | 'ENOSPC'
  | 'EIO'
  | 'ENOTEMPTY'
  | 'ENOSYS'
  | 'EROFS'
  | 'EBUSY'
  | 'EAGAIN'
  | 'EISCONN'
  | 'E2BIG'
  | 'EPERM';

/** What a request comes to: a payload, or the name of an error. */
export type Answer = { readonly payload: string } | { readonly error: XsError };

export const OK: Answer = { payload: 'OK\0' };

export function failed(error: XsError): Answer {
  return { error };
}

/** Whether a look-up has come to an error instead of what was looked for. */
export function isError<T>(found: T | { readonly error: XsError }): found is { readonly error: XsError } {
  return typeof found === 'object' && found !== null && 'error' in found;
}

export function toText(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}

export function toBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The strings of a payload, each ended by a NUL; what follows the last NUL is ignored. */
export function stringsOf(payload: string): string[] {
  return payload.split('\0').slice(0, -1);
}

/** The only string of a payload; undefined unless the only NUL is its last byte. */
export function onlyString(payload: string): string | undefined {
  return payload.indexOf('\0') === payload.length - 1 && payload !== '' ? payload.slice(0, -1) : undefined;
}

/** A decimal number below 2^32; undefined for anything else. */
export function toNumber(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined;
  const number = Number(text);
  return number < 2 ** 32 ? number : undefined;
}
