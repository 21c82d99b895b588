/** What a scenario must be like: one clear message for the first mistake found. Never trusts the types. */
import { ABI_CONSTANTS, ABI_NAMES, type AbiName, isAbiName } from '../abi';
import { EVENT_ABIS, type EventAbi } from '../guest/vcpu';
import { MAX_DISK_FRAMES, MAX_GRANT_FRAMES, MAX_GRANT_MAPPINGS } from '../hypervisor/image';
import { MAX_VCPUS } from '../hypervisor/state-layout';
import { isQuotaName, QUOTA_NAMES, SERVICES_DOMAIN } from '../services';
import { ScenarioError } from './errors';
import { mistakeInInvariants } from './invariants/specs';
import type { DomainSpec, ScenarioSpec } from './scenario';
import { layOutWords } from './words';

export const MIN_FRAMES = 4;
export const MAX_FRAMES = 65536;
/** Beyond the number of PIRQs any Xen host has. */
const MAX_PIRQ = 1023;

const DOMAIN_FIELDS = [
  'abi',
  'vcpus',
  'words',
  'guest',
  'guests',
  'start',
  'events',
  'maxPort',
  'privileged',
  'hardwareDomain',
  'pirqs',
  'frames',
  'daemon',
  'grantFrames',
  'grantMappings',
  'disks',
];
const SCENARIO_FIELDS = [
  ...DOMAIN_FIELDS,
  'name',
  'description',
  'domains',
  'xenstore',
  'console',
  'devices',
  'args',
  'setup',
  'check',
  'covers',
  'invariants',
];

/** Highest port number of an event-channel ABI. */
export function highestPort(abi: AbiName, events: EventAbi): number {
  const { EVTCHN_2L_NR_CHANNELS, EVTCHN_FIFO_NR_CHANNELS } = ABI_CONSTANTS[abi];
  return (events === 'fifo' ? EVTCHN_FIFO_NR_CHANNELS : EVTCHN_2L_NR_CHANNELS) - 1;
}

export function isEventAbi(value: unknown): value is EventAbi {
  return EVENT_ABIS.includes(value as EventAbi);
}

/** @throws ScenarioError SCENARIO_INVALID */
export function validateScenario(spec: unknown): asserts spec is ScenarioSpec {
  if (!isRecord(spec)) throw invalid('defineScenario takes an object such as { name, vcpus, guest(vcpu) { … } }');
  if (typeof spec.name !== 'string' || spec.name === '') throw invalid('a scenario needs a name: a non-empty string');
  const where = `scenario '${spec.name}'`;
  checkFields(spec, SCENARIO_FIELDS, where);
  optional(spec, 'description', where, 'a string', (value) => typeof value === 'string');
  optional(spec, 'setup', where, 'a function', isFunction);
  optional(spec, 'check', where, 'a function', isFunction);
  optional(spec, 'devices', where, 'an object of functions', isRecord);
  for (const [name, device] of Object.entries((spec.devices ?? {}) as object)) {
    if (!isFunction(device)) throw invalid(`${where}: devices.${name} must be a function`);
  }
  if (spec.domains === undefined) {
    validateDomain(spec, where);
    if (spec.daemon === true) throw invalid(noneCounts(where));
  } else {
    validateDomains(spec, where);
  }
  optional(spec, 'covers', where, 'a list of different labels, such as ["retried"]', isListOfLabels);
  if (spec.invariants !== undefined) checkInvariants(spec, where);
  if (isWanted(spec.xenstore) || isWanted(spec.console)) checkServicesDomain(spec, where);
  checkXenstore(spec, where);
  checkConsole(spec, where);
}

function isWanted(service: unknown): boolean {
  return service !== undefined && service !== false;
}

function checkServicesDomain({ domains }: Record<string, unknown>, where: string): void {
  if (domains !== undefined && SERVICES_DOMAIN in (domains as object)) {
    throw invalid(`${where}: '${SERVICES_DOMAIN}' is the domain that services run in: name yours otherwise`);
  }
}

function checkConsole({ console, domains, name }: Record<string, unknown>, where: string): void {
  if (!isWanted(console) || console === true) return;
  if (!isRecord(console)) throw invalid(`${where}: console must be true, false or { input: … }, not ${show(console)}`);
  checkFields(console, ['input'], `${where}, console`);
  const { input = '' } = console;
  if (typeof input === 'string') return;
  if (!isRecord(input)) throw invalid(`${where}: console.input must be text, or texts by name of domain`);
  const names = domains === undefined ? [String(name)] : Object.keys(domains as object);
  for (const [domain, text] of Object.entries(input)) {
    if (!names.includes(domain)) throw invalid(`${where}: console.input: there is no domain '${domain}'`);
    if (typeof text !== 'string') throw invalid(`${where}: console.input.${domain} must be text, not ${show(text)}`);
  }
}

function checkXenstore({ xenstore }: Record<string, unknown>, where: string): void {
  if (!isWanted(xenstore) || xenstore === true) return;
  if (!isRecord(xenstore))
    throw invalid(`${where}: xenstore must be true, false or { quota: { … } }, not ${show(xenstore)}`);
  checkFields(xenstore, ['quota'], `${where}, xenstore`);
  const { quota = {} } = xenstore;
  if (!isRecord(quota)) throw invalid(`${where}: xenstore.quota must be an object such as { nodes: 100 }`);
  for (const [name, value] of Object.entries(quota)) {
    if (!isQuotaName(name)) {
      throw invalid(`${where}: xenstore.quota: there is no quota '${name}'; there are ${QUOTA_NAMES.join(', ')}`);
    }
    if (!isInteger(value, 0, 2 ** 32 - 1)) {
      throw invalid(`${where}: xenstore.quota.${name} must be an integer from 0 to 4294967295, not ${show(value)}`);
    }
  }
}

function isListOfLabels(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0) return false;
  return value.every((label) => typeof label === 'string' && label !== '') && new Set(value).size === value.length;
}

function checkInvariants(spec: Record<string, unknown>, where: string): void {
  const domains = Object.entries((spec.domains ?? { [String(spec.name)]: spec }) as Record<string, DomainSpec>);
  const words = new Map(domains.map(([name, domain]) => [name, (domain.words ?? {}) as Record<string, unknown>]));
  const mistake = mistakeInInvariants(spec.invariants, words);
  if (mistake !== undefined) throw invalid(`${where}: ${mistake}`);
}

function validateDomains(spec: Record<string, unknown>, where: string): void {
  const { domains } = spec;
  if (!isRecord(domains) || Object.keys(domains).length === 0) {
    throw invalid(`${where}: domains must be an object with at least one domain`);
  }
  const misplaced = DOMAIN_FIELDS.find((field) => spec[field] !== undefined);
  if (misplaced !== undefined) {
    throw invalid(`${where}: with domains, '${misplaced}' belongs to each domain, not to the scenario`);
  }
  for (const [name, domain] of Object.entries(domains)) {
    const here = `${where}, domain '${name}'`;
    if (!isRecord(domain)) throw invalid(`${here}: must be an object such as { vcpus, guest(vcpu) { … } }`);
    checkFields(domain, DOMAIN_FIELDS, here);
    validateDomain(domain, here);
  }
  const hardware = Object.keys(domains).filter((name) => (domains[name] as DomainSpec).hardwareDomain);
  if (hardware.length > 1)
    throw invalid(`${where}: only one domain can be the hardwareDomain, not ${hardware.join(', ')}`);
  if (Object.values(domains).every((domain) => (domain as DomainSpec).daemon)) throw invalid(noneCounts(where));
}

function noneCounts(where: string): string {
  return `${where}: a daemon domain ends with the others, so there has to be one that is no daemon`;
}

function validateDomain(domain: Record<string, unknown>, where: string): void {
  checkGuests(domain, where);
  optional(domain, 'abi', where, `one of ${ABI_NAMES.join(', ')}`, isAbiName);
  optional(domain, 'vcpus', where, `an integer from 1 to ${MAX_VCPUS}`, (value) => isInteger(value, 1, MAX_VCPUS));
  optional(domain, 'start', where, "'all' or 'boot'", (value) => value === 'all' || value === 'boot');
  optional(domain, 'privileged', where, 'true or false', isBoolean);
  optional(domain, 'hardwareDomain', where, 'true or false', isBoolean);
  optional(domain, 'daemon', where, 'true or false', isBoolean);
  optional(domain, 'frames', where, `an integer from ${MIN_FRAMES} to ${MAX_FRAMES}`, (value) =>
    isInteger(value, MIN_FRAMES, MAX_FRAMES),
  );
  optional(domain, 'grantFrames', where, `an integer from 1 to ${MAX_GRANT_FRAMES}`, (value) =>
    isInteger(value, 1, MAX_GRANT_FRAMES),
  );
  optional(domain, 'grantMappings', where, `an integer from 0 to ${MAX_GRANT_MAPPINGS}`, (value) =>
    isInteger(value, 0, MAX_GRANT_MAPPINGS),
  );
  optional(domain, 'events', where, `one of ${EVENT_ABIS.join(', ')}`, isEventAbi);
  const highest = highestPort((domain.abi as AbiName | undefined) ?? 'x86_64', (domain.events as EventAbi) ?? '2l');
  optional(domain, 'maxPort', where, `an integer from 1 to ${highest}`, (value) => isInteger(value, 1, highest));
  optional(domain, 'pirqs', where, `a list of different integers from 0 to ${MAX_PIRQ}`, isPirqList);
  checkWords(domain, where);
  checkDisks(domain, where);
}

function checkGuests(domain: Record<string, unknown>, where: string): void {
  const { guest, guests, vcpus } = domain;
  if (guest !== undefined && guests !== undefined) throw invalid(`${where}: give guest or guests, not both`);
  if (guest === undefined && guests === undefined) {
    throw invalid(`${where}: no guest: add guest(vcpu) { … }, or guests: [ … ] with a function for each vCPU`);
  }
  if (guests === undefined) {
    if (!isFunction(guest)) throw invalid(`${where}: guest must be a function, not ${show(guest)}`);
    return;
  }
  if (!Array.isArray(guests) || guests.length === 0 || guests.length > MAX_VCPUS || !guests.every(isFunction)) {
    throw invalid(`${where}: guests must be a list of 1 to ${MAX_VCPUS} functions`);
  }
  if (vcpus !== undefined && vcpus !== guests.length) {
    throw invalid(`${where}: vcpus is ${show(vcpus)} but there are ${guests.length} guests`);
  }
}

function checkDisks({ disks = {} }: Record<string, unknown>, where: string): void {
  if (!isRecord(disks)) throw invalid(`${where}: disks must be an object such as { vda: { sectors: 1024 } }`);
  let frames = 0;
  for (const [name, disk] of Object.entries(disks)) {
    const here = `${where}, disk '${name}'`;
    if (!isRecord(disk)) throw invalid(`${here}: must be an object such as { sectors: 1024 }, not ${show(disk)}`);
    checkFields(disk, ['sectors', 'readOnly', 'file'], here);
    const most = MAX_DISK_FRAMES * 8;
    if (!isInteger(disk.sectors, 1, most)) {
      throw invalid(`${here}: sectors must be an integer from 1 to ${most}, not ${show(disk.sectors)}`);
    }
    optional(disk, 'readOnly', here, 'true or false', isBoolean);
    optional(disk, 'file', here, 'the path of a file', (file) => typeof file === 'string' && file !== '');
    frames += Math.ceil((disk.sectors as number) / 8);
  }
  if (frames > MAX_DISK_FRAMES) throw invalid(`${where}: its disks have more than 1 GiB together`);
}

function checkWords(domain: Record<string, unknown>, where: string): void {
  const { words } = domain;
  if (words === undefined) return;
  if (!isRecord(words)) throw invalid(`${where}: words must be an object such as { counter: 0, slots: [0, 0] }`);
  for (const [name, value] of Object.entries(words)) {
    const values: unknown[] = Array.isArray(value) ? value : [value];
    if (values.length === 0 || !values.every((each) => isInteger(each, -(2 ** 31), 2 ** 32 - 1))) {
      throw invalid(`${where}: words.${name} must be a 32-bit integer or a non-empty list of them, not ${show(value)}`);
    }
  }
  const end = layOutWords(words as DomainSpec['words']).endAddress;
  if (typeof domain.frames === 'number' && end > domain.frames * 4096) {
    throw invalid(`${where}: the words need ${Math.ceil(end / 4096)} frames, but frames is ${domain.frames}`);
  }
}

function optional(
  record: Record<string, unknown>,
  field: string,
  where: string,
  expected: string,
  accepts: (value: unknown) => boolean,
): void {
  const value = record[field];
  if (value !== undefined && !accepts(value))
    throw invalid(`${where}: ${field} must be ${expected}, not ${show(value)}`);
}

function checkFields(record: Record<string, unknown>, known: readonly string[], where: string): void {
  const unknown = Object.keys(record).find((field) => !known.includes(field));
  if (unknown !== undefined) throw invalid(`${where}: unknown field '${unknown}'; there are ${known.join(', ')}`);
}

function invalid(message: string): ScenarioError {
  return new ScenarioError('SCENARIO_INVALID', message);
}

/** A value in an error message: short, on one line, never throwing. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}

function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean';
}

function isInteger(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

function isPirqList(value: unknown): boolean {
  return (
    Array.isArray(value) && value.every((each) => isInteger(each, 0, MAX_PIRQ)) && new Set(value).size === value.length
  );
}
