/** A failed execution in two lines: a sentence that says what went wrong, and where. */
import type { LostPort, Trace, TraceFailure, TraceStep, TraceWait } from '../explore/trace-format';
import { onlyBit } from './rows';
import { visible } from './visible-text';

/** What makes a guest do something else the next time. */
const CAUSES = 'Math.random, Date.now, or a variable outside the guest function?';

/** What, and where and after how much: one line each. */
export function summarise(trace: Trace, failure: TraceFailure, preemptions: number): [what: string, where: string] {
  const what = failure.kind === 'deadlock' && trace.waits.length > 0 ? deadlock(trace) : sentence(trace, failure);
  const size = `${preemptions} preemption${preemptions === 1 ? '' : 's'}, ${trace.steps.length} steps`;
  return [oneLine(what), [...where(trace, failure), size].join('; ')];
}

function sentence(trace: Trace, { kind, message, actor }: TraceFailure): string {
  const who = actor === undefined ? '' : ` in ${trace.actors[actor]}`;
  if (kind === 'nondeterminism') {
    return `nondeterminism${who}: run again on the same schedule the guest does something else (${CAUSES}): it ${message}`;
  }
  return `${kind}${who}: ${message}`;
}

function deadlock(trace: Trace): string {
  const waits = trace.waits.map((wait) => {
    const verb = wait.text.startsWith('asleep') ? 'is ' : '';
    return `${trace.actors[wait.actor]} ${verb}${wait.text}${explained(trace, wait)}`;
  });
  return `deadlock: nothing is left that could wake anyone: ${waits.join('; ')}`;
}

/** Which event there is that the sleeper will not see, or what became of the last one. */
function explained(trace: Trace, { asleep }: TraceWait): string {
  if (asleep === undefined) return '';
  const { pending, ports, upcallPending, upcallMasked, domain, vcpu } = asleep;
  const bound = `${domain === '' ? '' : `of ${domain}, `}bound to vCPU ${vcpu}`;
  const notes = pending.map((port) => `port ${port.port} (${bound}) ${lost(port, upcallPending, upcallMasked)}`);
  if (notes.length === 0) notes.push(...ports.flatMap((port) => fate(trace, port) ?? []));
  return notes.length === 0 ? '' : `, ${notes.join(', ')}`;
}

function lost({ masked, selected, fifo }: LostPort, upcallPending: boolean, upcallMasked: boolean): string {
  if (masked) return 'is pending but masked: it is announced only once it is unmasked';
  const state = 'is pending and unmasked';
  if (!selected) return `${state}, ${fifo ? 'it is on no queue' : 'its selector bit is clear'}: nobody will look at it`;
  const led = fifo ? 'it is on a queue' : 'its selector bit is set';
  if (!upcallPending) return `${state}, ${led}, evtchn_upcall_pending is clear: nobody will look at it`;
  if (upcallMasked) return `${state} and announced, but evtchn_upcall_mask is set`;
  return `${state} and announced, but the sleeper was not woken`;
}

/** What became of the last event of a port that is not pending any more, if it found the bit set already. */
function fate({ steps }: Trace, port: number): string | undefined {
  const suffix = ` port ${port}`;
  let merged = -1;
  let cleared = -1;
  steps.forEach((step, index) => {
    if (!/(^|\.)evtchn_pending\[/.test(step.name ?? '')) return;
    const own = step.name?.endsWith(suffix) === true;
    if (own && step.op.startsWith('or')) merged = step.before === undefined ? index : -1;
    else if (clears(step, own, port)) cleared = index;
  });
  if (merged < 0 || cleared < merged) return undefined;
  return `port ${port} was sent in step ${merged + 1} while still pending, and cleared in step ${cleared + 1}`;
}

function clears({ op, operand, before, after }: TraceStep, own: boolean, port: number): boolean {
  if (before === undefined || after === undefined) return false;
  if (own) return onlyBit(op, operand) >= 0;
  const bit = port & 31;
  return op.endsWith('32') && ((before & ~after) >>> bit) % 2 === 1;
}

function where(trace: Trace, failure: TraceFailure): string[] {
  const concerned =
    failure.kind === 'deadlock' && trace.waits.length > 0
      ? trace.waits.map(({ actor }) => actor)
      : failure.actor === undefined
        ? []
        : [failure.actor];
  const places = concerned.flatMap((actor) => {
    const place = (actor === failure.actor ? failure.location : undefined) ?? lastPlace(trace, actor);
    if (place === undefined) return [];
    return `${trace.actors[actor]} at ${place}`;
  });
  if (failure.location !== undefined && concerned.length === 0) return [`at ${failure.location}`];
  return places.length === 0 ? [] : [places.join(', ')];
}

function lastPlace({ steps }: Trace, actor: number): string | undefined {
  return steps.findLast((step) => step.actor === actor && step.location !== undefined)?.location;
}

function oneLine(text: string): string {
  return visible(text.replace(/\s*\n\s*/g, ' ').trim());
}
