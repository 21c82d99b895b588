import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import type { Campaign, CampaignOptions, Figures } from './campaign';
import { long } from './command';

function campaign(name: string, run: (options: CampaignOptions) => Promise<Figures> | Figures): Campaign {
  return { name, describe: `${name} holds`, run: async (options) => run(options) };
}

const counting = campaign('counting', ({ seed, seconds = 0 }) => ({ turns: 1_234_567, seed, seconds }));
const broken = campaign('broken', () => {
  throw new Error('one event was lost\nsomewhere');
});

interface Streams {
  readonly columns?: number;
  readonly interrupt?: AbortController;
}

async function command(argv: string[], campaigns: readonly Campaign[], { columns, interrupt }: Streams = {}) {
  const outputs = [new PassThrough(), new PassThrough()].map((stream) =>
    Object.assign(stream, columns === undefined ? {} : { columns, isTTY: true }),
  );
  const [stdout, stderr] = outputs as unknown as [NodeJS.WriteStream, NodeJS.WriteStream];
  const { signal } = interrupt ?? new AbortController();
  const status = await long(argv, campaigns, { stdout, stderr, signal });
  const [out = '', err = ''] = outputs.map((stream) => String(stream.read() ?? ''));
  return { status, out, err };
}

describe('npm run long', () => {
  it('prints a table of the figures of all campaigns', async () => {
    const { status, out, err } = await command(['--seed', '7'], [counting, campaign('quiet', () => ({}))]);
    expect(status).to.equal(0);
    expect(err).to.equal('');
    expect(out.replace(/\d\.\d/g, '0.0').split('\n')).to.deep.equal([
      'campaign  outcome    s             figures (seed 7)',
      'counting  held     0.0  1 234 567  turns',
      '                                7  seed',
      '                                0  seconds',
      'quiet     held     0.0',
      '',
    ]);
  });

  it('runs the named campaigns alone, as long as it is told', async () => {
    const { status, out } = await command(['counting', '--seconds', '3', '--json'], [counting, broken]);
    expect(status).to.equal(0);
    const { campaigns, scale, seed } = JSON.parse(out);
    expect(campaigns).to.have.length(1);
    expect(campaigns[0]).to.deep.include({ name: 'counting', outcome: 'held' });
    expect(campaigns[0].figures).to.deep.equal({ turns: 1_234_567, seed, seconds: 3 });
    expect(scale).to.equal('long');
  });

  it('exits with 1 and the first line of the message if an invariant was broken, and still runs the others', async () => {
    const { status, out } = await command([], [broken, counting]);
    expect(status).to.equal(1);
    expect(out).to.match(/broken +broken .*one event was lost$/m);
    expect(out).to.match(/counting +held/);
    expect(out).to.not.contain('somewhere');
  });

  it('keeps to the width of a terminal', async () => {
    const { out } = await command(['--seed', '7'], [counting], { columns: 30 });
    for (const line of out.split('\n')) expect(line.length).to.be.at.most(30 + '\x1b[2m\x1b[22m'.length);
  });

  it('when interrupted prints what is known, starts nothing more, and exits with 130', async () => {
    const interrupt = new AbortController();
    const slow = campaign('slow', async ({ progress, signal }) => {
      progress({ turns: 5 });
      setImmediate(() => interrupt.abort());
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return { turns: 6 };
    });
    const { status, out } = await command([], [slow, counting], { interrupt });
    expect(status).to.equal(130);
    expect(out).to.match(/slow +interrupted .* 6 {2}turns$/m);
    expect(out).to.not.contain('counting');
  });

  for (const [argv, message] of [
    [['countng'], 'long: no campaign countng; choose from counting, broken\n'],
    [
      ['--seconds', '0'],
      /^long: option '--seconds <n>' argument '0' is invalid. It must be a whole number at least 1\.\n$/,
    ],
    [['--second', '1'], /^long: unknown option '--second'.*\n$/],
  ] as const) {
    it(`refuses ${argv.join(' ')} in one line`, async () => {
      const { status, out, err } = await command([...argv], [counting, broken]);
      expect(status).to.equal(2);
      expect(out).to.equal('');
      if (typeof message === 'string') expect(err).to.equal(message);
      else expect(err).to.match(message);
    });
  }

  it('lists the campaigns with --help', async () => {
    const { status, out } = await command(['--help'], [counting, broken]);
    expect(status).to.equal(0);
    expect(out).to.match(/Campaigns:\n {2}counting {2}counting holds\n {2}broken {4}broken holds\n/);
  });
});
