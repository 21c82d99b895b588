/**
 * A process of its own that searches one scenario exhaustively, as a user's does: `search-once.js <file> <args>`. In a process
 * that has run many other models the compiled code serves all of them and none well. Prints what {@link search} returns.
 */
import { DporStrategy } from '../../explore/dpor';
import { planOf, search } from './searching';

async function main(file: string, args: string): Promise<void> {
  const plan = await planOf(file, JSON.parse(args));
  const { ms, executions, complete, failure } = await search(plan, new DporStrategy(), 'sc');
  process.stdout.write(JSON.stringify({ ms, executions, complete, failure: failure?.message ?? null }));
}

const [file = '', args = '{}'] = process.argv.slice(2);
void main(file, args);
