/**
 * Loads the code that worker threads run: one file, and beside it V8's code cache, made by the build, which spares
 * each thread the compilation. Without the cache, or with that of another version of Node.js, the file is compiled.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Script } from 'node:vm';
import type * as Roles from '../../../workers/thread-roles';

export type ThreadRoles = typeof Roles;

/** A file compiled as a CommonJS module, and what it exports. */
export interface LoadedFile {
  readonly script: Script;
  readonly exports: ThreadRoles;
}

/** Where the code cache of a file is kept. */
export function codeCacheOf(file: string): string {
  return `${file}.cache`;
}

/** @param cachedData - V8's code cache for the file; one that does not fit is ignored */
export function compileRoles(file: string, cachedData?: Buffer): LoadedFile {
  const source = readFileSync(file, 'utf8');
  const wrapped = `(function (exports, require, module, __filename, __dirname) { ${source}\n})`;
  const script = new Script(wrapped, { filename: file, cachedData });
  const module = { exports: {} as ThreadRoles };
  const body = script.runInThisContext() as (...parts: unknown[]) => void;
  body(module.exports, createRequire(file), module, file, dirname(file));
  return { script, exports: module.exports };
}

/** The roles, by way of the code cache if there is one. */
export function loadRoles(file: string): ThreadRoles {
  const cache = codeCacheOf(file);
  return compileRoles(file, existsSync(cache) ? readFileSync(cache) : undefined).exports;
}
