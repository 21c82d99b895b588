/** A thread of the lockstep engine. A file of its own: threads that free-running machines wait for need not load it. */
export { runLockstepProgram as lockstep } from '../lib/engine/lockstep/lockstep-thread';
