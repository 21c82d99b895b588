/** Errors for whoever uses the package: each has a stable `code` and a message that is one clear line. */

/** Base class of everything the package throws at its user on purpose. */
export class UpcallError extends Error {
  override readonly name: string = 'UpcallError';

  /**
   * @param code - stable, upper case, for programs
   * @param message - one line: what is wrong and how to mend it
   */
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export type ScenarioErrorCode =
  | 'SCENARIO_NOT_FOUND'
  | 'SCENARIO_SYNTAX'
  | 'SCENARIO_THROWS'
  | 'SCENARIO_MISSING'
  | 'SCENARIO_INVALID'
  | 'SCENARIO_OPTION';

/** A scenario cannot be used: its file, its content, or an option that does not suit it. */
export class ScenarioError extends UpcallError {
  override readonly name = 'ScenarioError';
  declare readonly code: ScenarioErrorCode;

  constructor(code: ScenarioErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** `vcpu.assert` with a false condition: the execution failed. */
export class GuestAssertionError extends Error {
  override readonly name = 'GuestAssertionError';
}

/** The guest did what ends a domain on hardware too, such as taking an upcall with no callback registered. */
export class GuestCrashError extends Error {
  override readonly name = 'GuestCrashError';
}

/** The guest called process.exit: a guest ends by returning, or by SCHEDOP_shutdown. */
export class GuestExitError extends Error {
  override readonly name = 'GuestExitError';

  constructor(code: unknown) {
    super(`process.exit(${code === undefined ? '' : String(code)}) called in a guest: return, or shut the domain down`);
  }
}

/** Any thrown value as an Error: guests may throw whatever they like. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`thrown: ${String(thrown)}`);
}
