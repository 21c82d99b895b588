import path from 'node:path';
import { expect } from 'chai';
import type { ExploreCoverage } from '../../lib/explore/coverage-format';
import { type ExploreOptions, explore } from '../../lib/index';

const EXAMPLES = path.join(__dirname, '../../examples');
const FIXED = path.join(EXAMPLES, 'races/r14-check-then-block.ts');
const LOST_UPDATE = path.join(__dirname, '../cli/scenarios/lost-update.ts');

async function covered(file: string, options: ExploreOptions): Promise<ExploreCoverage & { executions: number }> {
  const { coverage, executions, failure } = await explore(file, { ...options, coverage: true });
  expect(failure).to.equal(null);
  return { ...coverage!, executions };
}

describe('coverage of an exploration', () => {
  it('is not gathered unless it is asked for', async () => {
    expect(await explore(FIXED, { args: { variant: 'fixed' } })).not.to.have.property('coverage');
  });

  it('tells as many traces as optimal reduction has executions, and sampling meets the same ones again and again', async () => {
    const args = { variant: 'fixed' };
    const reduced = await covered(FIXED, { args });
    expect(reduced.traces).to.equal(reduced.executions);
    const sampled = await covered(FIXED, { args, strategy: 'random', maxExecutions: 6000 });
    expect(sampled.executions).to.equal(6000);
    expect(sampled.traces).to.equal(reduced.traces);
    expect(sampled.growth.at(-1)).to.deep.equal([6000, reduced.traces]);
    for (const [i, [executions, traces]] of sampled.growth.entries()) {
      const [before, earlier] = sampled.growth[i - 1] ?? [0, 0];
      expect(executions).to.be.above(before);
      expect(traces).to.be.within(earlier, executions);
    }
    const complete = await covered(FIXED, { args, strategy: 'dfs', preemptionBound: 2 });
    expect(complete.traces).to.be.at.most(reduced.traces);
    expect(complete.executions).to.be.above(complete.traces);
  });

  it('is the same on several threads', async () => {
    const args = { variant: 'fixed' };
    const [here, there] = [await covered(FIXED, { args }), await covered(FIXED, { args, workers: 2 })];
    expect(here.traces).to.equal(here.executions);
    expect({ traces: there.traces, pairs: there.pairs }).to.deep.equal({ traces: here.traces, pairs: here.pairs });
    expect(there.preemptions.map(({ count }) => count)).to.deep.equal(here.preemptions.map(({ count }) => count));
  });

  it('tells which accesses were seen in both orders, by word', async () => {
    const { pairs } = await covered(LOST_UPDATE, { args: { atomic: true } });
    const total = pairs.filter(({ word }) => word === 'total');
    expect(total.length).to.be.at.least(1);
    expect(total.some(({ firstBefore, secondBefore }) => firstBefore > 0 && secondBefore > 0)).to.equal(true);
    for (const { first, second } of pairs) expect(first.split(':')[0]).not.to.equal(second.split(':')[0]);
    const { preemptions } = await covered(FIXED, { args: { variant: 'fixed' } });
    expect(preemptions.map(({ actor }) => actor)).to.include('vCPU 0');
    expect(preemptions.every(({ count }) => count > 0)).to.equal(true);
  });
});
