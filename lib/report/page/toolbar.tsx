/** The buttons that move through a trace and the filters that thin it out. */
import './toolbar.css';
import { useId } from 'preact/hooks';
import { COMMANDS, type Command, keyName } from './commands';
import type { Navigator } from './navigator';
import type { Filter, TimelineModel } from './timeline-model';

/** Signs of the commands that have a button, in groups. */
const BUTTONS: readonly (readonly (readonly [name: string, sign: string, text?: string])[])[] = [
  [
    ['first', '⇤'],
    ['previous', '↑'],
    ['next', '↓'],
    ['last', '⇥'],
  ],
  [
    ['previous-switch', '‹'],
    ['switch', '›', 'switch'],
  ],
  [
    ['previous-preemption', '‹'],
    ['preemption', '›', 'preemption'],
  ],
  [
    ['previous-word', '‹'],
    ['word', '›', 'same word'],
  ],
  [['failure', '✗', 'failure']],
];

interface ToolbarProps {
  readonly models: readonly TimelineModel[];
  readonly navigator: Navigator;
  readonly onStep: (step: number) => void;
  readonly filter: Filter;
  readonly onFilter: (filter: Filter) => void;
  /** Rows that the filter leaves. */
  readonly rows: number;
}

export function Toolbar({ models, navigator, onStep, filter, onFilter, rows }: ToolbarProps) {
  const failed = models.some(({ trace }) => trace.failure !== null);
  return (
    <div class="toolbar">
      <div class="buttons" role="group" aria-label="Move">
        {BUTTONS.map((group) => (
          <span key={group[0]?.[0]} class="group">
            {group.map(([name, sign, text]) => {
              const command: Command | undefined = COMMANDS.find((each) => each.name === name);
              if (command === undefined || (name === 'failure' && !failed)) return null;
              const keys = command.keys.map(keyName).join(' or ');
              return (
                <button
                  key={name}
                  type="button"
                  aria-label={command.label}
                  title={`${command.label} (${keys})`}
                  onClick={() => onStep(command.go(navigator))}
                >
                  {text !== undefined && sign === '›' && `${text} `}
                  <span aria-hidden="true">{sign}</span>
                  {text !== undefined && sign !== '›' && ` ${text}`}
                </button>
              );
            })}
          </span>
        ))}
      </div>
      <Filters models={models} filter={filter} onFilter={onFilter} rows={rows} />
    </div>
  );
}

function Filters({ models, filter, onFilter, rows }: Pick<ToolbarProps, 'models' | 'filter' | 'onFilter' | 'rows'>) {
  const id = useId();
  const ports = [...new Set(models.flatMap((model) => model.ports))];
  const words = [...new Set(models.flatMap((model) => model.words))];
  const [model] = models;
  const actors = model?.trace.actors.map((_, actor) => actor).filter((actor) => acts(models, actor)) ?? [];
  const narrowed = filter.port !== '' || filter.word !== '' || filter.hidden.size > 0;
  const toggle = (actor: number): void => {
    const hidden = new Set(filter.hidden);
    if (!hidden.delete(actor)) hidden.add(actor);
    onFilter({ ...filter, hidden });
  };
  return (
    <div class="filters" role="group" aria-label="Show">
      <span class="group actors">
        {actors.map((actor) => (
          <label key={actor}>
            <input type="checkbox" checked={!filter.hidden.has(actor)} onChange={() => toggle(actor)} />
            {model?.actorName(actor)}
          </label>
        ))}
      </span>
      {ports.length > 0 && (
        <label>
          port{' '}
          <select
            value={filter.port}
            onChange={({ currentTarget }) => onFilter({ ...filter, port: currentTarget.value })}
          >
            <option value="">any</option>
            {ports.map((port) => (
              <option key={port} value={port}>
                {port}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        word{' '}
        <input
          type="search"
          list={`${id}words`}
          placeholder="any"
          size={16}
          value={filter.word}
          onInput={({ currentTarget }) => onFilter({ ...filter, word: currentTarget.value })}
        />
      </label>
      <datalist id={`${id}words`}>
        {words.map((word) => (
          <option key={word} value={word} />
        ))}
      </datalist>
      <label>
        <input
          type="checkbox"
          checked={filter.everyStep}
          onChange={() => onFilter({ ...filter, everyStep: !filter.everyStep })}
        />
        every step
      </label>
      {narrowed && (
        <button type="button" onClick={() => onFilter({ ...filter, port: '', word: '', hidden: new Set() })}>
          show all
        </button>
      )}
      <output class="count" aria-live="polite">
        {rows} {rows === 1 ? 'row' : 'rows'}
      </output>
    </div>
  );
}

/** Whether an actor takes a step in any of the executions. */
function acts(models: readonly TimelineModel[], actor: number): boolean {
  return models.some(({ trace }) => trace.steps.some((step) => step.actor === actor));
}
