/** The page: what it is about, and its screens as tabs. */
import './app.css';
import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { PageData, PageExecution } from '../page-data';
import { isForField } from './commands';
import { Coverage } from './coverage';
import { Help } from './help';
import { SideBySide } from './side-by-side';
import { Single, useKeys } from './single';
import { Statistics } from './statistics';
import { ThemeChoice } from './theme';
import { TimelineModel } from './timeline-model';

interface Screen {
  readonly name: string;
  readonly title: string;
  readonly show: () => JSX.Element;
}

export function App({ data }: { readonly data: PageData }) {
  const models = useMemo(() => data.executions.map((execution) => new TimelineModel(execution)), [data]);
  const screens = screensOf(models, data);
  const [name, setName] = useState(screens[0]?.name);
  const [help, setHelp] = useState(false);
  const screen = screens.find((each) => each.name === name);
  const shown = data.executions[Number(name?.replace('execution-', ''))] ?? data.executions[0];
  useKeys((event) => {
    if (event.key !== '?' || isForField(event.target)) return;
    setHelp(true);
    event.preventDefault();
  });
  return (
    <>
      <header>
        <div class="title">
          <h1>{data.title}</h1>
          {shown !== undefined && <Verdict execution={shown} />}
          <span class="tools">
            <button type="button" onClick={() => setHelp(true)} title="Keys and signs (?)">
              Keys
            </button>
            <ThemeChoice />
          </span>
        </div>
        {shown !== undefined && name !== 'coverage' && <Summary key={shown.label} execution={shown} />}
        {screens.length > 1 && <Tabs screens={screens} name={name ?? ''} onName={setName} />}
      </header>
      <main>
        {screens.length > 1 ? (
          <div id="screen" class="tab-panel" role="tabpanel" aria-labelledby={`tab-${name}`}>
            {screen?.show()}
          </div>
        ) : (
          screen?.show()
        )}
      </main>
      <footer>Written by Upcall {data.version}. The page holds all of its data and asks for nothing.</footer>
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  );
}

function screensOf(models: readonly TimelineModel[], { statistics, exploration }: PageData): Screen[] {
  const screens = models.map((model, index): Screen => {
    const name = `execution-${index}`;
    return { name, title: model.execution.label, show: () => <Single key={name} model={model} /> };
  });
  const [left, right] = models;
  if (left !== undefined && right !== undefined) {
    const pair = [left, right] as const;
    screens.push({ name: 'compare', title: 'Side by side', show: () => <SideBySide key="compare" models={pair} /> });
  }
  if (exploration !== undefined) {
    const screen = { name: 'coverage', title: 'Coverage', show: () => <Coverage exploration={exploration} /> };
    // A search that passed is about what it covered.
    if (left?.trace.failure === null || left === undefined) screens.unshift(screen);
    else screens.push(screen);
  }
  if (statistics !== undefined) {
    screens.push({ name: 'statistics', title: 'Statistics', show: () => <Statistics statistics={statistics} /> });
  }
  return screens;
}

function Verdict({ execution }: { readonly execution: PageExecution }) {
  const { failure } = execution.trace;
  return failure === null ? <span class="verdict held">held</span> : <span class="verdict failed">{failure.kind}</span>;
}

function Summary({ execution }: { readonly execution: PageExecution }) {
  const [what, where] = execution.summary;
  return (
    <div class="summary">
      <p class="what">{what}</p>
      <p class="where">{where}</p>
      {execution.command !== undefined && (
        <p class="command">
          <code>{execution.command}</code> <CopyButton text={execution.command} />
        </p>
      )}
    </div>
  );
}

function CopyButton({ text }: { readonly text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <button type="button" class="quiet" onClick={() => void copy()} aria-label="Copy the command">
      {copied ? 'copied' : 'copy'}
    </button>
  );
}

interface TabsProps {
  readonly screens: readonly Screen[];
  readonly name: string;
  readonly onName: (name: string) => void;
}

function Tabs({ screens, name, onName }: TabsProps) {
  const move = (event: KeyboardEvent): void => {
    const at = screens.findIndex((screen) => screen.name === name);
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const next = screens[(at + by + screens.length) % screens.length];
    if (next === undefined) return;
    onName(next.name);
    document.getElementById(`tab-${next.name}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Screens" onKeyDown={move}>
      {screens.map((screen) => (
        <button
          key={screen.name}
          id={`tab-${screen.name}`}
          type="button"
          role="tab"
          aria-selected={screen.name === name}
          aria-controls="screen"
          tabIndex={screen.name === name ? 0 : -1}
          onClick={() => onName(screen.name)}
        >
          {screen.title}
        </button>
      ))}
    </div>
  );
}
