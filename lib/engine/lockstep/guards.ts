/**
 * Who could go on: the conditions under which pending operations can be executed. The same rules as those of
 * the inline engine's MachineState, over shared words and the machine's own buffers; whoever holds the baton may
 * ask about anybody.
 */

import { DRAINS, GUARDED, KIND_BITS, KIND_MASK, LOOKS, NARROW, NOTIFIED, Op } from '../inline/ops';
import { released } from '../inline/readiness';
import type { RegionMemory } from './region-memory';
import { EVENT, EVENT_AFTER, EVENT_PREVIOUS, EVENT_RESULT, EVENT_TAG, type SharedWords } from './shared-words';
import type { StoreBuffers } from './store-buffers';

export class Guards {
  constructor(
    private readonly words: SharedWords,
    private readonly memory: RegionMemory,
    private readonly buffers: StoreBuffers,
    private readonly tso: boolean,
  ) {}

  /** Whether a program, or (`programs` more) its store buffer, can make its next step. */
  isEnabled(actor: number): boolean {
    const { programs } = this.words;
    if (actor < programs) return this.programIsEnabled(actor);
    return this.tso && actor < 2 * programs && !this.buffers.isEmpty(actor - programs);
  }

  /** All that can go on, as a mask. */
  enabled(): number {
    const actors = this.words.programs * (this.tso ? 2 : 1);
    let enabled = 0;
    for (let actor = 0; actor < actors; actor++) if (this.isEnabled(actor)) enabled |= 1 << actor;
    return enabled;
  }

  private programIsEnabled(program: number): boolean {
    const { words } = this;
    const kind = words.pendingKind(program);
    if (kind === Op.END || kind === Op.CRASH) return false;
    if (this.tso && DRAINS[kind] === 1 && !this.buffers.isEmpty(program)) return false;
    return GUARDED[kind] !== 1 || this.guardHolds(program, kind);
  }

  private guardHolds(program: number, kind: number): boolean {
    const { words, memory } = this;
    const address = words.pendingTag(program) >>> KIND_BITS;
    switch (kind) {
      case Op.READ_LOCK:
        return memory.peek32(address) >= 0;
      case Op.WRITE_LOCK:
        return memory.peek32(address) === 0;
      case Op.AWAIT_CLEAR:
        return released(memory.peek32(address), words.pendingOperand(program));
      case Op.RELAX:
        return this.seesChange(program);
      case Op.WAIT_END:
        return words.pendingOperand(program) === 1 || words.sleeper(program) === NOTIFIED;
      case Op.TIMER_WAIT:
        return words.deadlineNs !== 0;
      default:
        return false;
    }
  }

  /** Whether something the program has read since its last RELAX is different now, or it has read nothing. */
  private seesChange(program: number): boolean {
    const { words } = this;
    const { trace } = words;
    if (words.pendingTicks(program) !== words.ticks) return true;
    let looked = false;
    for (let event = words.lastEvent(program); event >= 0; event = trace[event * EVENT + EVENT_PREVIOUS] as number) {
      const at = event * EVENT;
      const tag = trace[at + EVENT_TAG] as number;
      const kind = tag & KIND_MASK;
      if (kind === Op.RELAX) break;
      if (LOOKS[kind] !== 1) continue;
      looked = true;
      const seen = trace[at + (onlyReads(kind) ? EVENT_RESULT : EVENT_AFTER)] as number;
      if (this.look(program, kind, tag >>> KIND_BITS) !== seen) return true;
    }
    return !looked;
  }

  private look(program: number, kind: number, address: number): number {
    const { memory, buffers } = this;
    if (kind === Op.NOW) return this.words.clockNs;
    if (kind === Op.WINDOW) return this.deliverable(program, address) ? 1 : 0;
    if (NARROW[kind] === 1) return buffers.forward8(program, address, memory.peek8(address));
    return buffers.forward32(program, address, memory.peek32(address));
  }

  /** Whether a vCPU would take an upcall: pending byte set, mask byte after it clear. */
  deliverable(program: number, address: number): boolean {
    const { memory, buffers } = this;
    if (buffers.forward8(program, address + 1, memory.peek8(address + 1)) !== 0) return false;
    return buffers.forward8(program, address, memory.peek8(address)) !== 0;
  }
}

function onlyReads(kind: number): boolean {
  return kind <= Op.LOAD8 || kind === Op.LOAD32 || kind === Op.WINDOW || kind === Op.NOW;
}
