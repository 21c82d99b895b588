/** One execution: its timeline, and beside it the current step and the machine after it. */
import './single.css';
import { useEffect, useLayoutEffect, useMemo, useState } from 'preact/hooks';
import { commandOf, isForField } from './commands';
import { Legend } from './help';
import { MachineState } from './machine-state';
import { Navigator } from './navigator';
import { StepDetails } from './step-details';
import { rowInWords } from './step-text';
import { Timeline } from './timeline';
import { type Filter, NO_FILTER, type TimelineModel, type View } from './timeline-model';
import { Toolbar } from './toolbar';

export function Single({ model }: { readonly model: TimelineModel }) {
  const [step, setStep] = useState(0);
  const [filter, setFilter] = useState<Filter>(NO_FILTER);
  const view = useMemo(() => model.view(filter), [model, filter]);
  const navigator = useMemo(() => new Navigator(model, view, step), [model, view, step]);
  useEffect(() => setStep(view.stopSteps[0] ?? 0), [model]);
  useKeys((event) => {
    const command = commandOf(event);
    if (command !== undefined) setStep(command.go(navigator));
    else if (event.key === 'v' && !isForField(event.target)) setFilter({ ...filter, everyStep: !filter.everyStep });
    else return;
    event.preventDefault();
  });
  return (
    <div class="screen single">
      <Toolbar
        models={[model]}
        navigator={navigator}
        onStep={setStep}
        filter={filter}
        onFilter={setFilter}
        rows={view.rows.length}
      />
      <Timeline model={model} view={view} step={step} onStep={setStep} label={`Timeline of ${model.trace.scenario}`} />
      <aside class="panel" aria-label="Step and machine" tabIndex={0}>
        <StepDetails model={model} navigator={navigator} onStep={setStep} />
        <MachineState model={model} step={step} />
        <Legend />
      </aside>
      <Announcer view={view} model={model} row={navigator.row} />
    </div>
  );
}

/** Says the current row to screen readers. */
export function Announcer({ view, model, row }: { view: View; model: TimelineModel; row: number }) {
  const current = view.rows[row];
  return (
    <div class="unseen" aria-live="polite">
      {current === undefined ? '' : rowInWords(current, model)}
    </div>
  );
}

/** Keys of the whole page; the handler is always that of the last rendering. */
export function useKeys(handle: (event: KeyboardEvent) => void): void {
  // Before the next key can come.
  useLayoutEffect(() => {
    addEventListener('keydown', handle);
    return () => removeEventListener('keydown', handle);
  });
}
