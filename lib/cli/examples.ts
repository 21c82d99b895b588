/**
 * `upcall examples`: the scenarios shipped with the package, one line each.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { PACKAGE_ROOT } from './package-root';
import { fitTo, painter } from './terminal';

const EXAMPLES = path.join(PACKAGE_ROOT, 'examples');

/** The first sentence of the comment that opens a file; empty if there is none. */
export function headline(source: string): string {
  const [, comment = ''] = /^\s*\/\*\*([\s\S]*?)\*\//.exec(source) ?? [];
  const text = comment.replace(/^\s*\*? ?/gm, '').trim();
  const [paragraph = ''] = text.split(/\n\s*\n/);
  const oneLine = paragraph.replace(/\s+/g, ' ');
  // A race begins with its number and a colon, which end no sentence.
  const [sentence] = /^(?:R\d+: )?.*?[.:!?](?= |$)/.exec(oneLine) ?? [oneLine];
  return sentence.replace(/[.:]$/, '');
}

/** The shipped scenarios, as paths below the examples folder, in order. */
function scenarioFiles(): string[] {
  return readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' })
    .filter((file) => /(?<!\.d)\.[cm]?[jt]s$/.test(file))
    .sort((a, b) => path.dirname(a).localeCompare(path.dirname(b)) || a.localeCompare(b));
}

/** The file of a shipped scenario, named by its path below the examples folder or by its bare name, without extension. */
export function shippedExample(name: string): string | undefined {
  const files = scenarioFiles().map((file) => ({ file, name: file.replace(/\.[^.]+$/, '').replaceAll(path.sep, '/') }));
  const found =
    files.find((each) => each.name === name) ?? files.find((each) => path.posix.basename(each.name) === name);
  return found && path.join(EXAMPLES, found.file);
}

/** Adds the command. */
export function registerExamples(program: Command): void {
  program
    .command('examples')
    .description('what is shipped, one line each')
    .action(() => {
      const paint = painter(process.stdout);
      const rows = scenarioFiles().map((file) => {
        const fromHere = path.relative('', path.join(EXAMPLES, file));
        return { file: fromHere, about: headline(readFileSync(path.join(EXAMPLES, file), 'utf8')) };
      });
      const width = Math.max(0, ...rows.map(({ file }) => file.length));
      for (const { file, about } of rows) {
        const line = fitTo(process.stdout, `${file.padEnd(width)}  ${about}`);
        process.stdout.write(`${paint('bold', line.slice(0, width))}${line.slice(width).trimEnd()}\n`);
      }
    });
}
