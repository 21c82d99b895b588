import { expect } from 'chai';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import { openPatientMemory, StuckLockError } from '../../lib/memory/patient-memory';

const LOCK = 64;

describe('the locks of a patient memory', () => {
  let buffer: SharedArrayBuffer;

  beforeEach(() => {
    buffer = new SharedArrayBuffer(128);
  });

  it('work as those of AtomicsMemory', () => {
    const memory = openPatientMemory(buffer);
    memory.writeLock(LOCK);
    expect(memory.readTrylock(LOCK)).to.equal(false);
    memory.writeUnlock(LOCK);
    memory.readLock(LOCK);
    memory.readLock(LOCK);
    memory.readUnlock(LOCK);
    memory.readUnlock(LOCK);
    expect(memory.load32(LOCK)).to.equal(0);
  });

  it('give up when the lock is never released, and leave it as they found it', () => {
    const holder = new AtomicsMemory(buffer);
    const memory = openPatientMemory(buffer);
    holder.writeLock(LOCK);
    const held = holder.load32(LOCK);
    expect(() => memory.readLock(LOCK)).to.throw(StuckLockError, /lock at 64/);
    expect(() => memory.writeLock(LOCK)).to.throw(StuckLockError);
    expect(holder.load32(LOCK)).to.equal(held);
    holder.writeUnlock(LOCK);
    memory.readLock(LOCK);
    expect(() => memory.writeLock(LOCK)).to.throw(StuckLockError);
    expect(holder.load32(LOCK)).to.equal(1);
  });
});
