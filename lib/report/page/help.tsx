/** The keys and the signs of the page, in a dialog. */
import './help.css';
import { useEffect, useRef } from 'preact/hooks';
import { COMMANDS, keyName } from './commands';

export function Help({ onClose }: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="help-title">
      <h2 id="help-title">Keys and signs</h2>
      <dl class="keys">
        {COMMANDS.map(({ name, keys, label }) => (
          <div key={name}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{keyName(key)}</kbd>
              ))}
            </dt>
            <dd>{label}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>V</kbd>
          </dt>
          <dd>Every step, or only those that tell something</dd>
        </div>
        <div>
          <dt>
            <kbd>X</kbd>
          </dt>
          <dd>The other side, when two are compared</dd>
        </div>
        <div>
          <dt>
            <kbd>D</kbd>
          </dt>
          <dd>First difference, when two are compared</dd>
        </div>
        <div>
          <dt>
            <kbd>?</kbd>
          </dt>
          <dd>This help</dd>
        </div>
      </dl>
      <Legend />
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}

/** What the bars and arrows mean. */
export function Legend() {
  const signs = [
    ['running', 'runs'],
    ['ready', 'could run'],
    ['asleep', 'cannot go on'],
    ['hypercall', 'in a hypercall'],
    ['upcall', 'in an upcall'],
  ] as const;
  const arrows = [
    ['upcall', 'send to upcall'],
    ['wake', 'wakes'],
    ['flush', 'store reaches memory'],
    ['race', 'data race'],
  ] as const;
  return (
    <ul class="legend actor-0" aria-label="What bars and arrows mean">
      {signs.map(([look, text]) => (
        <li key={look}>
          <svg width="12" height="16" aria-hidden="true">
            <rect class={`bar ${look}`} x="3" y="1" width="5" height="14" rx="2" />
          </svg>
          {text}
        </li>
      ))}
      {arrows.map(([kind, text]) => (
        <li key={kind}>
          <svg width="26" height="16" aria-hidden="true">
            <path class={`arrow ${kind}`} d="M2 8 H22" marker-end={`url(#tip-${kind})`} />
          </svg>
          {text}
        </li>
      ))}
    </ul>
  );
}
