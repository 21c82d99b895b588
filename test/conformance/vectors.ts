/**
 * Files of event-channel test vectors: gzip'd or plain JSON lines, one sequence a line. See README.md beside this file.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export interface VectorDomain {
  readonly id: number;
  readonly vcpus: number;
  /** 64 or 32: layout of its shared_info. */
  readonly width: number;
  readonly max_port: number;
  readonly privileged: number;
  readonly hwdom: number;
  readonly mask: number;
  readonly upcall_mask: number;
  readonly pirqs: readonly number[];
}

/** An operation and what it did. Parameters by the names the operation gives them. */
export interface Step {
  readonly op: string;
  readonly ret: number | null;
  readonly out?: Readonly<Record<string, unknown>>;
  readonly kicks?: readonly (readonly number[])[];
  readonly wakes?: readonly (readonly number[])[];
  readonly xen?: readonly (readonly number[])[];
  readonly chg?: readonly (readonly number[])[];
  readonly mem?: readonly (readonly number[])[];
  readonly [parameter: string]: unknown;
}

export interface Sequence {
  readonly name: string;
  readonly pirq_unmapped: readonly number[];
  readonly domains: readonly VectorDomain[];
  readonly steps: readonly Step[];
  readonly final: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A file that is not in the format. The message is one line for its user. */
export class VectorFormatError extends Error {
  override readonly name = 'VectorFormatError';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkDomain(domain: unknown, where: string): void {
  const numbers = ['id', 'vcpus', 'width', 'max_port'];
  if (!isRecord(domain) || !numbers.every((field) => typeof domain[field] === 'number')) {
    throw new VectorFormatError(`${where}: a domain lacks one of ${numbers.join(', ')}`);
  }
  if (domain.width !== 64 && domain.width !== 32) {
    throw new VectorFormatError(`${where}: domain ${domain.id} has width ${domain.width}, not 64 or 32`);
  }
}

function checkSequence(value: unknown, where: string): Sequence {
  if (!isRecord(value)) throw new VectorFormatError(`${where}: not a JSON object`);
  const { domains, final, name, steps } = value;
  if (typeof name !== 'string') throw new VectorFormatError(`${where}: no name`);
  if (!Array.isArray(domains) || domains.length === 0) throw new VectorFormatError(`${where}: no domains`);
  if (!Array.isArray(steps)) throw new VectorFormatError(`${where}: no steps`);
  if (!isRecord(final)) throw new VectorFormatError(`${where}: no final state`);
  for (const domain of domains) checkDomain(domain, where);
  for (const [i, step] of steps.entries()) {
    if (!isRecord(step) || typeof step.op !== 'string') throw new VectorFormatError(`${where}: step ${i} has no op`);
  }
  return { pirq_unmapped: [], ...value } as unknown as Sequence;
}

function parseLine(line: string, where: string): Sequence {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new VectorFormatError(`${where}: not JSON (${(error as Error).message})`);
  }
  return checkSequence(value, where);
}

/** @throws VectorFormatError naming the line that is wrong */
export function parseVectors(text: string, file: string): Sequence[] {
  const sequences: Sequence[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() !== '') sequences.push(parseLine(line, `${file}:${i + 1}`));
  }
  if (sequences.length === 0) throw new VectorFormatError(`${file}: no sequences`);
  return sequences;
}

/** @throws VectorFormatError for a file that cannot be read, or is not in the format */
export function readVectors(file: string): Sequence[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes);
  } catch (error) {
    throw new VectorFormatError(`${file}: cannot be read (${(error as Error).message})`);
  }
  return parseVectors(bytes.toString('utf8'), file);
}
