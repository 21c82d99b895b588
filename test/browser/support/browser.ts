/**
 * A real browser for the tests: Debian's chromium, or the one that UPCALL_CHROMIUM names. Without one the tests fail and
 * say how to get it: a page nobody has looked at is not tested.
 */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
/** Pictures of what the tests saw; ignored by git. */
const SCREENSHOTS = path.join(__dirname, '../screenshots');

function executable(): string {
  const { UPCALL_CHROMIUM } = process.env;
  const places = UPCALL_CHROMIUM === undefined ? PLACES : [UPCALL_CHROMIUM];
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new Error(
    `no browser at ${places.join(' or ')}: install Debian's chromium (apt-get install chromium), or set UPCALL_CHROMIUM to the path of one`,
  );
}

export function launch(): Promise<Browser> {
  // Containers run as root and have a small /dev/shm.
  return chromium.launch({ executablePath: executable(), args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** A page of the browser, and what went wrong in it so far. */
export interface OpenPage {
  readonly page: Page;
  /** Errors on the console, exceptions, and requests to anything but the file. */
  readonly problems: string[];
}

/** Opens a file as a user would: from file://, without a network. */
export async function open(
  browser: Browser,
  file: string,
  options: { dark?: boolean; width?: number } = {},
): Promise<OpenPage> {
  const { dark = false, width = 1440 } = options;
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: dark ? 'dark' : 'light',
    offline: true,
  });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('request', (request) => {
    if (!/^(file|data):/.test(request.url())) problems.push(`asks for ${request.url()}`);
  });
  await page.goto(`file://${file}`);
  await page.locator('main').waitFor();
  return { page, problems };
}

/** Keeps a picture of what the page looks like. */
export async function screenshot(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) });
}
