/**
 * Invariants about the runs of event handlers, looked for in the history of an execution. Only a guest knows when a
 * handler runs: it says so by writing a word.
 *
 * Where two steps are compared, it is by what happens before what, not by the order in which this execution happened to
 * make them: an exploration that executes one of many equivalent orders (partial-order reduction) judges all of them.
 */
import type { HvDomain } from '../../hypervisor/hypervisor';
import { CHANNEL_STATE } from '../../hypervisor/state-layout';
import { accessesTo, type History, isIn, timelineOf } from './history';
import { isInUse, type MachineView, portName } from './machine-view';

/** A word of the scenario. */
export interface WordRef {
  readonly name: string;
  readonly domainId: number;
  readonly address: number;
}

/** Steps that write the word. */
function writesTo(history: History, { domainId, address }: WordRef): number[] {
  return accessesTo(history, 'guest', domainId, address)
    .filter(({ access }) => access.kind !== 'read')
    .map(({ step }) => step);
}

/**
 * After the last event of a port was taken (its pending bit cleared), a run of its handler begins; and there are no
 * more runs than events taken, so that none runs for nothing. Events that coalesced are one.
 * @param runs - written at the start of each run
 */
export function delivery(
  view: MachineView,
  history: History,
  domain: HvDomain,
  port: number,
  runs: WordRef,
): string | undefined {
  const taken = eventsTaken(view, history, domain, port);
  const begun = writesTo(history, runs);
  const which = portName(view, domain, port);
  const last = taken.at(-1);
  if (last !== undefined && !begun.some((run) => history.happensBefore(last, run))) {
    const taker = history.actorName(last);
    return `${which}: ${taker} took its last event and no run of its handler (${runs.name}) begins after that`;
  }
  if (begun.length > taken.length) {
    return `${which}: ${begun.length} runs of its handler (${runs.name}) for ${taken.length} events`;
  }
  return undefined;
}

/** Steps that cleared the port's pending bit, but not those of EVTCHNOP_close. */
function eventsTaken(view: MachineView, history: History, domain: HvDomain, port: number): number[] {
  const place = view.ports(domain).pendingBit(port);
  if (place === undefined) return [];
  const { address, bit } = place;
  const { initial, changes } = timelineOf(history, 'guest', domain.id, address, view.word(domain.id, address));
  let before = initial;
  const taken: number[] = [];
  for (const { step, value } of changes) {
    if ((before & bit) !== 0 && (value & bit) === 0 && !isClosing(history, step, domain, port)) taken.push(step);
    before = value;
  }
  return taken;
}

/** Whether the same actor goes on to free the port's channel, before it touches the domain's memory again. */
function isClosing(history: History, cleared: number, domain: HvDomain, port: number): boolean {
  const actor = history.access(cleared)?.actor;
  for (let step = cleared + 1; step < history.length; step++) {
    const access = history.access(step);
    if (access === undefined || access.actor !== actor) continue;
    if (isIn(access.region, 'guest', domain.id)) return false;
    if (access.kind === 'read' || !isIn(access.region, 'private', domain.id)) continue;
    if (access.address === domain.channelAddress(port) + CHANNEL_STATE) return !isInUse(access.after);
  }
  return false;
}

/**
 * The word never says that two runs of a handler are under way.
 * @param running - counts them
 */
export function noOverlap(view: MachineView, history: History, running: WordRef): string | undefined {
  const now = view.word(running.domainId, running.address);
  const { changes } = timelineOf(history, 'guest', running.domainId, running.address, now);
  const overlap = changes.find(({ value }) => value > 1);
  if (overlap === undefined) return undefined;
  const { step, value } = overlap;
  return `${history.actorName(step)} enters a handler that is running already (${running.name} is ${value})`;
}

/**
 * No handler of a port runs once its close is under way, until the port is bound again.
 * @param runs - written at the start of each run
 */
export function noRunAfterClose(
  view: MachineView,
  history: History,
  domain: HvDomain,
  port: number,
  runs: WordRef,
): string | undefined {
  const state = accessesTo(history, 'private', domain.id, domain.channelAddress(port) + CHANNEL_STATE).filter(
    ({ access }) => access.kind !== 'read',
  );
  const closes = state.filter(({ access }) => !isInUse(access.after) && isInUse(access.before)).map(({ step }) => step);
  const binds = state.filter(({ access }) => isInUse(access.after)).map(({ step }) => step);
  for (const run of writesTo(history, runs)) {
    for (const close of closes) {
      if (history.happensBefore(run, close)) continue;
      const bound = binds.some((bind) => history.happensBefore(close, bind) && history.happensBefore(bind, run));
      if (!bound) {
        const runner = `${history.actorName(run)} runs its handler (${runs.name})`;
        const closer = `${history.actorName(close)} has closed it or is about to`;
        return `${portName(view, domain, port)}: ${runner} and ${closer}`;
      }
    }
  }
  return undefined;
}
