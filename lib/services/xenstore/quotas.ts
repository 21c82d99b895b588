/**
 * What an unprivileged domain may use of the store, by the names GET_QUOTA knows. Values apply to every domain unless one
 * has its own.
 *
 * DIFFERS: a domain may have exactly as many watches and transactions as its quota says (Xen: one more), and there is
 * no limit to the rate of writes.
 *
 * @source tools/xenstored/domain.c (hard_quotas)
 */
import { XENSTORE } from '../../abi';

export const DEFAULT_QUOTAS = {
  /** Nodes a domain owns. */
  nodes: 1000,
  watches: 128,
  /** At a time. */
  transactions: 10,
  /** Bytes of a node: 16, 8 for each permission, its value, the names of its children. */
  'node-size': 2048,
  /** Of a node. */
  permissions: 5,
  /** Requests whose answers the domain has not made room for: no further one is read. */
  outstanding: 20,
  /** Nodes a transaction looks at. */
  'transaction-nodes': 1024,
  /** Length of a path, below /local/domain/<id> if it begins so. */
  'path-max': XENSTORE.XENSTORE_REL_PATH_MAX as number,
  /** Bytes of answers and events that wait for the domain: further events are dropped. */
  memory: 2_621_440,
};

export type QuotaName = keyof typeof DEFAULT_QUOTAS;
export const QUOTA_NAMES = Object.keys(DEFAULT_QUOTAS) as readonly QuotaName[];

export function isQuotaName(name: string | undefined): name is QuotaName {
  return name !== undefined && Object.hasOwn(DEFAULT_QUOTAS, name);
}

export class Quotas {
  private readonly common: Map<QuotaName, number>;
  private readonly own = new Map<string, number>();

  /** @param given - instead of the defaults */
  constructor(given: Readonly<Partial<Record<QuotaName, number>>>) {
    this.common = new Map(QUOTA_NAMES.map((name) => [name, given[name] ?? DEFAULT_QUOTAS[name]]));
  }

  /** @param domain - undefined: what applies to those without a value of their own */
  get(name: QuotaName, domain?: number): number {
    const own = domain === undefined ? undefined : this.own.get(`${domain} ${name}`);
    return own ?? (this.common.get(name) as number);
  }

  set(name: QuotaName, value: number, domain?: number): void {
    if (domain === undefined) this.common.set(name, value);
    else this.own.set(`${domain} ${name}`, value);
  }

  forget(domain: number): void {
    for (const name of QUOTA_NAMES) this.own.delete(`${domain} ${name}`);
  }
}
