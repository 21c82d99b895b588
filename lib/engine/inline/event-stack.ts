/**
 * Actors, their logs and store buffers, and the stack of events executed so far. Each event knows where its changes to memory
 * begin in the undo log, so words can be looked at as they were.
 */
import { LOG_EXTRA, LOG_OPERAND, LOG_SECTION, RECORD } from './operation-log';
import { KIND_BITS, KIND_MASK, MAX_BYTES, Op } from './ops';
import { UndoMemory } from './undo-memory';

/** Actors are bits of a mask. */
const MAX_ACTORS = 31;

export type MemoryModel = 'sc' | 'tso';
/** Whether others may step in while an actor is in the hypervisor. */
export type HypercallSteps = 'fine' | 'atomic';

export abstract class EventStack extends UndoMemory {
  readonly logs: Int32Array[] = [];
  /** Operations executed, per actor: the pending one is at this position of its log. */
  readonly pos: Int32Array;
  readonly actors: number;
  /** The actor that is time. */
  readonly time: number;
  readonly tso: boolean;
  /** Operations known, per actor. */
  protected readonly known: Int32Array;

  /** Number of events executed. */
  depth = 0;
  evActor = new Uint8Array(256);
  evFoot = new Int32Array(256);
  evUndo = new Int32Array(257);
  /** Position, in its actor's log, of an event's first operation; and, where hypercalls are atomic, after its last. */
  evFirst = new Int32Array(256);
  protected evEnd = new Int32Array(256);

  /** @param bytes - size of the address space, engine's own words included */
  constructor(
    bytes: number,
    readonly programs: number,
    readonly memoryModel: MemoryModel = 'sc',
    readonly atomicHypercalls = false,
  ) {
    if (bytes > MAX_BYTES) throw new RangeError(`a machine under exploration has at most ${MAX_BYTES} bytes of memory`);
    super(bytes);
    this.tso = memoryModel === 'tso';
    this.actors = (this.tso ? programs * 2 : programs) + 1;
    this.time = this.actors - 1;
    if (this.actors > MAX_ACTORS) {
      throw new RangeError(
        `exploration handles at most ${MAX_ACTORS - 1} actors (under tso each of them counts twice)`,
      );
    }
    this.pos = new Int32Array(this.actors);
    this.known = new Int32Array(this.actors);
    for (let actor = 0; actor < this.actors; actor++) this.logs.push(new Int32Array(RECORD * 32));
  }

  kind(actor: number): number {
    return ((this.logs[actor] as Int32Array)[(this.pos[actor] as number) * RECORD] as number) & KIND_MASK;
  }

  protected pendingAddress(actor: number): number {
    return ((this.logs[actor] as Int32Array)[(this.pos[actor] as number) * RECORD] as number) >>> KIND_BITS;
  }

  /** Position, in its actor's log, after an event's last operation. */
  endOf(event: number): number {
    return this.atomicHypercalls ? (this.evEnd[event] as number) : (this.evFirst[event] as number) + 1;
  }

  /** Whether an actor's pending operation is inside an atomic hypercall. */
  isInside(actor: number): boolean {
    const at = (this.pos[actor] as number) * RECORD;
    return this.atomicHypercalls && ((this.logs[actor] as Int32Array)[at + LOG_SECTION] as number & 1) === 1;
  }

  /** Whether an event is (part of) an atomic hypercall. */
  isSection(event: number): boolean {
    if (!this.atomicHypercalls) return false;
    const at = (this.evFirst[event] as number) * RECORD;
    const log = this.logs[this.evActor[event] as number] as Int32Array;
    return ((log[at + LOG_SECTION] as number) & 1) === 1 || ((log[at] as number) & KIND_MASK) === Op.ENTER;
  }

  /** A word as it was before an operation of an event. */
  wordBefore(event: number, position: number, word: number): number {
    if (position >= this.endOf(event)) return this.wordAfter(event, word);
    if (!this.atomicHypercalls) return this.wordAtStart(event, word);
    const log = this.logs[this.evActor[event] as number] as Int32Array;
    return this.wordAt((log[position * RECORD + LOG_SECTION] as number) >>> 1, word);
  }

  /** A word as an event found it, whether the event wrote it or not. */
  wordAtStart(event: number, word: number): number {
    return this.wordAt(this.evUndo[event] as number, word);
  }

  /** A word as an event left it. */
  wordAfter(event: number, word: number): number {
    return this.wordAt(this.undoEnd(event), word);
  }

  /** A word as it was when so many changes had been made. */
  private wordAt(changes: number, word: number): number {
    for (let entry = changes; entry < this.undoTop; entry++) {
      if (this.undoWord[entry] === word) return this.undoOld[entry] as number;
    }
    return this.i32[word] as number;
  }

  private undoEnd(event: number): number {
    return event + 1 < this.depth ? (this.evUndo[event + 1] as number) : this.undoTop;
  }

  /** A word as it was before an event (which need not have written it, if it is the newest). */
  oldWord(event: number, word: number): number {
    const end = this.undoEnd(event);
    for (let entry = this.evUndo[event] as number; entry < end; entry++) {
      if (this.undoWord[entry] === word) return this.undoOld[entry] as number;
    }
    return this.i32[word] as number;
  }

  /** Whether an event changed memory other than by letting time pass. */
  changes(event: number): boolean {
    if (this.evActor[event] === this.time) return false;
    return this.undoEnd(event) > (this.evUndo[event] as number);
  }

  /** Whether an event wrote a word. */
  wrote(event: number, word: number): boolean {
    const end = this.undoEnd(event);
    for (let entry = this.evUndo[event] as number; entry < end; entry++) {
      if (this.undoWord[entry] === word) return true;
    }
    return false;
  }

  /** Under TSO: true when the program has stores in its buffer. */
  buffers(program: number): boolean {
    const buffer = program + this.programs;
    return (this.known[buffer] as number) > (this.pos[buffer] as number);
  }

  /** Under TSO: the event of the store that the last executed flush of this buffer made visible. */
  storeOfLastFlush(buffer: number): number {
    return (this.logs[buffer] as Int32Array)[((this.pos[buffer] as number) - 1) * RECORD + LOG_EXTRA] as number;
  }

  look8(actor: number, address: number): number {
    if (!this.tso || !this.buffers(actor)) return this.u8[address] as number;
    return (this.look32(actor, address & ~3) >>> ((address & 3) * 8)) & 0xff;
  }

  look32(actor: number, address: number): number {
    let value = this.i32[address >> 2] as number;
    if (!this.tso) return value;
    const buffer = actor + this.programs;
    const log = this.logs[buffer] as Int32Array;
    for (let record = this.pos[buffer] as number; record < (this.known[buffer] as number); record++) {
      const tag = log[record * RECORD] as number;
      const stored = tag >>> KIND_BITS;
      if (stored >> 2 !== address >> 2) continue;
      const operand = log[record * RECORD + LOG_OPERAND] as number;
      if ((tag & KIND_MASK) === Op.FLUSH32) {
        value = operand;
      } else {
        const shift = (stored & 3) * 8;
        value = (value & ~(0xff << shift)) | ((operand & 0xff) << shift);
      }
    }
    return value;
  }

  /** Under TSO: the bits of a word that the program has stored and its buffer still holds. */
  bufferedBytes(program: number, address: number): number {
    const buffer = program + this.programs;
    const log = this.logs[buffer] as Int32Array;
    let bits = 0;
    for (let record = this.pos[buffer] as number; record < (this.known[buffer] as number); record++) {
      const tag = log[record * RECORD] as number;
      const stored = tag >>> KIND_BITS;
      if (stored >> 2 !== address >> 2) continue;
      bits |= (tag & KIND_MASK) === Op.FLUSH32 ? -1 : 0xff << ((stored & 3) * 8);
    }
    return bits;
  }

  /** Makes room for the record at the pending position of a log and the one after it. */
  protected reserve(actor: number, log: Int32Array, records: number): void {
    if (records * RECORD <= log.length) return;
    const larger = new Int32Array(log.length * 2);
    larger.set(log);
    this.logs[actor] = larger;
  }

  protected growEvents(): void {
    const size = this.evActor.length * 2;
    const actors = new Uint8Array(size);
    actors.set(this.evActor);
    this.evActor = actors;
    const feet = new Int32Array(size);
    feet.set(this.evFoot);
    this.evFoot = feet;
    const undo = new Int32Array(size + 1);
    undo.set(this.evUndo);
    this.evUndo = undo;
    const first = new Int32Array(size);
    first.set(this.evFirst);
    this.evFirst = first;
    const end = new Int32Array(size);
    end.set(this.evEnd);
    this.evEnd = end;
  }
}
