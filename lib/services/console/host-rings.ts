/**
 * What is typed at the consoles on its way from the host to the console daemon: a ring for each domain, in Domain-0's memory.
 * The host writes there and sends an event, the daemon reads.
 */
import type { ByteRingPlace } from '../../guest/byte-ring';
import type { ServiceConfig } from '../service';

/** What a scenario may say of its consoles. */
export interface ConsoleServiceOptions {
  /**
   * What is typed where nobody is attached to the console: under the deterministic engines, and in runs that were given no
   * input for it. For the first domain, or for several by name.
   */
  readonly input?: string | Readonly<Record<string, string>>;
}

/** Distance of the indices and of the bytes: no two in a cache line. */
const LINE_BYTES = 64;
const HEADER_BYTES = 2 * LINE_BYTES;
const LEAST_BYTES = 1024;

type Domains = readonly { readonly name: string }[];

/** What the scenario has typed at the console of the domain at a position. */
export function scriptedInput({ input = '' }: ConsoleServiceOptions, domains: Domains, position: number): string {
  if (typeof input === 'string') return position === 0 ? input : '';
  return input[domains[position]?.name ?? ''] ?? '';
}

/** A power of two: as much as the script has, so that it can be there from the start. */
function ringBytes(script: string): number {
  return 2 ** Math.ceil(Math.log2(Math.max(LEAST_BYTES, new TextEncoder().encode(script).length)));
}

/** Bytes that all rings take. */
export function hostRingsBytes(options: ConsoleServiceOptions, domains: Domains): number {
  return domains.reduce((sum, _, i) => sum + HEADER_BYTES + ringBytes(scriptedInput(options, domains, i)), 0);
}

/** The rings, in the order of the domains. */
export function hostRings({ options, domains, hostAddress }: ServiceConfig<ConsoleServiceOptions>): ByteRingPlace[] {
  let next = hostAddress;
  return domains.map((_, position) => {
    const start = next;
    const size = ringBytes(scriptedInput(options, domains, position));
    next += HEADER_BYTES + size;
    return { cons: start, prod: start + LINE_BYTES, bytes: start + HEADER_BYTES, size };
  });
}
