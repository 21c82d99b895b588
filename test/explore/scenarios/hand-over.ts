/** vCPU 0 hands a value to vCPU 1: by a flag that is written plainly, or atomically. */
import type { Vcpu } from '../../../lib';
import { defineScenario } from '../../../lib/engine/scenario';

export default defineScenario({
  name: 'hand-over',
  words: { data: 0, flag: 0 },
  args: { atomic: true },
  guests: [
    (vcpu: Vcpu) => {
      const { data, flag } = vcpu.words;
      data.write(7);
      if (vcpu.domain.args.atomic) flag.store(1);
      else flag.write(1);
    },
    (vcpu: Vcpu) => {
      const { data, flag } = vcpu.words;
      const ready = vcpu.domain.args.atomic ? flag.load() : flag.read();
      return ready === 1 ? data.read() : -1;
    },
  ],
});
