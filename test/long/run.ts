/** Entry of `npm run long -- [campaign…] [options]`. */
import { exitOnClosedPipe } from '../../lib/cli/terminal';
import { allCampaigns } from './campaign';
import { long } from './command';

async function main(): Promise<void> {
  exitOnClosedPipe();
  const { argv, stderr, stdout } = process;
  const interrupt = new AbortController();
  // A second Ctrl-C ends the process at once.
  process.once('SIGINT', () => interrupt.abort());
  const status = await long(argv.slice(2), allCampaigns(), { stdout, stderr, signal: interrupt.signal });
  // A campaign that was given up may still have threads at work; what was printed has to be out first.
  stdout.write('', () => process.exit(status));
}

void main();
