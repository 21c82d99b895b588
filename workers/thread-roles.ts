/**
 * What a thread of a running machine can be. One module for all roles, so that a warm thread may take up a different one
 * each time. The build makes it one file; worker threads load that through machine.ts.
 */
export { runDevice as device } from '../lib/engine/threads/device-thread';
export { runVcpu as vcpu } from '../lib/engine/threads/run-vcpu';
export { runTimers as timer } from '../lib/engine/threads/timer-thread';
