/** A domain without named words, served by xenstored, takes all the frames it has and writes to each. */
import { defineScenario } from 'upcall';
import { Frames } from 'upcall/guest';

const FRAME_BYTES = 4096;

export default defineScenario({
  name: 'take-frames',
  xenstore: true,
  guest(vcpu) {
    const frames = new Frames(vcpu);
    const taken: number[] = [];
    try {
      for (;;) taken.push(frames.take());
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    for (const frame of taken) vcpu.memory.write32(frame + FRAME_BYTES - 4, 1);
    return Math.min(...taken) / FRAME_BYTES;
  },
});
