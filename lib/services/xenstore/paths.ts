/**
 * Paths of nodes.
 *
 * @source docs/misc/xenstore.txt, tools/xenstored/core.c (canonicalize, get_parent)
 */
import { XENSTORE } from '../../abi';

const VALID = /^[A-Za-z0-9\-/_@]+$/;
const OF_DOMAIN = /^\/local\/domain\/[0-9]{1,5}\//;

export function domainPath(id: number): string {
  return `/local/domain/${id}`;
}

export function isRelative(path: string): boolean {
  return !path.startsWith('/') && !path.startsWith('@');
}

/**
 * The whole path; undefined if it is none.
 * @param id - of the domain that paths without a slash at the front are relative to
 * @param longest - without `/local/domain/<id>/`
 * @param special - @introduceDomain and @releaseDomain count
 */
export function canonical(path: string | undefined, id: number, longest: number, special = false): string | undefined {
  if (path === undefined || !VALID.test(path) || (path.startsWith('@') && !special)) return undefined;
  const whole = isRelative(path) ? `${domainPath(id)}/${path}` : path;
  if ((whole !== '/' && whole.endsWith('/')) || whole.includes('//')) return undefined;
  const prefix = OF_DOMAIN.exec(whole)?.[0].length ?? 0;
  const tooLong = whole.length > XENSTORE.XENSTORE_ABS_PATH_MAX || whole.length - prefix > longest;
  return tooLong ? undefined : whole;
}

/** Of any path but the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

/** Of any path but the root. */
export function leafOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function childOf(path: string, leaf: string): string {
  return path === '/' ? `/${leaf}` : `${path}/${leaf}`;
}

/** Whether a path is another one or lies below it. */
export function isBelow(path: string, other: string): boolean {
  return other === '/' || path === other || path.startsWith(`${other}/`);
}
