/**
 * The command behind `npm run conformance`: replays files of test vectors and prints where the hypervisor differs from
 * Xen.
 */
import { inspect } from 'node:util';
import { type Difference, replay } from './replay';
import { readVectors, type Sequence, VectorFormatError } from './vectors';

function show(value: unknown): string {
  return inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: null, maxArrayLength: 40 });
}

function describeDifference(name: string, { expected, field, got, op, step }: Difference): string {
  return `${name}: step ${step} (${op}): ${field}: expected ${show(expected)}, got ${show(got)}`;
}

function replayNamed(file: string, sequence: Sequence) {
  try {
    return replay(sequence);
  } catch (error) {
    if (!(error instanceof VectorFormatError)) throw error;
    throw new VectorFormatError(`${file}: sequence ${sequence.name}: ${error.message}`);
  }
}

function replayFiles(files: readonly string[], print: (line: string) => void): number {
  if (files.length === 0) throw new VectorFormatError('usage: npm run conformance -- FILE…');
  const counts = { passed: 0, failed: 0 };
  for (const file of files) {
    for (const sequence of readVectors(file)) {
      const outcome = replayNamed(file, sequence);
      counts[outcome.verdict]++;
      if (outcome.verdict === 'failed') print(describeDifference(sequence.name, outcome.difference));
    }
  }
  print(`${counts.passed} passed, ${counts.failed} failed, 0 skipped`);
  return counts.failed === 0 ? 0 : 1;
}

/**
 * Replays the files.
 * @param print - takes the lines of the result
 * @param complain - takes one line if a file cannot be used
 * @returns the exit code: 0 nothing differs, 1 something does, 2 a file cannot be used
 */
export function conformance(
  files: readonly string[],
  print: (line: string) => void,
  complain: (line: string) => void,
): number {
  try {
    return replayFiles(files, print);
  } catch (error) {
    if (!(error instanceof VectorFormatError)) throw error;
    complain(error.message);
    return 2;
  }
}
