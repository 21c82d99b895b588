/**
 * The command behind `npm run long`: runs campaigns and prints one table of their figures.
 *
 * Exit status: 0 every invariant held, 1 one was broken, 2 wrong usage, 130 interrupted.
 */
import { Command, CommanderError } from 'commander';
import { integerFrom, parseSeed } from '../../lib/cli/options';
import { ProgressLine } from '../../lib/cli/progress-line';
import { alignColumns } from '../../lib/cli/table';
import { fitTo, painter } from '../../lib/cli/terminal';
import type { Campaign, Figures } from './campaign';
import { type CampaignResult, conduct } from './conduct';

const BROKEN = 1;
const WRONG_USAGE = 2;
const INTERRUPTED = 130;

interface LongOptions {
  readonly seconds?: number;
  readonly seed: number;
  readonly short?: boolean;
  readonly json?: boolean;
}

/** Where the command writes, and what interrupts it. */
export interface Surroundings {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

/**
 * Runs the command.
 * @param argv - names of campaigns and options
 * @returns the exit status
 */
export async function long(
  argv: readonly string[],
  campaigns: readonly Campaign[],
  surroundings: Surroundings,
): Promise<number> {
  const program = programFor(campaigns, surroundings);
  try {
    program.parse(argv, { from: 'user' });
    return await runChosen(choose(campaigns, program), program.opts<LongOptions>(), surroundings);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    surroundings.stderr.write(`long: ${error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')}\n`);
    return WRONG_USAGE;
  }
}

function programFor(campaigns: readonly Campaign[], { stdout }: Surroundings): Command {
  const listing = campaigns.map(({ name, describe }) => [`  ${name}`, describe]);
  return new Command('long')
    .usage('[options] [campaign...]')
    .description('runs campaigns at length, all of them if none is named, and prints what they counted')
    .argument('[campaign...]')
    .option('--seconds <n>', 'how long each campaign goes on; default: its own choice', integerFrom(1))
    .option('--seed <s>', 'seed of everything random; default: another each time', parseSeed)
    .option('--short', 'the short forms, as in npm test')
    .option('--json', 'print one JSON object')
    .addHelpText('after', () => `\nCampaigns:\n${alignColumns(listing, new Set()).join('\n')}`)
    .exitOverride()
    .configureOutput({ outputError: () => {}, writeOut: (text) => stdout.write(text) });
}

function choose(campaigns: readonly Campaign[], program: Command): readonly Campaign[] {
  const unknown = program.args.find((name) => !campaigns.some((campaign) => campaign.name === name));
  if (unknown === undefined) {
    return program.args.length === 0 ? campaigns : campaigns.filter(({ name }) => program.args.includes(name));
  }
  const known = campaigns.map(({ name }) => name).join(', ');
  return program.error(`no campaign ${unknown}; choose from ${known}`);
}

async function runChosen(
  campaigns: readonly Campaign[],
  { json, seconds, seed = Math.floor(Math.random() * 2 ** 32), short }: LongOptions,
  { signal, stderr, stdout }: Surroundings,
): Promise<number> {
  const line = new ProgressLine(stderr);
  const scale = short ? 'short' : 'long';
  const results = await conduct(campaigns, {
    seed,
    scale,
    signal,
    ...(seconds === undefined ? {} : { seconds }),
    onProgress: (name, figures) => line.show(`${name}: ${inOneLine(figures)}`),
  });
  line.clear();
  stdout.write(json ? `${JSON.stringify({ scale, seed, campaigns: results })}\n` : table(results, seed, stdout));
  if (results.some(({ outcome }) => outcome === 'broken')) return BROKEN;
  return signal.aborted ? INTERRUPTED : 0;
}

function inOneLine(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${text(value)}`)
    .join(', ');
}

/** A row for each figure; the first of a campaign also tells how it ended. */
function table(results: readonly CampaignResult[], seed: number, stdout: NodeJS.WriteStream): string {
  const rows = results.flatMap(({ name, outcome, seconds, figures, message }) => {
    const all = [...Object.entries(figures), ...(message === undefined ? [] : [[message.split('\n', 1)[0], '']])];
    const head = [name, outcome, seconds.toFixed(1)];
    return (all.length === 0 ? [['', '']] : all).map(([figure, value], i) => [
      ...(i === 0 ? head : ['', '', '']),
      text(value as string),
      figure as string,
    ]);
  });
  const paint = painter(stdout);
  const lines = alignColumns([['campaign', 'outcome', 's', '', `figures (seed ${seed})`], ...rows], new Set([2, 3]));
  const painted = lines.map((line, i) => {
    const fitted = fitTo(stdout, line);
    if (i === 0) return paint('dim', fitted);
    return rows[i - 1]?.[1] === 'broken' ? paint('red', fitted) : fitted;
  });
  return `${painted.join('\n')}\n`;
}

/** A number with its thousands apart. */
function text(value: number | string): string {
  return typeof value === 'number' ? value.toLocaleString('en-US').replaceAll(',', ' ') : value;
}
