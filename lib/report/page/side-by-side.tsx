/** Two executions beside each other. They move together as long as they are the same, and the first difference is marked. */
import './side-by-side.css';
import { useMemo, useState } from 'preact/hooks';
import { commandOf, isForField } from './commands';
import { MachineState } from './machine-state';
import { Navigator } from './navigator';
import { Announcer, useKeys } from './single';
import { StepDetails } from './step-details';
import { Timeline } from './timeline';
import { type Filter, firstDifference, NO_FILTER, type TimelineModel } from './timeline-model';
import { Toolbar } from './toolbar';

type Pair<T> = readonly [left: T, right: T];
type Side = 0 | 1;

export function SideBySide({ models }: { readonly models: Pair<TimelineModel> }) {
  const difference = useMemo(() => firstDifference(models[0].trace, models[1].trace), [models]);
  const [steps, setSteps] = useState<Pair<number>>([difference, difference]);
  const [side, setSide] = useState<Side>(0);
  const [filter, setFilter] = useState<Filter>(NO_FILTER);
  const views = useMemo(
    () => [models[0].view(filter, difference), models[1].view(filter, difference)] as const,
    [models, filter, difference],
  );
  const navigators = [0, 1].map((each) => {
    const at = each as Side;
    return new Navigator(models[at], views[at], Math.min(steps[at], models[at].lastStep));
  }) as unknown as Pair<Navigator>;
  const go = (which: Side, step: number): void => {
    setSide(which);
    setSteps(follow(steps, which, step, difference));
  };
  const goToDifference = (): void => setSteps([difference, difference]);
  useKeys((event) => {
    const command = commandOf(event);
    if (command !== undefined) go(side, command.go(navigators[side]));
    else if (isForField(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === 'v') setFilter({ ...filter, everyStep: !filter.everyStep });
    else if (event.key === 'x') setSide(side === 0 ? 1 : 0);
    else if (event.key === 'd') goToDifference();
    else return;
    event.preventDefault();
  });
  return (
    <div class="screen side-by-side">
      <Toolbar
        models={models}
        navigator={navigators[side]}
        onStep={(step) => go(side, step)}
        filter={filter}
        onFilter={setFilter}
        rows={views[side].rows.length}
      />
      <p class="difference">
        The first {difference} steps are the same.{' '}
        <button type="button" onClick={goToDifference} title="First difference (D)">
          First difference: step {difference + 1}
        </button>
      </p>
      <div class="sides">
        {([0, 1] as const).map((which) => {
          const model = models[which];
          const step = navigators[which].step;
          return (
            <section
              key={which}
              class={`side ${which === side ? 'active' : ''} ${model.trace.failure === null ? 'passing' : 'failing'}`}
              aria-label={`${model.execution.label}`}
              onFocusCapture={() => setSide(which)}
            >
              <h2 class="side-title">{model.execution.label}</h2>
              <Timeline
                model={model}
                view={views[which]}
                step={step}
                onStep={(to) => go(which, to)}
                label={`Timeline: ${model.execution.label}`}
                difference={difference}
              />
              <div class="panel" role="region" aria-label={`Step and machine, ${model.execution.label}`} tabIndex={0}>
                <StepDetails model={model} navigator={navigators[which]} onStep={(to) => go(which, to)} />
                <MachineState model={model} step={step} />
              </div>
            </section>
          );
        })}
      </div>
      <Announcer view={views[side]} model={models[side]} row={navigators[side].row} />
    </div>
  );
}

/** Both sides after one has moved: in what they have in common they are at the same step. */
export function follow(steps: Pair<number>, side: Side, step: number, difference: number): Pair<number> {
  const other = steps[side === 0 ? 1 : 0];
  const moved = step < difference ? step : Math.max(other, difference);
  return side === 0 ? [step, moved] : [moved, step];
}
