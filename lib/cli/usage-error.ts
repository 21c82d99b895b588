/**
 * Wrong usage or bad input: the one way for a command to say so. The entry prints the message as one line and exits
 * with 2.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';

  /** @param message - what is wrong and how to mend it, on one line, without a full stop */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
  }
}
