/** Every way to move, with its keys: what the toolbar offers, what the keyboard does, and what the help lists. */
import type { Navigator } from './navigator';

export interface Command {
  readonly name: string;
  /** As KeyboardEvent.key has them. */
  readonly keys: readonly string[];
  readonly label: string;
  readonly go: (navigator: Navigator) => number;
}

export const COMMANDS = [
  { name: 'previous', keys: ['ArrowUp', 'ArrowLeft', 'k'], label: 'Step back', go: (to) => to.by(-1) },
  { name: 'next', keys: ['ArrowDown', 'ArrowRight', 'j'], label: 'Step', go: (to) => to.by(1) },
  { name: 'page-up', keys: ['PageUp'], label: '20 rows back', go: (to) => to.page(-1) },
  { name: 'page-down', keys: ['PageDown'], label: '20 rows on', go: (to) => to.page(1) },
  { name: 'first', keys: ['Home'], label: 'First step', go: (to) => to.first() },
  { name: 'last', keys: ['End'], label: 'Last step', go: (to) => to.last() },
  { name: 'previous-switch', keys: ['S'], label: 'Previous context switch', go: (to) => to.contextSwitch(-1) },
  { name: 'switch', keys: ['s'], label: 'Next context switch', go: (to) => to.contextSwitch(1) },
  { name: 'previous-preemption', keys: ['P'], label: 'Previous preemption', go: (to) => to.preemption(-1) },
  { name: 'preemption', keys: ['p'], label: 'Next preemption', go: (to) => to.preemption(1) },
  { name: 'previous-word', keys: ['W'], label: 'Previous access of the same word', go: (to) => to.sameWord(-1) },
  { name: 'word', keys: ['w'], label: 'Next access of the same word', go: (to) => to.sameWord(1) },
  { name: 'follow', keys: ['a'], label: 'Other end of the arrow', go: (to) => to.follow() },
  { name: 'failure', keys: ['f'], label: 'Failure', go: (to) => to.failure() },
] as const satisfies readonly Command[];

const BY_KEY = new Map<string, Command>(COMMANDS.flatMap((command) => command.keys.map((key) => [key, command])));

/** The command of a key pressed, unless it is meant for a field, the tabs or the browser. */
export function commandOf(event: KeyboardEvent): Command | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isForField(event.target)) {
    return undefined;
  }
  return BY_KEY.get(event.key);
}

/** Whether keys go to something that uses them itself. */
export function isForField(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, select, textarea, dialog') !== null;
}

/** A key as it is printed on it. */
export function keyName(key: string): string {
  const arrow = { ArrowUp: '↑', ArrowDown: '↓', ArrowLeft: '←', ArrowRight: '→' }[key];
  return arrow ?? (/^[A-Z]$/.test(key) ? `Shift ${key}` : key.length === 1 ? key.toUpperCase() : key);
}
