/**
 * How a scenario switches invariants on, and what is wrong with a list of them. Some are known by their name alone;
 * those about things only the guest knows (which word is a ring's producer index, when a handler runs) are told by
 * naming words of the scenario.
 *
 * A word is named as the scenario names it: `prod`, or `slots[2]` for one of an array.
 */

export const INVARIANT_NAMES = [
  'no-dead-port',
  'no-dead-upcall',
  'delivery',
  'no-overlap',
  'no-sleeper-with-work',
  'bit-conservation',
  'snapshot',
  'ring',
  'ownership',
  'bounded-steps',
] as const;
export type InvariantName = (typeof INVARIANT_NAMES)[number];

interface OfDomain {
  /** Name of the domain whose words, ports and vCPUs are meant; default the first. */
  readonly domain?: string;
}

export interface DeliverySpec extends OfDomain {
  readonly name: 'delivery';
  readonly port: number;
  /** Word that the guest writes at the start of each run of the port's handler. */
  readonly runs: string;
}

export interface NoOverlapSpec extends OfDomain {
  readonly name: 'no-overlap';
  /** Word that counts the runs of one handler under way: the guest adds 1 at the start and takes it off at the end. */
  readonly running: string;
}

export interface NoSleeperSpec extends OfDomain {
  readonly name: 'no-sleeper-with-work';
  /** Word that is not 0 while there is work for the vCPU. */
  readonly runnable: string;
  /** The vCPU that has to do it; default 0. */
  readonly vcpu?: number;
}

export interface BitConservationSpec extends OfDomain {
  readonly name: 'bit-conservation';
  /** Further words that several actors change bit by bit. */
  readonly words: readonly string[];
}

export interface SnapshotSpec extends OfDomain {
  readonly name: 'snapshot';
  readonly record: 'wallclock' | 'time' | 'runstate';
  /** Whose record, for time and runstate; default 0. */
  readonly vcpu?: number;
  /**
   * Words into which the guest stores what it read, the last one last. The low halves of: wallclock: wc_sec, wc_nsec;
   * time: tsc_timestamp, system_time; runstate: state_entry_time and the four times.
   */
  readonly copy: readonly string[];
}

export interface RingSpec extends OfDomain {
  readonly name: 'ring';
  /** Free-running 32-bit indices. */
  readonly prod: string;
  readonly cons: string;
  /** Slots, at most 2^31. */
  readonly size: number;
  /** The vCPU that consumes: it is not to sleep while the ring has something. Absent: not looked at. */
  readonly consumer?: number;
}

export interface OwnershipSpec extends OfDomain {
  readonly name: 'ownership';
  /** Array of words, one per port: 0 while nobody owns the port. */
  readonly table: string;
  /** Array of words, one per port, written at the start of each run of the port's handler. */
  readonly runs?: string;
}

export interface BoundedStepsSpec {
  readonly name: 'bounded-steps';
  /** Own steps an upcall may take, the hypercalls in it included; default {@link DEFAULT_STEP_LIMIT}. */
  readonly upcall?: number;
  /** Own steps a hypercall may take; default {@link DEFAULT_STEP_LIMIT}. */
  readonly hypercall?: number;
}

/** Accesses to memory that an upcall or a hypercall may make where the scenario gives no limit. */
export const DEFAULT_STEP_LIMIT = 2000;

/** Those that need nothing but their name. */
export const PLAIN_INVARIANTS = [
  'no-dead-port',
  'no-dead-upcall',
  'no-sleeper-with-work',
  'bit-conservation',
  'snapshot',
  'bounded-steps',
] as const satisfies readonly InvariantName[];

export type InvariantSpec =
  | (typeof PLAIN_INVARIANTS)[number]
  | DeliverySpec
  | NoOverlapSpec
  | NoSleeperSpec
  | BitConservationSpec
  | SnapshotSpec
  | RingSpec
  | OwnershipSpec
  | BoundedStepsSpec;

/** Words of each domain by name, as the scenario declares them; the first domain first. */
export type WordsOfDomains = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

type Field = 'word' | 'array' | 'words' | 'number' | 'record';
interface Shape {
  /** How to write it. */
  readonly example: string;
  readonly fields: Readonly<Record<string, Field>>;
  readonly optional?: Readonly<Record<string, Field>>;
}

const SHAPES: Readonly<Partial<Record<InvariantName, Shape>>> = {
  delivery: {
    example: "{ name: 'delivery', port: 1, runs: 'runs' }",
    fields: { port: 'number', runs: 'word' },
  },
  'no-overlap': { example: "{ name: 'no-overlap', running: 'running' }", fields: { running: 'word' } },
  'no-sleeper-with-work': {
    example: "{ name: 'no-sleeper-with-work', runnable: 'queued' }",
    fields: { runnable: 'word' },
    optional: { vcpu: 'number' },
  },
  'bit-conservation': { example: "{ name: 'bit-conservation', words: ['flags'] }", fields: { words: 'words' } },
  snapshot: {
    example: "{ name: 'snapshot', record: 'wallclock', copy: ['seconds', 'nanoseconds'] }",
    fields: { record: 'record', copy: 'words' },
    optional: { vcpu: 'number' },
  },
  ring: {
    example: "{ name: 'ring', prod: 'prod', cons: 'cons', size: 8 }",
    fields: { prod: 'word', cons: 'word', size: 'number' },
    optional: { consumer: 'number' },
  },
  ownership: {
    example: "{ name: 'ownership', table: 'owners' }",
    fields: { table: 'array' },
    optional: { runs: 'array' },
  },
  'bounded-steps': {
    example: "{ name: 'bounded-steps', upcall: 500 }",
    fields: {},
    optional: { upcall: 'number', hypercall: 'number' },
  },
};

/** How many words the guest's copy of a record has. */
export const COPY_WORDS: Readonly<Record<SnapshotSpec['record'], number>> = { wallclock: 2, time: 2, runstate: 5 };

/** The first mistake in a scenario's `invariants`, or undefined. Never trusts the types. */
export function mistakeInInvariants(list: unknown, domains: WordsOfDomains): string | undefined {
  if (!Array.isArray(list)) return `invariants must be a list, such as ['no-dead-port']`;
  for (const spec of list) {
    const mistake = mistakeIn(spec, domains);
    if (mistake !== undefined) return mistake;
  }
  return undefined;
}

function mistakeIn(spec: unknown, domains: WordsOfDomains): string | undefined {
  const fields = typeof spec === 'string' ? { name: spec } : spec;
  if (typeof fields !== 'object' || fields === null) return 'invariants: each is a name, or an object with a name';
  const { name, domain, ...given } = fields as Record<string, unknown>;
  if (!INVARIANT_NAMES.some((known) => known === name)) {
    return `unknown invariant '${String(name)}': there are ${INVARIANT_NAMES.join(', ')}`;
  }
  const invariant = name as InvariantName;
  if (Object.keys(given).length === 0 && PLAIN_INVARIANTS.some((plain) => plain === invariant)) return undefined;
  const shape = SHAPES[invariant];
  if (shape === undefined) return `invariant '${invariant}' takes nothing but its name`;
  const words = domain === undefined ? [...domains.values()][0] : domains.get(String(domain));
  if (words === undefined) return `invariant '${invariant}': there is no domain '${String(domain)}'`;
  const all = { ...shape.fields, ...shape.optional };
  const unknown = Object.keys(given).find((field) => !(field in all));
  if (unknown !== undefined) return `invariant '${invariant}' has no '${unknown}': write ${shape.example}`;
  for (const [field, type] of Object.entries(all)) {
    if (given[field] === undefined && !(field in shape.fields)) continue;
    const mistake = mistakeInField(given[field], type, words);
    if (mistake !== undefined) return `invariant '${invariant}', ${field}: ${mistake}; write ${shape.example}`;
  }
  return invariant === 'snapshot' ? mistakeInCopy(given) : undefined;
}

function mistakeInCopy({ record, copy }: Record<string, unknown>): string | undefined {
  const count = COPY_WORDS[record as SnapshotSpec['record']];
  if ((copy as unknown[]).length === count) return undefined;
  return `invariant 'snapshot': the copy of a ${String(record)} record has ${count} words`;
}

function mistakeInField(value: unknown, type: Field, words: Readonly<Record<string, unknown>>): string | undefined {
  switch (type) {
    case 'number':
      return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 2 ** 31
        ? undefined
        : `${String(value)} is no number that fits`;
    case 'record':
      return Object.hasOwn(COPY_WORDS, String(value)) ? undefined : `there is no record '${String(value)}'`;
    case 'array':
      return Array.isArray(words[String(value)]) ? undefined : `'${String(value)}' is not an array of words`;
    case 'words':
      if (!Array.isArray(value)) return 'a list of words is needed';
      return value.map((each) => mistakeInField(each, 'word', words)).find((mistake) => mistake !== undefined);
    default:
      return wordExists(value, words) ? undefined : `there is no word '${String(value)}'`;
  }
}

function wordExists(name: unknown, words: Readonly<Record<string, unknown>>): boolean {
  const [, base, index] = /^([^[\]]+)(?:\[(\d+)\])?$/.exec(String(name)) ?? [];
  if (base === undefined || !Object.hasOwn(words, base)) return false;
  const declared = words[base];
  return Array.isArray(declared) ? index !== undefined && Number(index) < declared.length : index === undefined;
}
