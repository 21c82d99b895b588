/**
 * The file a crash dump is kept in: JSON that says what it is in its first fields, `"format":"upcall-dump","version":1`, so
 * that a file of another kind or time is told from one that is damaged.
 */
import * as v from 'valibot';
import { UpcallError } from '../errors';
import { DUMP_FORMAT, DUMP_VERSION } from './dump';
import { domainSnapshot } from './schema';

/** A domain with all of its 131,071 ports bound takes some 25 MB. */
export const MOST_DUMP_BYTES = 256 * 1024 * 1024;

const accessesOfVcpu = v.object({
  domain: v.string(),
  vcpu: v.number(),
  /** Earlier ones that were not kept. */
  missing: v.number(),
  /** A line each, oldest first. */
  accesses: v.array(v.string()),
});

const dumpSchema = v.object({
  format: v.literal(DUMP_FORMAT),
  version: v.literal(DUMP_VERSION),
  scenario: v.string(),
  /** Who executed it: threads, stress, inline, lockstep. */
  engine: v.string(),
  seed: v.number(),
  /** System time when the domains were looked at: ns since the machine booted. */
  systemTime: v.nullable(v.number()),
  /** Why there is a dump. */
  failure: v.object({
    kind: v.string(),
    message: v.string(),
    domain: v.optional(v.string()),
    vcpu: v.optional(v.number()),
    /** Frames of the user's files. */
    stack: v.optional(v.string()),
  }),
  domains: v.array(
    v.object({
      ...domainSnapshot.entries,
      /** Why it ended; absent while it has not. */
      exit: v.optional(v.object({ reason: v.string(), message: v.optional(v.string()) })),
    }),
  ),
  /** Of each vCPU; null: nothing was recorded. */
  lastAccesses: v.nullable(v.array(accessesOfVcpu)),
});

export type Dump = v.InferOutput<typeof dumpSchema>;
export type DumpedDomain = Dump['domains'][number];
export type LastAccesses = v.InferOutput<typeof accessesOfVcpu>;

/** A file that is no dump, or none that this version reads. */
export class DumpError extends UpcallError {
  override readonly name = 'DumpError';
}

/**
 * @param file - its name, for messages
 * @throws DumpError
 */
export function parseDump(text: string, file: string): Dump {
  const data = parseJson(text, file);
  if (!isObject(data) || data.format !== DUMP_FORMAT) throw bad(file, 'is no dump of upcall');
  if (data.version !== DUMP_VERSION) {
    const version = typeof data.version === 'number' ? String(data.version) : 'unknown';
    throw bad(file, `is a dump of version ${version}; this upcall reads version ${DUMP_VERSION}`);
  }
  const parsed = v.safeParse(dumpSchema, data, { abortEarly: true });
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw bad(file, `is damaged: ${v.getDotPath(issue) ?? 'the dump'}: ${issue.message}`);
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The message may quote the file, which may be anything.
    const truncated = text.startsWith(`{"format":"${DUMP_FORMAT}"`);
    const what = truncated ? 'is a dump that was cut off or damaged' : 'is no dump of upcall';
    throw bad(file, `${what}: it is not JSON`, error);
  }
}

function isObject(data: unknown): data is Readonly<Record<string, unknown>> {
  return typeof data === 'object' && data !== null;
}

function bad(file: string, what: string, cause?: unknown): DumpError {
  return new DumpError('DUMP_UNREADABLE', `${file} ${what}`, { cause });
}
