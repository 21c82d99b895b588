/** Worker entry of the engines on threads: loads the roles a thread can have as fast as can be. */
import { join } from 'node:path';
import { loadRoles } from '../lib/engine/threads/load-roles';

export = loadRoles(join(__dirname, 'thread-roles.js'));
