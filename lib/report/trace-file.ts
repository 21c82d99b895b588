/**
 * The trace of an execution as a file: what `explore --trace FILE` writes and `replay` takes in place of a token. The
 * format is described in README.md beside this file.
 */
import { UpcallError } from '../engine/errors';
import { TRACE_VERSION, type Trace } from '../explore/trace-format';
import type { ReplaySetting } from './command';

const FORMAT = 'upcall-trace';

/** A trace with what is needed to execute it again. */
export interface TraceFile extends Trace {
  readonly format: typeof FORMAT;
  /** Null: recorded on free-running threads, where there is no schedule. */
  readonly token: string | null;
  /** Options of explore that replay has to be given as well. */
  readonly options: ReplaySetting;
}

/** A file that is no trace, or not one this version reads. */
export class TraceFileError extends UpcallError {
  override readonly name = 'TraceFileError';

  constructor(message: string) {
    super('TRACE_INVALID', message);
  }
}

/** The file's text: one line of JSON. */
export function formatTraceFile(
  { trace, token }: { readonly trace: Trace; readonly token: string | null },
  options: ReplaySetting,
): string {
  const { version, ...rest } = trace;
  const file: TraceFile = { format: FORMAT, version, token, options, ...rest };
  return `${JSON.stringify(file, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}\n`;
}

/**
 * @param name - of the file, for messages
 * @throws TraceFileError saying in one line what is wrong with it
 */
export function parseTraceFile(text: string, name: string): TraceFile & { readonly token: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new TraceFileError(
      `${name} is cut off or damaged: it is no complete JSON; write it again with explore --trace`,
    );
  }
  const { format, version, token, steps, options } = (parsed ?? {}) as Partial<Record<keyof TraceFile, unknown>>;
  if (format !== FORMAT) throw new TraceFileError(`${name} is no trace: explore --trace writes one`);
  if (version !== TRACE_VERSION) {
    throw new TraceFileError(
      `${name} has version ${String(version)} of the trace format, this upcall reads ${TRACE_VERSION}`,
    );
  }
  if (token === null) {
    throw new TraceFileError(
      `${name} was recorded on free-running threads: there is no schedule to replay; upcall stress searches for one`,
    );
  }
  if (typeof token !== 'string' || !Array.isArray(steps) || typeof options !== 'object' || options === null) {
    throw new TraceFileError(
      `${name} is damaged: token, options or steps are missing; write it again with explore --trace`,
    );
  }
  return parsed as TraceFile & { readonly token: string };
}
