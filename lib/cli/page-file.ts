/** The files that explore, replay and run write on request, pages above all. */
import { accessSync, constants, writeFileSync } from 'node:fs';
import path from 'node:path';
import { htmlPage } from '../report/html';
import type { PageData } from '../report/page-data';
import { packageVersion } from './package-root';
import { UsageError } from './usage-error';

/** Before a long search rather than after it. */
export function checkFolder(file: string | undefined, what: string): void {
  if (file === undefined) return;
  try {
    accessSync(path.dirname(path.resolve(file)), constants.W_OK);
  } catch (error) {
    throw new UsageError(`cannot write the ${what}: ${(error as Error).message}`, { cause: error });
  }
}

export function writePage(file: string, data: Omit<PageData, 'version'>): void {
  writeFileSync(file, htmlPage({ ...data, version: packageVersion() }));
}
