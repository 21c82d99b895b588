/**
 * From a scenario and the options of a run to a machine: its domains with their ids, configurations, named words
 * and guests. Every engine builds its machine from this plan.
 */
import { resolve } from 'node:path';
import { ABI_NAMES, isAbiName } from '../abi';
import { type DiskPlace, SECTOR_BYTES } from '../guest/disk';
import { eventArrayFrames } from '../guest/fifo-area';
import { EVENT_ABIS, type EventAbi, type GuestDomain } from '../guest/vcpu';
import { type DomainConfig, domainConfig, type MachineOptions, PAGE_BYTES } from '../hypervisor/image';
import { MAX_VCPUS } from '../hypervisor/state-layout';
import { SERVICES_DOMAIN, SERVICES_DOMAIN_ID } from '../services';
import { ScenarioError } from './errors';
import { describeGuest } from './guest-domain';
import { type DiskSpec, type DomainSpec, freezeData, type GuestFunction, type Scenario } from './scenario';
import { highestPort, isEventAbi, show } from './scenario-validation';
import {
  planServices,
  planServicesDomain,
  requestedServices,
  type ServicePlan,
  START_INFO_FRAME,
  wordsAddress,
} from './service-plan';
import { layOutWords, type WordLayout } from './words';

/** Id of the first domain a scenario names; the next ones follow. */
const FIRST_DOMAIN_ID = 1;
const SHARED_INFO_FRAME = 1;
const DEFAULT_FRAMES = 64;
const DEFAULT_IRQS = 64;
/** Frames beyond the named words in a domain of default size: room for the kernel library and for the guest. */
const SPARE_FRAMES = 48;

/** What `--vcpus`, `--abi`, `--events` and `--args` change in a scenario. */
export interface ScenarioOptions {
  /** vCPUs of the first domain, 1..128. Not if it has a list of guests. */
  readonly vcpus?: number;
  /** ABI of all domains. */
  readonly abi?: string;
  /** Event-channel ABI of all domains: '2l' or 'fifo'. Not another one than a domain states. */
  readonly events?: string;
  /** Instead of the scenario's args: plain data. */
  readonly args?: unknown;
  /** Files of disks, by name; instead of those of the scenario. */
  readonly disks?: Readonly<Record<string, string>>;
}

export interface DomainPlan {
  readonly name: string;
  readonly config: DomainConfig;
  readonly words: WordLayout;
  /** The run does not wait for it: see DomainSpec. */
  readonly daemon: boolean;
  /** What its guests see as vcpu.domain; plain data. */
  readonly guestDomain: GuestDomain;
  guestOf(vcpu: number): GuestFunction<unknown>;
}

export interface MachinePlan {
  readonly scenario: Scenario;
  readonly args: unknown;
  readonly domains: readonly DomainPlan[];
  readonly machine: Partial<MachineOptions>;
  /** Those of the last domain, Domain-0; none if there is no such domain. */
  readonly services: readonly ServicePlan[];
}

/**
 * Plans the machine a scenario describes.
 * @throws ScenarioError SCENARIO_OPTION if an option is malformed or does not suit the scenario
 */
export function planMachine(scenario: Scenario, options: ScenarioOptions = {}): MachinePlan {
  checkOptions(options);
  checkDiskNames(scenario, options.disks ?? {});
  const args = copyArgs(options.args === undefined ? scenario.args : options.args);
  const specs = Object.entries<DomainSpec>(scenario.domains ?? { [scenario.name]: scenario });
  const services = requestedServices(scenario);
  const own = services.length === 0 ? [] : [[SERVICES_DOMAIN, SERVICES_DOMAIN_ID] as const];
  const named = specs.map(([name], index) => [name, FIRST_DOMAIN_ID + index] as const);
  const ids = freezeData(Object.fromEntries([...named, ...own]));
  const hardware = specs.find(([, spec]) => spec.hardwareDomain) ?? specs.find(([, spec]) => spec.privileged);
  const domains = specs.map(([name, spec], index): DomainPlan => {
    const words = layOutWords(spec.words, wordsAddress(services));
    const vcpus = vcpusOf(name, spec, index === 0 ? options.vcpus : undefined);
    const events = eventsOf(name, spec, options.events);
    const config = configure(name, spec, words, options.abi, events, {
      vcpus,
      id: FIRST_DOMAIN_ID + index,
      hardwareDomain: hardware?.[0] === name,
    });
    const guestDomain = freezeData({
      ...describeGuest(config, words, layOutDisks(config, spec, options.disks)),
      events,
      args,
      domains: ids,
    });
    return { name, config, words, daemon: spec.daemon ?? false, guestDomain, guestOf: (vcpu) => guestOf(spec, vcpu) };
  });
  const highestIrq = Math.max(DEFAULT_IRQS - 1, ...specs.flatMap(([, spec]) => spec.pirqs ?? []));
  const machine = { irqs: highestIrq + 1 };
  if (services.length === 0) return { scenario, args, domains, machine, services: [] };
  const plans = planServices(
    scenario,
    services,
    domains.map(({ config }) => config),
    hardware === undefined,
  );
  const servicesDomain = freezeData(planServicesDomain(plans, ids, hardware === undefined));
  return { scenario, args, domains: [...domains, servicesDomain], machine, services: plans };
}

function checkOptions({ vcpus, abi, events }: ScenarioOptions): void {
  if (vcpus !== undefined && !(Number.isInteger(vcpus) && vcpus >= 1 && vcpus <= MAX_VCPUS)) {
    throw badOption(`vcpus must be an integer from 1 to ${MAX_VCPUS}, not ${show(vcpus)}`);
  }
  if (abi !== undefined && !isAbiName(abi)) {
    throw badOption(`unknown ABI ${show(abi)}: there are ${ABI_NAMES.join(', ')}`);
  }
  if (events !== undefined && !isEventAbi(events)) {
    throw badOption(`unknown event-channel ABI ${show(events)}: there are ${EVENT_ABIS.join(', ')}`);
  }
}

function configure(
  name: string,
  spec: DomainSpec,
  words: WordLayout,
  wantedAbi: string | undefined,
  events: EventAbi,
  given: Pick<DomainConfig, 'id' | 'vcpus' | 'hardwareDomain'>,
): DomainConfig {
  const abi = isAbiName(wantedAbi) ? wantedAbi : (spec.abi ?? 'x86_64');
  const wordFrames = Math.ceil(words.endAddress / PAGE_BYTES);
  const maxPort = spec.maxPort === undefined ? undefined : Math.min(spec.maxPort, highestPort(abi, events));
  const arrayFrames = events === 'fifo' && maxPort !== undefined ? eventArrayFrames(maxPort) : 0;
  const frames = spec.frames ?? Math.max(DEFAULT_FRAMES, wordFrames + SPARE_FRAMES) + arrayFrames;
  return domainConfig({
    ...given,
    name,
    abi,
    ...(maxPort === undefined ? {} : { maxPort }),
    privileged: spec.privileged ?? false,
    pirqs: spec.pirqs ?? [],
    frames,
    ...(spec.grantFrames === undefined ? {} : { grantFrames: spec.grantFrames }),
    ...(spec.grantMappings === undefined ? {} : { grantMappings: spec.grantMappings }),
    diskFrames: diskFrames(spec),
    sharedInfoFrame: SHARED_INFO_FRAME,
    startInfoFrame: START_INFO_FRAME,
    onlineVcpus: spec.start ?? 'all',
  });
}

/** Each disk begins with a frame of its own. */
function framesOf({ sectors }: DiskSpec): number {
  return Math.ceil((sectors * SECTOR_BYTES) / PAGE_BYTES);
}

function diskFrames({ disks = {} }: DomainSpec): number {
  return Object.values(disks).reduce((sum, disk) => sum + framesOf(disk), 0);
}

function layOutDisks(
  { frames, grantFrames }: DomainConfig,
  { disks = {} }: DomainSpec,
  files: Readonly<Record<string, string>> = {},
): Record<string, DiskPlace> {
  let frame = frames + grantFrames;
  const places: Record<string, DiskPlace> = {};
  for (const [name, disk] of Object.entries(disks)) {
    const file = files[name] ?? disk.file;
    const address = frame * PAGE_BYTES;
    const { sectors, readOnly = false } = disk;
    places[name] = { sectors, readOnly, address, ...(file === undefined ? {} : { file: resolve(file) }) };
    frame += framesOf(disk);
  }
  return places;
}

function checkDiskNames(scenario: Scenario, files: Readonly<Record<string, string>>): void {
  const specs = Object.values<DomainSpec>(scenario.domains ?? { only: scenario });
  const names = specs.flatMap(({ disks = {} }) => Object.keys(disks));
  const unknown = Object.keys(files).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const known = names.length === 0 ? 'it has no disks' : `there are ${names.join(', ')}`;
  throw badOption(`scenario '${scenario.name}' has no disk '${unknown}': ${known}`);
}

function vcpusOf(name: string, spec: DomainSpec, wanted: number | undefined): number {
  if (spec.guests === undefined) return wanted ?? spec.vcpus ?? 1;
  const given = spec.guests.length;
  if (wanted !== undefined && wanted !== given) {
    throw badOption(`domain '${name}' has ${given} guests, one per vCPU: it cannot run with ${wanted} vCPUs`);
  }
  return given;
}

/** A domain that states its event-channel ABI is written for it. */
function eventsOf(name: string, spec: DomainSpec, wanted: string | undefined): EventAbi {
  const { events = '2l' } = spec;
  if (!isEventAbi(wanted) || wanted === events) return events;
  if (spec.events === undefined) return wanted;
  throw badOption(`domain '${name}' is written for the event-channel ABI ${events}: it cannot run with ${wanted}`);
}

function guestOf(spec: DomainSpec, vcpu: number): GuestFunction<unknown> {
  const guest = spec.guests?.[vcpu] ?? spec.guest;
  if (guest === undefined) throw new Error(`no guest for vCPU ${vcpu}`);
  return guest;
}

function copyArgs(args: unknown): unknown {
  try {
    return freezeData(structuredClone(args));
  } catch {
    throw badOption('args must be plain data: it is sent to other threads');
  }
}

function badOption(message: string): ScenarioError {
  return new ScenarioError('SCENARIO_OPTION', message);
}
