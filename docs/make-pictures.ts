/**
 * Makes the pictures that README.md shows, from pages that the built package writes: `npm run pictures`. Needs a browser, as the tests
 * of the page do. What was recorded differs from run to run, so the pictures do.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { launch, open } from '../test/browser/support/browser';

const ROOT = path.join(__dirname, '..');
const WIDTH = 1180;
const HEIGHT = 640;

interface Picture {
  readonly name: string;
  /** What writes the page, but for `--html`. */
  readonly command: readonly string[];
  /** Exit status of that command. */
  readonly status: number;
  /** Screen of the page. */
  readonly tab?: string;
  /** Pressed one after the other. */
  readonly keys: readonly string[];
}

const PICTURES: readonly Picture[] = [
  {
    name: 'lost-wake-up',
    command: ['explore', 'examples/races/r14-check-then-block.ts'],
    status: 1,
    tab: 'Failing schedule',
    keys: ['p', ...new Array(6).fill('ArrowDown')],
  },
  {
    name: 'run-statistics',
    command: ['run', 'examples/tour.ts', '--record'],
    status: 0,
    tab: 'Statistics',
    keys: [],
  },
];

async function makePictures(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'upcall-pictures-'));
  const browser = await launch();
  try {
    for (const { name, command, status, tab, keys } of PICTURES) {
      const file = path.join(folder, `${name}.html`);
      execute([...command, '--html', file], status);
      const { page, problems } = await open(browser, file, { width: WIDTH });
      await page.setViewportSize({ width: WIDTH, height: HEIGHT });
      if (tab !== undefined) await page.getByRole('tab', { name: tab }).click();
      for (const key of keys) await page.keyboard.press(key);
      if (problems.length > 0) throw new Error(`${name}: ${problems.join('; ')}`);
      await page.screenshot({ path: path.join(__dirname, `${name}.png`) });
      await page.context().close();
    }
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
}

/** @throws Error if the command does not end as it should */
function execute(command: readonly string[], status: number): void {
  const main = path.join(ROOT, 'dist/lib/cli/main.js');
  try {
    execFileSync(process.execPath, [main, ...command], { cwd: ROOT, stdio: 'pipe' });
    if (status !== 0) throw new Error(`upcall ${command.join(' ')} held`);
  } catch (error) {
    if ((error as { status?: number }).status !== status) throw error;
  }
}

void makePictures();
