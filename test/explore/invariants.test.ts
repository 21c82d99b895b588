import { expect } from 'chai';
import { explore, replay } from '../../lib';
import type { Scenario } from '../../lib/engine/scenario';
import * as scenarios from './scenarios/invariants';

/** Scenario and the sentence with which its invariant fails. */
const BROKEN: readonly [Scenario, RegExp][] = [
  [scenarios.delivery, /^delivery: port 1: vCPU 0 took its last event and no run of its handler \(runs\) begins/],
  [scenarios.noOverlap, /^no-overlap: vCPU [01] enters a handler that is running already/],
  [scenarios.bitConservation, /^bit-conservation: vCPU 0 stores to word 0 of evtchn_pending/],
  [scenarios.snapshot, /^snapshot: vCPU 0 has read (1, 2|2, 1) from the wallclock: that was never published/],
  [scenarios.ring, /^ring: vCPU 0 stores 2 to prod: the producer is then 2 ahead of the consumer, in a ring of 1/],
  [scenarios.ownership, /^ownership: port 1 is in use and table\[1\] is 0/],
  [scenarios.boundedSteps, /^bounded-steps: an upcall has taken more than 12 steps/],
  [scenarios.noDeadUpcall, /^no-dead-upcall: evtchn_pending_sel of vCPU 0 is not 0/],
];

describe('invariants under exploration', () => {
  for (const [scenario, message] of BROKEN) {
    it(`${scenario.name} fails, and is found again on threads`, async () => {
      const { failure } = await explore(scenario);
      expect(failure?.kind).to.equal('invariant');
      expect(failure?.message).to.match(message);
      const again = await replay(scenario, failure!.token, { engine: 'lockstep' });
      expect(again.failure).to.include({ kind: 'invariant', message: failure?.message });
    });

    for (const memoryModel of ['sc', 'tso'] as const) {
      it(`${scenario.name} holds under ${memoryModel} when the fault is mended`, async () => {
        const result = await explore(scenario, { memoryModel, args: { fixed: true } });
        result.assertHeld();
        expect(result.complete).to.equal(true);
      });
    }
  }

  it('find under tso what they find under sc', async () => {
    for (const [scenario, message] of BROKEN) {
      const { failure } = await explore(scenario, { memoryModel: 'tso' });
      expect(failure?.message, scenario.name).to.match(message);
    }
  });
});
