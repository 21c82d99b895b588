/**
 * Litmus programs in the notation of the literature: `Wx1` stores 1 to x, `Rx` loads x, `F` is a full fence, `Xx1`
 * exchanges 1 with x; `;` is program order, `||` separates threads. A thread's result is the list of what it read.
 */
import { at, type Bare } from './bare';

const LOCATIONS = 'xyzwabcdef';

export function location(name: string): number {
  return at(LOCATIONS.indexOf(name));
}

export function litmus(text: string): Bare[] {
  return text.split('||').map((thread) => {
    const steps = thread.split(';').map((step) => step.trim());
    return (memory) => {
      const seen: number[] = [];
      for (const step of steps) {
        const address = location(step.charAt(1));
        const value = Number(step.slice(2));
        if (step === 'F') memory.fence();
        else if (step.startsWith('W')) memory.write32(address, value);
        else if (step.startsWith('X')) seen.push(memory.exchange32(address, value));
        else seen.push(memory.read32(address));
      }
      return seen;
    };
  });
}
