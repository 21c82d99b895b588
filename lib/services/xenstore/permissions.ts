/**
 * Permissions of nodes: a list whose first entry names the owner, and says what everybody may who is not among the others.
 *
 * @source tools/xenstored/core.c (perm_for_conn), tools/libs/store/xs.c (xs_strings_to_perms)
 */

export const READ = 1;
export const WRITE = 2;
export const OWNER = 4;

export interface Permission {
  readonly id: number;
  /** READ, WRITE, both or neither. */
  readonly access: number;
}

export type Permissions = readonly Permission[];

/** By access. */
const LETTERS = 'nrwb';

/** Who asks: what of a connection decides its rights. */
export interface Subject {
  readonly id: number;
  readonly privileged: boolean;
  /** The domain whose rights it has besides its own (SET_TARGET). */
  readonly target: number | undefined;
}

/** READ, WRITE, OWNER: what the subject may. Control domains, and owners, may everything. */
export function accessOf(subject: Subject, permissions: Permissions): number {
  const [owner] = permissions;
  const isSubject = (id: number | undefined): boolean =>
    id === subject.id || (id !== undefined && id === subject.target);
  if (subject.privileged || isSubject(owner?.id)) return READ | WRITE | OWNER;
  const own = permissions.find(({ id }, index) => index > 0 && isSubject(id));
  return (own ?? owner)?.access ?? 0;
}

/** `r3`, `b0`: undefined for what is none. */
export function parsePermission(text: string): Permission | undefined {
  const access = LETTERS.indexOf(text.charAt(0));
  if (text === '' || access < 0 || !/^[0-9]{1,5}$/.test(text.slice(1))) return undefined;
  return { id: Number(text.slice(1)), access };
}

export function formatPermission({ id, access }: Permission): string {
  return `${LETTERS.charAt(access)}${id}`;
}
