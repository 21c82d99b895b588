/**
 * Each vCPU executes the list of operations it finds in the args: `[operation, word, value]`. Whatever it read is its
 * result. Operations on words, plain and atomic, wide and narrow; fences, sleeping, spinning, choices, time, chance.
 */
import { defineScenario, type Vcpu } from 'upcall';

const WORDS = 3;
/** A spin gives up after so many rounds. */
const ROUNDS = 2;

export default defineScenario({
  name: 'random-words',
  vcpus: 2,
  words: { shared: new Array(WORDS).fill(0), lock: 0 },
  args: { programs: [[['add', 0, 1]], [['read', 0, 0]]] },
  guest(vcpu) {
    const seen: unknown[] = [];
    for (const [operation, word, value] of vcpu.domain.args.programs[vcpu.id])
      perform(vcpu, operation, word, value, seen);
    return seen;
  },
});

function perform(vcpu: Vcpu, operation: string, index: number, value: number, seen: unknown[]): void {
  const word = vcpu.words.shared[index];
  const { memory } = vcpu;
  const byte = word.address + (value & 3);
  switch (operation) {
    case 'read':
      seen.push(word.read());
      break;
    case 'write':
      word.write(value);
      break;
    case 'load':
      seen.push(word.load());
      break;
    case 'store':
      word.store(value);
      break;
    case 'add':
    case 'and':
    case 'or':
    case 'xor':
    case 'exchange':
      seen.push(word[operation](value));
      break;
    case 'cas':
      seen.push(word.compareExchange(value - 1, value));
      break;
    case 'read8':
      seen.push(memory.read8(byte));
      break;
    case 'write8':
      memory.write8(byte, value);
      break;
    case 'load8':
      seen.push(memory.load8(byte));
      break;
    case 'store8':
      memory.store8(byte, value);
      break;
    case 'add8':
    case 'and8':
    case 'or8':
    case 'xor8':
    case 'exchange8':
      seen.push(memory[operation](byte, value));
      break;
    case 'cas8':
      seen.push(memory.compareExchange8(byte, value - 1, value));
      break;
    case 'fence':
      memory.fence();
      break;
    case 'wait':
      seen.push(memory.wait32(word.address, 0, value === 1 ? undefined : 1000));
      break;
    case 'sleep':
      // Sooner or later somebody's notification or the time limit ends it.
      seen.push(memory.wait32(vcpu.words.lock.address, 0, value === 3 ? undefined : 1000));
      break;
    case 'timer':
      vcpu.hypercall.timer.setTimerOp(vcpu.now() + (value & 3) * 700);
      break;
    case 'notify':
      seen.push(memory.notify32(value < 0 ? vcpu.words.lock.address : word.address, 1 + (value & 1)));
      break;
    case 'spin':
      for (let round = 0; round < ROUNDS && word.load() === 0; round++) vcpu.relax();
      break;
    case 'spin-for-ever':
      while (word.read() === 0) vcpu.relax();
      break;
    case 'choose':
      seen.push(vcpu.choose((value & 3) + 1));
      break;
    case 'choose-many':
      seen.push(vcpu.choose(40));
      break;
    case 'now':
      seen.push(vcpu.now());
      break;
    case 'random':
      seen.push(vcpu.random());
      break;
    case 'lock':
      while (vcpu.words.lock.exchange(1) !== 0) vcpu.relax();
      word.write(word.read() + 1);
      vcpu.words.lock.store(0);
      break;
    case 'assert':
      vcpu.assert(word.read() !== value, `word ${index} is ${value}`);
      break;
    case 'throw':
      if (word.read() === value) throw new RangeError(`word ${index} is ${value}`);
      break;
    default:
      throw new Error(`no operation ${operation}`);
  }
}
