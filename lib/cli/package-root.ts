/** Where the package is installed: for its version, and for the files shipped beside the code. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

function findRoot(directory: string): string {
  if (existsSync(path.join(directory, 'package.json'))) return directory;
  const parent = path.dirname(directory);
  if (parent === directory) throw new Error(`no package.json above ${__dirname}`);
  return findRoot(parent);
}

/** The folder that holds package.json, the same for sources and compiled code. */
export const PACKAGE_ROOT = findRoot(__dirname);

/** The version in package.json. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(path.join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string };
  return version;
}
