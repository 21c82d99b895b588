/**
 * What a thread can be under stress. A file of its own, so that threads of an ordinary run need not load it, and V8 compiles the
 * memory of an ordinary run as if there were no other.
 */
export {
  runStressDevice as stressDevice,
  runStressTimers as stressTimer,
  runStressVcpu as stressVcpu,
} from '../lib/engine/threads/stress/roles';
