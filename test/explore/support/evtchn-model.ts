import { announced, evtchn } from '../../../lib/cli/bench/models';
import type { Bare } from './bare';

export { announced };

/** Delivery of one event in words, as peers model it. */
export function evtchnModel(fixed: boolean, rounds = 3, sends = 1): readonly Bare[] {
  return evtchn(fixed, rounds, sends).programs;
}
