/**
 * States of the two ends of a split device, kept in their `state` nodes.
 *
 * @source xen/include/public/io/xenbus.h
 */
export const XenbusState = {
  /** No node, or one that holds no state. */
  XenbusStateUnknown: 0,
  XenbusStateInitialising: 1,
  /** Waits for the other end to have told everything. */
  XenbusStateInitWait: 2,
  /** Has told everything, and waits for the other end to connect. */
  XenbusStateInitialised: 3,
  XenbusStateConnected: 4,
  /** The other end is to let go. */
  XenbusStateClosing: 5,
  XenbusStateClosed: 6,
  XenbusStateReconfiguring: 7,
  XenbusStateReconfigured: 8,
} as const;

/** A number of {@link XenbusState}. */
export type XenbusStateNumber = (typeof XenbusState)[keyof typeof XenbusState];
