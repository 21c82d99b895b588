/**
 * The log of an actor: one record per operation, in the order the actor makes them, its results included. What replay is
 * answered from.
 */

/** Slots of a log record. */
export const RECORD = 8;
export const LOG_TAG = 0;
export const LOG_OPERAND = 1;
export const LOG_EXPECTED = 2;
export const LOG_RESULT = 3;
/** Node of the {@link OpCache} the record belongs to, or 0. */
export const LOG_NODE = 4;
/** RELAX: footprint of what was read since the last one. Flushes: event of the store. */
export const LOG_EXTRA = 5;
/** What the location holds after a read-modify-write. */
export const LOG_AFTER = 6;
/** Where hypercalls are atomic: bit 0 = inside one; above it, of an executed operation, where its changes begin. */
export const LOG_SECTION = 7;
