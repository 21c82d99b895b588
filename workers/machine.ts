/** Worker entry of the engines on threads: loads the roles a thread can have as fast as can be. */
import { join } from 'node:path';
import { loadRoles } from '../lib/engine/threads/load-roles';
import type { lockstep } from './lockstep-role';

const roles = loadRoles(join(__dirname, 'thread-roles.js'));

export = {
  ...roles,
  lockstep: (...task: Parameters<typeof lockstep>): ReturnType<typeof lockstep> =>
    (require('./lockstep-role') as { lockstep: typeof lockstep }).lockstep(...task),
};
