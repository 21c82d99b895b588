/**
 * The timeline page: one file with everything in it, which asks nothing of any network.
 *
 * The page's script and style are built with the package (page/). Whatever a guest calls its words or writes to its log
 * gets into the page as JSON in a script element that is never executed, and from there as text. A content security
 * policy lets the browser run the one script and nothing else.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { UpcallError } from '../engine/errors';
import type { PageData } from './page-data';

/** The page's parts are not where the build puts them. */
export class PageMissingError extends UpcallError {
  override readonly name = 'PageMissingError';

  constructor(file: string) {
    super('PAGE_MISSING', `${file} is missing: run \`npm run build\` first`);
  }
}

/** @throws PageMissingError if the package has not been built */
export function htmlPage(data: PageData): string {
  const script = pagePart('page.js');
  const style = pagePart('page.css');
  const policy = `default-src 'none'; script-src '${hashOf(script)}'; style-src '${hashOf(style)}'; img-src data:`;
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<title>${escapeText(`${data.title} · Upcall`)}</title>`,
    '<link rel="icon" href="data:,">',
    `<style>${style}</style>`,
    '</head>',
    '<body>',
    '<noscript>This page needs JavaScript to show its data.</noscript>',
    '<div id="app"></div>',
    `<script type="application/json" id="data">${jsonForScript(data)}</script>`,
    `<script>${script}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

/** JSON that cannot end the script element it is in, nor open a comment there. */
export function jsonForScript(data: unknown): string {
  return JSON.stringify(data, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

/** Built parts lie beside the compiled module; from the sources they are looked for in the build. */
function pagePart(name: string): string {
  const places = [path.join(__dirname, 'page', name), path.join(__dirname, '../../dist/lib/report/page', name)];
  const file = places.find((place) => existsSync(place));
  if (file === undefined) throw new PageMissingError(places.at(-1) as string);
  return readFileSync(file, 'utf8').trim();
}
