/** A scenario that another thread cannot find: its file does not export it. */
import { defineScenario, type Scenario } from '../../../../lib/engine/scenario';

export function makeUnreachable(): Scenario {
  return defineScenario({ name: 'unreachable', guest: () => 1 });
}
