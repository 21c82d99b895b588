/**
 * Loads the code that worker threads run: one file, and beside it V8's code cache, made by the build, which spares
 * each thread the compilation. Without the cache, or with that of another version of Node.js, the file is compiled.
 */
import { existsSync, readFileSync } from 'node:fs';
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
  // The bundler writes ASCII only; so read, a character is a byte.
  const source = readFileSync(file, 'latin1');
  const wrapped = `(function (exports, require, module, __filename, __dirname) { ${source}\n})`;
  const script = new Script(wrapped, { filename: file, cachedData });
  const module = { exports: {} as ThreadRoles };
  const body = script.runInThisContext() as (...parts: unknown[]) => void;
  // What the file requires, packages and parts of Node.js, is the same from here.
  body(module.exports, require, module, file, dirname(file));
  return { script, exports: module.exports };
}

/** The roles, by way of the code cache if there is one. */
export function loadRoles(file: string): ThreadRoles {
  const cache = codeCacheOf(file);
  return compileRoles(file, existsSync(cache) ? readFileSync(cache) : undefined).exports;
}
