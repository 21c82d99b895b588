/**
 * The equality that makes the fast engine trustworthy: what the inline engine makes of a schedule by re-executing programs
 * over bytes of its own, worker threads make of it with Atomics on the machine's buffers.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import type { LockstepSubject } from '../../lib/engine/lockstep';
import { Random } from '../../lib/engine/rng';
import { bundleScenario } from '../../lib/engine/scenario-bundle';
import { evaluateScenario } from '../../lib/engine/scenario-source';
import { kernels } from './scenarios/kernels';
import { comparePairs, type Tally } from './support/pairs';
import { randomLists } from './support/random-lists';

const SCENARIOS = path.join(__dirname, 'scenarios');
const RACES = path.join(__dirname, '../../examples/races');
const MODELS = ['sc', 'tso'] as const;
/** Pairs in all: checked at the end. */
const WANTED = 5000;

async function subjectIn(file: string, index?: number): Promise<LockstepSubject> {
  const source = await bundleScenario(file);
  return { source, subject: evaluateScenario(source, index === undefined ? {} : { index }) };
}

describe('Inline and lockstep engine', () => {
  const tally: Tally = new Map();
  const count = (): number => [...tally.values()].reduce((sum, pairs) => sum + pairs, 0);

  for (const memoryModel of MODELS) {
    it(`agree on random programs over words under ${memoryModel}`, async () => {
      const subject = await subjectIn(path.join(SCENARIOS, 'random-words.ts'));
      const rng = new Random(memoryModel === 'sc' ? 11 : 12);
      for (let seed = 1; seed <= 48; seed++) {
        const programs = randomLists(rng);
        const title = `random-words ${JSON.stringify(programs)}`;
        const vcpus = programs.length;
        await comparePairs({ title, subject, vcpus, args: { programs }, memoryModel, seed, schedules: 20 }, tally);
      }
    });

    for (const [index, { name }] of kernels.entries()) {
      it(`agree on ${name} under ${memoryModel}`, async () => {
        const subject = await subjectIn(path.join(SCENARIOS, 'kernels.ts'), index);
        // Enough steps for a spin in vain to be known for one, and for timers to run out.
        await comparePairs({ title: name, subject, memoryModel, seed: 5, schedules: 40, maxSteps: 2000 }, tally);
      });
    }

    it(`agree on the gallery of races under ${memoryModel}`, async () => {
      for (const file of readdirSync(RACES).filter((each) => each.endsWith('.ts'))) {
        const subject = await subjectIn(path.join(RACES, file));
        for (const variant of ['buggy', 'fixed']) {
          const title = `${file} ${variant}`;
          await comparePairs({ title, subject, args: { variant }, memoryModel, seed: 3, schedules: 15 }, tally);
        }
      }
    });
  }

  it(`have been compared on at least ${WANTED.toLocaleString('en')} schedules, failing and holding ones`, () => {
    expect(count()).to.be.at.least(WANTED);
    expect(tally.get('held')).to.be.at.least(WANTED / 2);
    for (const kind of ['deadlock', 'livelock', 'assertion', 'crash']) expect(tally.get(kind), kind).to.be.at.least(20);
  });
});
