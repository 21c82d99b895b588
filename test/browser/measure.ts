/**
 * How fluid the timeline of a long execution is: `npm run measure:page`. Real headless Chromium, one run; median and
 * worst of many steps, each from the key to the frame after it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { upcall } from '../cli/run-cli';
import { launch, open } from './support/browser';

const STEPS = 200;

async function measure(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'upcall-page-'));
  const browser = await launch();
  try {
    const file = path.join(folder, 'long.html');
    const args = [
      '--args',
      '{"rounds":300}',
      '--strategy',
      'pct',
      '--max-executions',
      '1',
      '--max-steps',
      '100000',
      '--watchdog',
      '0',
    ];
    await upcall('explore', path.join(__dirname, '../../examples/ipi-ping-pong.ts'), ...args, '--html', file);
    const { page } = await open(browser, file);
    await page.getByRole('tab', { name: 'Most frequent outcome' }).click();
    await page.getByLabel('every step').check();
    const rows = await page.getByRole('grid').getAttribute('aria-rowcount');
    const paintMs = await page.evaluate(
      () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,
    );
    console.log(`${rows} rows, every step: first paint after ${paintMs.toFixed(0)} ms`);
    for (const key of ['ArrowDown', 'PageDown', 's', 'w']) {
      const times = await page.evaluate<number[]>(timeKeys(key, STEPS));
      times.sort((a, b) => a - b);
      const [median = 0, worst = 0] = [times[times.length >> 1], times.at(-1)];
      console.log(`${key}: ${median.toFixed(1)} ms to the next frame, at worst ${worst.toFixed(1)} ms`);
    }
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
}

/** Runs in the page: times of so many presses of a key, each to the end of the next frame. */
function timeKeys(key: string, count: number): string {
  return `(async () => {
    const times = [];
    for (let step = 0; step < ${count}; step++) {
      const began = performance.now();
      dispatchEvent(new KeyboardEvent('keydown', { key: '${key}', bubbles: true }));
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
      times.push(performance.now() - began);
    }
    return times;
  })()`;
}

void measure();
