/** The host's end of the consoles: what is typed, on its way to the console daemon. */
import { ByteRing } from '../guest/byte-ring';
import { type ConsoleServiceOptions, hostRings, SERVICES_DOMAIN, type ServiceConfig, scriptedInput } from '../services';
import type { MachinePlan } from './machine-plan';
import type { ToolstackDomain } from './scenario';
import type { ServicePlan } from './service-plan';

export interface HostConsole {
  /** Name of the domain. */
  readonly name: string;
  /** What the scenario types there. */
  readonly scripted: string;
  /** Bytes that can be typed at once; the daemon can only make more room. */
  room(): number;
  /** Types. @param bytes - no more than there is room for */
  put(bytes: Uint8Array): void;
}

/**
 * The consoles of a machine, in the order of the domains; none if it has no console daemon.
 * @param domains - all of the machine; one thread alone may type at a console
 */
export function hostConsoles(
  services: readonly ServicePlan[],
  domains: Readonly<Record<string, ToolstackDomain>>,
): readonly HostConsole[] {
  const own = domains[SERVICES_DOMAIN];
  const config = services.find(({ service }) => service.name === 'console')?.config as
    | ServiceConfig<ConsoleServiceOptions>
    | undefined;
  if (own === undefined || config === undefined) return [];
  return hostRings(config).map((place, position): HostConsole => {
    const ring = new ByteRing(own.memory, place);
    return {
      name: config.domains[position]?.name ?? '',
      scripted: scriptedInput(config.options, config.domains, position),
      room: () => Math.max(0, ring.room()),
      put(bytes) {
        ring.put(bytes);
        own.hypercall.evtchn.send(config.hostPort);
      },
    };
  });
}

/** What the trace says of output, a chunk at a time. */
export function consoleMark({ domains }: MachinePlan, domainId: number, bytes: Uint8Array): string {
  const name = domains.find(({ config }) => config.id === domainId)?.name ?? domainId;
  return `console of ${name}: ${JSON.stringify(new TextDecoder().decode(bytes).replaceAll('\r\n', '\n')).slice(1, -1)}`;
}

/** Types at start of day what the scenario says is typed: for machines that nobody sits at. */
export function typeScripts(
  services: readonly ServicePlan[],
  domains: Readonly<Record<string, ToolstackDomain>>,
): void {
  for (const console of hostConsoles(services, domains)) {
    if (console.scripted !== '') console.put(new TextEncoder().encode(console.scripted));
  }
}
