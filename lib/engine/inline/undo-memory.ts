/**
 * The bytes of all regions, and how to take every change back. Bottom of the classes that make up MachineState: one
 * object, because each step goes through all of them.
 */

export class UndoMemory {
  readonly i32: Int32Array;
  readonly u8: Uint8Array;
  protected undoWord = new Int32Array(512);
  protected undoOld = new Int32Array(512);
  protected undoTop = 0;

  /** @param bytes - size of the address space */
  constructor(bytes: number) {
    const buffer = new ArrayBuffer((bytes + 3) & ~3);
    this.i32 = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
  }

  /** Makes what was written outside any execution part of the state all executions start from. */
  commit(): void {
    this.undoTop = 0;
  }

  /** How far memory has changed by now, for {@link discardDirect}. */
  directMark(): number {
    return this.undoTop;
  }

  /** Takes back what was written since the mark. */
  discardDirect(mark: number): void {
    this.undoTo(mark);
  }

  protected put(index: number, value: number): void {
    const top = this.undoTop;
    if (top === this.undoWord.length) this.growUndo();
    this.undoWord[top] = index;
    this.undoOld[top] = this.i32[index] as number;
    this.undoTop = top + 1;
    this.i32[index] = value;
  }

  protected put8(address: number, value: number): void {
    const index = address >> 2;
    const shift = (address & 3) * 8;
    this.put(index, ((this.i32[index] as number) & ~(0xff << shift)) | ((value & 0xff) << shift));
  }

  protected undoTo(mark: number): void {
    for (let top = this.undoTop - 1; top >= mark; top--) {
      this.i32[this.undoWord[top] as number] = this.undoOld[top] as number;
    }
    this.undoTop = mark;
  }

  protected growUndo(): void {
    const size = this.undoWord.length * 2;
    const words = new Int32Array(size);
    words.set(this.undoWord);
    this.undoWord = words;
    const old = new Int32Array(size);
    old.set(this.undoOld);
    this.undoOld = old;
  }
}
