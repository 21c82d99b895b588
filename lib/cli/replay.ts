/**
 * `upcall replay <scenario> <token>`: executes one schedule again, step by step, and prints it as a chart.
 *
 * Exit status: 0 if the execution held, 1 if it failed, 2 if the token cannot be used or followed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { type ReplayResult, replay } from '../explore/replay';
import { chart } from '../report/chart';
import { toJson, usage } from './explore';
import { addScenarioOptions, type ScenarioOptions } from './options';
import { locateScenario } from './run';
import { painter } from './terminal';
import { UsageError } from './usage-error';

const FAILED = 1;

interface ReplayCommandOptions extends ScenarioOptions {
  readonly engine: 'inline';
  readonly json?: boolean;
}

/** Adds the command. */
export function registerReplay(program: Command): void {
  const command = program
    .command('replay')
    .description('execute one schedule of a scenario again, step by step')
    .argument('<scenario>', 'a .ts or .js file, or the name of a shipped example')
    .argument('<token>', 'what explore printed, or a file that holds it');
  addScenarioOptions(command)
    .addOption(new Option('--engine <name>', 'who executes the vCPUs').choices(['inline']).default('inline'))
    .option('--json', 'print the result as one JSON object')
    .action((scenario: string, token: string, options: ReplayCommandOptions) =>
      replayCommand(scenario, token, options),
    );
}

async function replayCommand(given: string, token: string, options: ReplayCommandOptions): Promise<void> {
  const { vcpus, abi, args } = options;
  const text = existsSync(token) ? readFileSync(token, 'utf8').trim() : token;
  const result = await usage(() => replay(locateScenario(given), text, { vcpus, abi, args }));
  if (!result.followed) {
    throw new UsageError(`step ${result.divergedAt} of the token cannot be executed: is the code another one since?`);
  }
  process.stdout.write(options.json ? `${toJson(result)}\n` : report(result));
  if (result.failure !== null) process.exitCode = FAILED;
}

function report({ scenario, failure, trace, results }: ReplayResult): string {
  const paint = painter(process.stdout);
  const where = failure?.actor === undefined ? '' : ` in ${failure.actor}`;
  const verdict =
    failure === null
      ? `${scenario} held: ${toJson(results)}`
      : paint('red', `${failure.kind}${where}: ${failure.message}`);
  return `${chart(trace)}\n\n${verdict}\n`;
}
