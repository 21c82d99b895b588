/** Two vCPUs that expect to find the machine at its start of day, and leave it changed in every way they can. */
import { defineScenario } from 'upcall';

const PORT = 1;

export default defineScenario({
  name: 'iterated',
  words: { sum: 40, ready: 0 },
  vcpus: 2,
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(1);
  },
  guest(vcpu) {
    const { sum, ready } = vcpu.words;
    vcpu.assert(vcpu.now() < 1e9, `the clock says ${vcpu.now()} ns`);
    vcpu.assert(vcpu.memory.read32(0x20000 + vcpu.id * 4) === 0, 'free memory is not clear');
    vcpu.memory.write32(0x20000 + vcpu.id * 4, 1);
    sum.add(1);
    if (vcpu.id === 0) {
      vcpu.assert(vcpu.hypercall.evtchn.bindIpi(0) === PORT + 1, 'a port of another iteration is in use');
      ready.store(1);
      vcpu.hypercall.evtchn.send(PORT);
      return 'sent';
    }
    let got = 0;
    vcpu.onUpcall(() => {
      vcpu.info.evtchn_upcall_pending.write(0);
      vcpu.info.evtchn_pending_sel.lo.exchange(0);
      vcpu.sharedInfo.evtchn_pending.word(0).and(~(1 << PORT));
      got++;
    });
    while (got === 0) {
      vcpu.block();
      vcpu.info.evtchn_upcall_mask.write(1);
    }
    return { got };
  },
  check({ words, results }) {
    if (words.sum.read() !== 42) throw new Error(`the sum is ${words.sum.read()}`);
    if (JSON.stringify(results) !== '["sent",{"got":1}]') throw new Error(`results: ${JSON.stringify(results)}`);
  },
});
