/**
 * `upcall tour` (`npm start`): boots the four-vCPU kernel of examples/tour.ts on worker threads, shows what it writes as
 * it comes, and then what each vCPU did.
 */
import path from 'node:path';
import type { Command } from 'commander';
import { run } from '../engine/threads';
import { PACKAGE_ROOT } from './package-root';
import { ProgressLine } from './progress-line';
import { interruptible, printLines, report } from './run';

const FAILED = 1;
const INTERRUPTED = 130;

const INTRODUCTION = `A kernel on four virtual CPUs. Each vCPU is a worker thread; they share one page laid out as Xen's shared_info_t, and
interrupt each other by setting bits in it. The lines below are theirs, as they write them to the console.
`;

const NEXT = `
The kernel: examples/tour.ts. More of them: npx upcall examples
A race, found:  npx upcall explore examples/races/r14-check-then-block.ts
Its fix, proven: npx upcall explore examples/races/r14-check-then-block.ts --args '{"variant":"fixed"}'
`;

async function tour(): Promise<void> {
  const interrupt = interruptible();
  const progress = new ProgressLine(process.stderr);
  process.stdout.write(`${INTRODUCTION}\n`);
  try {
    const result = await run(path.join(PACKAGE_ROOT, 'examples', 'tour.ts'), {
      signal: interrupt.signal,
      ...printLines(progress),
    });
    process.stdout.write(report({ result }));
    if (result.failure === null) process.stdout.write(NEXT);
    else process.exitCode = FAILED;
    if (interrupt.signal.aborted) process.exitCode = INTERRUPTED;
  } finally {
    interrupt.dispose();
  }
}

/** Adds the command. */
export function registerTour(program: Command): void {
  program.command('tour').description('a guided tour of about 15 s: a four-vCPU kernel on four threads').action(tour);
}
