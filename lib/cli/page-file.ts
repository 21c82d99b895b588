/** The files that explore, replay and run write on request, pages above all. */
import { accessSync, constants, existsSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { htmlPage } from '../report/html';
import type { PageData } from '../report/page-data';
import { packageVersion } from './package-root';
import { UsageError } from './usage-error';

/**
 * Before a long search rather than after it.
 * @throws UsageError if there can be no such file
 */
export function checkOutput(file: string | undefined, what: string): void {
  if (file === undefined) return;
  const refuse = (why: string): never => {
    throw new UsageError(`cannot write the ${what}: ${why}`);
  };
  if (file === '') refuse('the name of the file is empty');
  const place = statSync(file, { throwIfNoEntry: false });
  if (place?.isDirectory()) refuse(`${file} is a folder`);
  const folder = path.dirname(path.resolve(file));
  if (!existsSync(folder)) refuse(`there is no folder ${folder}`);
  if (!mayWrite(place === undefined ? folder : file)) {
    refuse(place === undefined ? `the folder ${folder} may not be written` : `${file} may not be written`);
  }
}

function mayWrite(place: string): boolean {
  try {
    accessSync(place, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export function writePage(file: string, data: Omit<PageData, 'version'>): void {
  writeFileSync(file, htmlPage({ ...data, version: packageVersion() }));
}
