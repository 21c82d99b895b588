/**
 * Mocha's spec reporter, and after its summary one plain line that a script can read: `N passed, N failed`.
 */
import { type MochaOptions, type Runner, reporters } from 'mocha';

export = class TotalsReporter extends reporters.Spec {
  constructor(runner: Runner, options?: MochaOptions) {
    super(runner, options);
    // After the base class's own listener, so that the line stands last.
    runner.once('end', () => {
      const { passes, failures } = this.stats;
      process.stdout.write(`${passes} passed, ${failures} failed\n`);
    });
  }
};
