/** A row's text, its parts told apart by how they look. */
import './step-text.css';
import { effectOf, type Row } from '../rows';
import { shortName } from './geometry';
import type { TimelineModel } from './timeline-model';

/** Signs for rows that are no steps; a screen reader is told in words. */
const SIGNS: Readonly<Partial<Record<Row['kind'], readonly [sign: string, words: string]>>> = {
  hypercall: ['', 'hypercall '],
  upcall: ['', 'enters '],
  log: ['»', 'logs '],
  sleep: ['zz', ''],
  wake: ['!', ''],
  preempted: ['', ''],
  failure: ['✗', 'fails: '],
  fold: ['', ''],
};

export function RowText({ row, model }: { readonly row: Row; readonly model: TimelineModel }) {
  const step = row.kind === 'step' ? model.step(row.at) : undefined;
  if (step === undefined) {
    const [sign, words] = SIGNS[row.kind] ?? ['', ''];
    return (
      <>
        {sign !== '' && (
          <span class="sign" aria-hidden="true">
            {sign}{' '}
          </span>
        )}
        {words !== '' && <span class="unseen">{words}</span>}
        {row.text}
      </>
    );
  }
  const effect = effectOf(step, model.trace.memoryModel);
  const changes = step.before !== undefined;
  return (
    <>
      <span class="op">{step.op}</span>
      {step.name !== undefined && <span class="name"> {shortName(step.name)}</span>}
      <span class={changes ? 'effect changes' : 'effect'}>{effect}</span>
    </>
  );
}

/** One row in words, for the live region. */
export function rowInWords(row: Row, model: TimelineModel): string {
  const step = model.step(row.at);
  if (row.kind !== 'step' || step === undefined) return row.text;
  const change = effectOf(step, model.trace.memoryModel).replace('→', ' becomes ');
  const place = step.name === undefined ? '' : ` ${step.name}`;
  return `Step ${row.at + 1}, ${model.actorName(step.actor)}: ${step.op}${place}${change}`;
}
