/** One vCPU waits for a completion, the other completes. */
import { defineScenario } from '../../../lib/engine/scenario';
import { Completion, Events } from '../../../lib/guest';

export default defineScenario({
  name: 'completion',
  vcpus: 2,
  words: { done: 0 },
  guest(vcpu) {
    const completion = new Completion(new Events(vcpu), vcpu.words.done);
    if (vcpu.id === 0) completion.wait();
    else completion.complete();
  },
});
