/** Hypercalls that may be refused. */
import { HypercallError } from 'upcall/guest';

/** 'ok', or the code of the error. */
export function attempt(call: () => unknown): string {
  try {
    call();
    return 'ok';
  } catch (error) {
    if (error instanceof HypercallError) return error.code;
    throw error;
  }
}

/** Frames that no scenario here uses for anything else. */
export const CONTROL_FRAME = 32;
export const ARRAY_FRAME = 33;
export const SPARE_CONTROL_FRAME = 34;
export const SPARE_ARRAY_FRAME = 35;
export const FRAME_BYTES = 4096;
/** Of a control block, rounded up. */
export const CONTROL_BYTES = 128;
