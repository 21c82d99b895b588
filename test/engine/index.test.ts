import { expect } from 'chai';
import * as upcall from '../../lib/index';

describe('the public API', () => {
  it('exports what it promises, no more', () => {
    expect(Object.keys(upcall).sort()).to.deep.equal([
      'ControlError',
      'ExplorationFailed',
      'ExploreOptionError',
      'GuestAssertionError',
      'GuestCrashError',
      'GuestExitError',
      'HypercallError',
      'ScenarioError',
      'TokenError',
      'UpcallError',
      'defineScenario',
      'explore',
      'replay',
      'run',
      'shutdownPool',
      'stress',
    ]);
  });
});
