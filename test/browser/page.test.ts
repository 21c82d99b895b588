import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { AxeResults } from 'axe-core';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { upcall } from '../cli/run-cli';
import { launch, type OpenPage, open, screenshot } from './support/browser';

const AXE = readFileSync(createRequire(__filename).resolve('axe-core/axe.min.js'), 'utf8');
const EXAMPLES = path.join(__dirname, '../../examples');
const RACES = path.join(EXAMPLES, 'races');

const ONCE = ['--strategy', 'pct', '--max-executions', '1'];

/** Pages by name, and what writes them. */
const PAGES: Readonly<Record<string, readonly string[]>> = {
  deadlock: ['explore', path.join(RACES, 'r14-check-then-block.ts')],
  tso: ['explore', path.join(RACES, 'r03-unmask-without-barrier.ts'), '--memory-model', 'tso'],
  race: ['explore', path.join(__dirname, '../cli/scenarios/lost-update.ts'), '--data-races'],
  fifo: ['explore', path.join(RACES, 'r14-check-then-block.ts'), '--events', 'fifo'],
  domains: ['explore', path.join(EXAMPLES, 'interdomain-echo.ts'), '--args', '{"knocks":2}', ...ONCE],
  hostile: ['explore', path.join(__dirname, 'scenarios/hostile.ts')],
  recorded: ['run', path.join(EXAMPLES, 'ipi-ping-pong.ts'), '--args', '{"rounds":30}', '--record'],
  stress: [
    ...['stress', path.join(__dirname, '../cli/scenarios/last-to-finish.ts'), '--iterations', '200000'],
    '--no-reconstruct',
  ],
  held: ['explore', path.join(RACES, 'r14-check-then-block.ts'), '--args', '{"variant":"fixed"}'],
  long: [...['explore', path.join(EXAMPLES, 'ipi-ping-pong.ts'), '--args', '{"rounds":60}'], ...ONCE],
};

describe('the timeline page, in chromium', function () {
  this.timeout(120_000);
  let folder: string;
  let browser: Browser;
  const opened: OpenPage[] = [];

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'upcall-page-'));
    browser = await launch();
    await Promise.all(
      Object.entries(PAGES).map(async ([name, args]) => {
        const { status, stderr } = await upcall(...args, '--html', file(name));
        expect(status, stderr).to.be.oneOf([0, 1]);
      }),
    );
  });

  after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true });
  });

  afterEach(async () => {
    for (const { page, problems } of opened.splice(0)) {
      await page.context().close();
      expect(problems).to.deep.equal([]);
    }
  });

  const file = (name: string): string => path.join(folder, `${name}.html`);

  async function see(name: string, options: Parameters<typeof open>[2] = {}): Promise<Page> {
    const page = await open(browser, file(name), options);
    opened.push(page);
    return page.page;
  }

  /** What axe has against the page as it is. */
  async function violations(page: Page): Promise<string[]> {
    if (!(await page.evaluate<boolean>("'axe' in window"))) await page.evaluate(AXE);
    // Nothing is loaded from elsewhere, and only what it finds wrong is worth collecting.
    const { violations: found } = await page.evaluate<AxeResults>(
      "axe.run(document, { preload: false, resultTypes: ['violations'] })",
    );
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  }

  const heading = (page: Page) => page.locator('.details h2').first();
  const currentRow = (page: Page) => page.locator('[role=row][aria-selected=true]').first();

  for (const [name, dark] of [
    ['deadlock', false],
    ['tso', true],
    ['race', false],
    ['fifo', true],
    ['domains', true],
    ['recorded', false],
    ['stress', true],
    ['held', false],
  ] as const) {
    it(`shows ${name} ${dark ? 'in the dark' : 'by daylight'} with nothing for axe to complain about on any screen`, async () => {
      const page = await see(name, { dark });
      const tabs = page.getByRole('tab');
      const count = await tabs.count();
      for (let tab = 0; tab < Math.max(1, count); tab++) {
        if (count > 0) await tabs.nth(tab).click();
        await page.keyboard.press('f');
        await screenshot(page, `${name}-${tab}`);
        expect(await violations(page)).to.deep.equal([]);
      }
    });
  }

  it('fits a narrow window', async () => {
    const page = await see('deadlock', { width: 600 });
    await screenshot(page, 'narrow');
    const root = 'document.documentElement';
    const overflow = await page.evaluate<number>(`${root}.scrollWidth - ${root}.clientWidth`);
    expect(overflow).to.be.at.most(0);
    expect(await violations(page)).to.deep.equal([]);
  });

  it('steps with the arrow keys, tells each step to screen readers, and shows what it changes', async () => {
    const page = await see('deadlock');
    await expectText(heading(page), /^Step 4 of \d+/);
    await page.keyboard.press('ArrowDown');
    await expectText(heading(page), /^Step 6 of \d+/);
    await page.keyboard.press('ArrowUp');
    const changed = page.locator('.flag-bit.changed');
    expect(await changed.allTextContents()).to.deep.equal(['0']);
    while (!/^Step 14 /.test((await heading(page).textContent()) ?? '')) await page.keyboard.press('ArrowRight');
    const said = page.locator('[aria-live=polite]').last();
    expect(await said.textContent()).to.equal('Step 14, vCPU 1: or8 shared_info.evtchn_pending[0] port 1 0 becomes 1');
    const pending = page.getByRole('img', { name: 'evtchn_pending, set: port 1; just changed: port 1' });
    expect(await pending.count()).to.equal(1);
    expect(await page.locator('.values').textContent()).to.match(/^0 → 2/);
  });

  it('shows the event words and control blocks of the FIFO ABI at each step', async () => {
    const page = await see('fifo');
    expect(await page.locator('.bitmap h3').allTextContents()).to.deep.equal(['event words']);
    const words = page.locator('.event-words');
    expect(await words.getAttribute('aria-label')).to.match(/^event words, port 1 /);
    const ready = page.locator('.control-blocks .bit-grid').first();
    const seen: (string | null)[] = [];
    for (let last = ''; last !== (await heading(page).textContent()); await page.keyboard.press('ArrowDown')) {
      last = (await heading(page).textContent()) ?? '';
      seen.push(await words.getAttribute('aria-label'), await ready.getAttribute('aria-label'));
      if (seen.at(-1)?.includes('just changed: queue')) await screenshot(page, 'fifo-ready');
    }
    expect(seen).to.include.members([
      'event words, port 1 pending; just changed: port 1',
      'event words, port 1 pending, linked, next none; just changed: port 1',
      'vCPU 0 ready, set: queue 7; just changed: queue 7',
      'vCPU 0 ready, no queue set; just changed: queue 7',
    ]);
    expect(await page.locator('.heads').first().textContent()).to.equal('queue 7: port 1');
  });

  it('jumps to the failure, to switches and preemptions, to accesses of a word, and along arrows', async () => {
    const page = await see('deadlock');
    const at = async (key: string): Promise<string> => {
      await page.keyboard.press(key);
      return (/^Step (\d+)/.exec((await heading(page).textContent()) ?? '') ?? [])[1] ?? '';
    };
    expect(await at('p')).to.equal('11');
    expect(await page.locator('.is-preempted').count()).to.equal(1);
    expect(await at('s')).to.equal('30');
    expect(await at('S')).to.equal('11');
    const steps = / of (\d+)/.exec((await heading(page).textContent()) ?? '')?.[1];
    expect(await at('f')).to.equal(steps);
    expect(await at('Home')).to.equal('4');
    expect(await at('w')).to.equal('26');
    await page.getByRole('button', { name: 'Last step' }).click();
    const [, last = ''] = /^Step (\d+)/.exec((await heading(page).textContent()) ?? '') ?? [];
    expect(Number(last)).to.be.within(Number(steps) - 12, Number(steps));
    // From the sender's step to the upcall it causes, and back.
    for (const key of ['Home', 's']) await page.keyboard.press(key);
    for (let step = 0; step < 6; step++) await page.keyboard.press('ArrowDown');
    await expectText(heading(page), /^Step 18 /);
    const upcall = await at('a');
    expect(Number(upcall)).to.be.above(18);
    expect(await at('a')).to.equal('18');
  });

  it('filters by port, word and vCPU', async () => {
    const page = await see('deadlock');
    const texts = (): Promise<string[]> => page.locator('.row .text').allTextContents();
    await page.getByRole('combobox', { name: 'port', exact: true }).selectOption('1');
    expect((await texts()).length).to.be.within(5, 12);
    for (const text of await texts()) expect(text).to.match(/channel\[1\]|evtchn_(pending|mask)\[0\]/);
    await page.getByRole('button', { name: 'show all' }).click();
    await page.getByRole('combobox', { name: 'word', exact: true }).fill('runnable');
    expect(await texts()).to.deep.equal(['vCPU 0: read32 runnable = 0', 'vCPU 0: write32 runnable 0→1']);
    await page.getByRole('combobox', { name: 'word', exact: true }).fill('');
    await page.getByRole('checkbox', { name: 'vCPU 1' }).uncheck();
    expect(await page.getByRole('grid').getByRole('columnheader').allTextContents()).to.deep.equal([
      'step',
      'line',
      'vCPU 0',
    ]);
    for (const text of await texts()) expect(text).not.to.match(/^vCPU 1/);
    await page.getByLabel('every step').check();
    expect((await texts()).some((text) => text.includes('window'))).to.equal(true);
    expect(await violations(page)).to.deep.equal([]);
  });

  it('lays a failing and a passing schedule side by side, and marks where they part', async () => {
    const page = await see('deadlock');
    await page.getByRole('tab', { name: 'Side by side' }).click();
    expect(await page.locator('.difference').textContent()).to.match(/^The first 18 steps are the same/);
    const flags = page.locator('.row', { hasText: 'differs from here' }).locator('.number');
    expect(await flags.allTextContents()).to.deep.equal(['19', '19']);
    const steps = async (): Promise<string[]> =>
      (await page.locator('.details h2').allTextContents()).map((text) => /^Step (\d+)/.exec(text)?.[1] ?? '');
    expect(await steps()).to.deep.equal(['19', '19']);
    await page.keyboard.press('End');
    const [end, other] = await steps();
    expect(Number(end)).to.be.above(30);
    expect(other).to.equal('19');
    await page.keyboard.press('x');
    await page.keyboard.press('ArrowDown');
    const [left, right] = await steps();
    expect(left).to.equal(end);
    expect(Number(right)).to.be.above(19);
    await page.keyboard.press('Home');
    expect(await steps()).to.deep.equal(['4', '4']);
    await page.keyboard.press('d');
    expect(await steps()).to.deep.equal(['19', '19']);
  });

  it('links the two accesses of a data race', async () => {
    const page = await see('race');
    expect(await page.locator('.arrow.race').count()).to.be.at.least(1);
    await page.keyboard.press('f');
    const second = await heading(page).textContent();
    expect(await page.locator('.facts').textContent()).to.include('races with, nothing orders the two: step ');
    await page.keyboard.press('a');
    expect(await heading(page).textContent()).not.to.equal(second);
    expect(await page.locator('.facts').textContent()).to.include('races with');
  });

  it('shows the store buffer and the arrow from a store to its flush', async () => {
    const page = await see('tso');
    expect(await page.locator('.arrow.flush').count()).to.be.at.least(1);
    await page.getByRole('combobox', { name: 'word', exact: true }).fill('');
    await page.locator('.row', { hasText: 'buffered' }).first().click();
    expect(await page.locator('.store').first().textContent()).to.match(/ = \d+$/);
    expect(await page.locator('.facts').textContent()).to.include('is buffered; reaches memory in step ');
  });

  it('shows a recorded run with its times, threads that run at once, and arrows from sends to upcalls', async () => {
    const page = await see('recorded');
    expect(await page.locator('.head .place').textContent()).to.equal('ms');
    // Rows of marks have no time of their own.
    const times = (await page.locator('.row .place').allTextContents()).filter((text) => text !== '');
    expect(times).to.not.deep.equal([]);
    for (const time of times) expect(time).to.match(/^\d+\.\d{4}$/);
    await page.getByRole('combobox', { name: 'word', exact: true }).fill('evtchn_upcall_pending');
    await page.getByRole('combobox', { name: 'word', exact: true }).fill('');
    for (let jump = 0; jump < 20 && (await page.locator('.arrow.upcall').count()) === 0; jump++) {
      await page.keyboard.press('PageDown');
      await page.locator('body').press('PageDown');
    }
    expect(await page.locator('.arrow.upcall').count()).to.be.at.least(1);
    expect(await page.locator('.bar.running').count()).to.be.at.least(2);
  });

  it('shows the statistics of a run: times, events and latencies, as pictures that are told in words', async () => {
    const page = await see('recorded');
    await page.getByRole('tab', { name: 'Statistics' }).click();
    const row = page.getByRole('row', { name: /^vCPU 1/ });
    expect(await row.getByRole('cell').allTextContents()).to.include('30');
    expect(await page.locator('.chart canvas').count()).to.equal(2);
    const latency = page.getByRole('img', { name: /^Histogram of 60 latencies: 50 % within .* 99.9 % within / });
    expect(await latency.count()).to.equal(1);
    await page.getByLabel('Colours').selectOption('dark');
    expect(await violations(page)).to.deep.equal([]);
    await screenshot(page, 'statistics-dark');
    await page.emulateMedia({ media: 'print' });
    expect(await page.locator('.tabs').isVisible()).to.equal(false);
    await screenshot(page, 'statistics-print');
  });

  it('shows what a search covered, on one screen with its result', async () => {
    const page = await see('held');
    expect(await page.getByRole('tab', { selected: true }).textContent()).to.equal('Coverage');
    expect(await page.locator('.figures').first().textContent())
      .to.include('executions6')
      .and.include('traces6');
    expect(await page.locator('.outcomes tbody tr').count()).to.equal(1);
    expect(await page.locator('.preemptions tbody tr').count()).to.be.at.least(1);
    expect(await page.locator('.pairs .both').count()).to.be.at.least(1);
    expect(await page.locator('.pairs .one').count()).to.be.at.least(1);
    expect(await page.getByRole('img', { name: 'Different traces over executions: 6 in 6' }).count()).to.equal(1);
  });

  it('shows what a hostile guest wrote as text', async () => {
    const page = await see('hostile');
    expect(await page.evaluate(() => (globalThis as { intruded?: number }).intruded)).to.equal(undefined);
    expect(await page.locator('img, script:not([id]) ~ script, b b').count()).to.equal(0);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).to.match(/^<b>bold<\/b><\/script><script>/);
    expect(await page.locator('.summary .what').textContent()).to.include('<img src=x onerror="window.intruded = 2">');
    expect(await page.locator('.is-log').first().textContent()).to.include('</script><script>window.intruded');
    expect(await page.locator('.words th').first().textContent()).to.match(/^<i><img src=x/);
    expect(await violations(page)).to.deep.equal([]);
  });

  it('holds few rows of a long trace at a time, wherever it is', async () => {
    const page = await see('long');
    await page.getByRole('tab', { name: 'Most frequent outcome' }).click();
    const rows = Number(await page.getByRole('grid').getAttribute('aria-rowcount'));
    expect(rows).to.be.above(4000);
    for (const key of ['Home', 'PageDown', 'End', 'PageUp']) {
      await page.keyboard.press(key);
      // Rows follow the scrolling a frame later.
      await currentRow(page).waitFor();
      expect(await page.locator('.row').count()).to.be.below(80);
    }
    await page.keyboard.press('End');
    const index = Number(await currentRow(page).getAttribute('aria-rowindex'));
    expect(index).to.be.above(rows - 10);
    await screenshot(page, 'long-end');
  });

  it('prints every row, without the controls', async () => {
    const page = await see('deadlock');
    await page.setViewportSize({ width: 900, height: 300 });
    await page.emulateMedia({ media: 'print' });
    const rows = Number(await page.getByRole('grid').getAttribute('aria-rowcount'));
    expect(await page.locator('.row').count()).to.equal(rows - 1);
    expect(rows).to.be.above(20);
    expect(await page.locator('.toolbar').isVisible()).to.equal(false);
    expect(await page.locator('.scroller').evaluate((element) => element.scrollHeight - element.clientHeight)).to.equal(
      0,
    );
    expect((await page.pdf()).subarray(0, 4).toString()).to.equal('%PDF');
    await screenshot(page, 'print');
  });

  it('can be used by keyboard alone: every control is reached by Tab, tabs by arrows, the help by ?', async () => {
    const page = await see('deadlock');
    const reached = new Set<string>();
    for (let press = 0; press < 40; press++) {
      await page.keyboard.press('Tab');
      reached.add(
        await page.evaluate<string>('document.activeElement.ariaLabel ?? document.activeElement.textContent'),
      );
    }
    expect([...reached]).to.include.members(['Failing schedule', 'Failure', 'Timeline of r14-check-then-block']);
    await page.getByRole('tab', { name: 'Failing schedule' }).focus();
    await page.keyboard.press('ArrowRight');
    expect(await page.getByRole('tab', { selected: true }).textContent()).to.equal('Nearest passing schedule');
    expect(await page.locator('.verdict').textContent()).to.equal('held');
    await page.locator('body').press('?');
    await page.getByRole('dialog').waitFor();
    await screenshot(page, 'help');
    expect(await violations(page)).to.deep.equal([]);
    await page.keyboard.press('Escape');
    expect(await page.getByRole('dialog').count()).to.equal(0);
  });
});

async function expectText(locator: { textContent(): Promise<string | null> }, pattern: RegExp): Promise<void> {
  expect((await locator.textContent()) ?? '').to.match(pattern);
}
