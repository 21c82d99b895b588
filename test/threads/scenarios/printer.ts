/** Every vCPU writes `args.lines` lines to the console, in uneven pieces, and as many to the log. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'printer',
  vcpus: 3,
  args: { lines: 2000 },
  guest(vcpu) {
    for (let line = 0; line < vcpu.domain.args.lines; line++) {
      const text = `vCPU ${vcpu.id} line ${line} über\n`;
      const cut = line % text.length;
      const bytes = Buffer.from(text);
      vcpu.hypercall.console.write(bytes.subarray(0, cut));
      vcpu.hypercall.console.write(bytes.subarray(cut));
      vcpu.log('line', line);
    }
    vcpu.hypercall.console.write('no newline');
  },
});
