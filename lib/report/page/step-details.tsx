/** Everything about the current step, and where it leads. */
import './step-details.css';
import { effectOf } from '../rows';
import type { Link } from '../timeline/links';
import type { Navigator } from './navigator';
import type { TimelineModel } from './timeline-model';

interface StepDetailsProps {
  readonly model: TimelineModel;
  readonly navigator: Navigator;
  readonly onStep: (step: number) => void;
}

export function StepDetails({ model, navigator, onStep }: StepDetailsProps) {
  const index = navigator.step;
  const step = model.step(index);
  if (step === undefined) return <div class="details">This execution has no steps.</div>;
  const { actor, op, name, before, after, preempted, location, marks } = step;
  const timeNs = model.timeOf(index);
  const said = marks.filter(({ kind }) => kind === 'log');
  return (
    <div class="details" role="group" aria-label="The current step">
      <h2>
        Step {index + 1} <small>of {model.trace.steps.length}</small>
        <span class="who">{model.actorName(actor)}</span>
      </h2>
      <p class="operation">
        {op} {name ?? ''} {before === undefined ? effectOf(step, model.trace.memoryModel) : ''}
      </p>
      {before !== undefined && after !== undefined && (
        <p class="values">
          <Value value={before} /> → <Value value={after} />
        </p>
      )}
      <ul class="facts">
        {location !== undefined && <li>at {location}</li>}
        {timeNs !== undefined && <li>{(timeNs / 1e6).toFixed(4)} ms after the first step</li>}
        {preempted !== undefined && (
          <li class="preempts">preempts {model.actorName(preempted)}, which could have gone on</li>
        )}
        {said.map(({ text }) => (
          <li key={text}>logs “{text.trim()}”</li>
        ))}
        {(step.turns ?? []).map((turn) => (
          <li key={turn.actor}>
            {model.actorName(turn.actor)} {turn.kind === 'sleep' ? `cannot go on: ${turn.text}` : `is ${turn.text}`}
          </li>
        ))}
        {navigator.links().map((link) => {
          const told = tell(link, index, model);
          return told === undefined ? null : (
            <li key={`${link.kind} ${link.from} ${link.to}`}>
              {told[0]} <StepButton step={told[1]} onStep={onStep} />
            </li>
          );
        })}
        <SameWord model={model} step={index} onStep={onStep} />
      </ul>
    </div>
  );
}

function SameWord({ model, step, onStep }: { model: TimelineModel; step: number; onStep: (step: number) => void }) {
  const [earlier, later] = [model.sameWord(step, -1), model.sameWord(step, 1)];
  if (earlier < 0 && later < 0) return null;
  const by = (at: number): string => model.actorName(model.step(at)?.actor ?? -1);
  return (
    <li>
      the same word:{' '}
      {earlier >= 0 && (
        <>
          before by {by(earlier)} <StepButton step={earlier} onStep={onStep} />
        </>
      )}
      {earlier >= 0 && later >= 0 && ', '}
      {later >= 0 && (
        <>
          next by {by(later)} <StepButton step={later} onStep={onStep} />
        </>
      )}
    </li>
  );
}

function StepButton({ step, onStep }: { step: number; onStep: (step: number) => void }) {
  return (
    <button type="button" class="link" onClick={() => onStep(step)}>
      step {step + 1}
    </button>
  );
}

/** A number in the ways people read words of memory. */
function Value({ value }: { readonly value: number }) {
  const unsigned = value >>> 0;
  return (
    <span>
      <b>{value}</b>
      {unsigned > 9 && <small> 0x{unsigned.toString(16)}</small>}
    </span>
  );
}

/** A link from the view of one of its ends: what to say, and the other end. */
function tell(link: Link, step: number, model: TimelineModel): [text: string, other: number] | undefined {
  const { kind, from, to, fromActor, toActor } = link;
  switch (kind) {
    case 'upcall':
      return from === step
        ? [`makes an upcall due, which ${model.actorName(toActor)} takes before`, to]
        : [`in the upcall that ${model.actorName(fromActor)} caused in`, from];
    case 'flush':
      return from === step ? ['is buffered; reaches memory in', to] : ['brings to memory what was stored in', from];
    case 'race':
      return ['races with, nothing orders the two:', from === step ? to : from];
    default:
      return undefined;
  }
}
