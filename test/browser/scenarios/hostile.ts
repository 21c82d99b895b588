/** A guest that puts markup and scripts wherever it can put text. */
import { defineScenario } from 'upcall';

const SCRIPT = '</script><script>window.intruded = 1</script>';
const IMAGE = '<img src=x onerror="window.intruded = 2">';
/** Turns a line around, and ends one for old parsers. */
const UNSEEN = '\u202e\u2066\u2028\u2029';

export default defineScenario({
  name: `<b>bold</b>${SCRIPT}`,
  vcpus: 2,
  words: { [`<i>${IMAGE}`]: 0, '__proto__ <!--': 0, [`turned ${UNSEEN}`]: 0 },
  guest(vcpu) {
    const [first] = Object.values(vcpu.words) as unknown as { add(by: number): number }[];
    vcpu.log(`${SCRIPT}${IMAGE}${UNSEEN}]]>`);
    const before = first!.add(1);
    vcpu.assert(before === 0, `${IMAGE}${SCRIPT} &amp; <!-- </style>`);
    return SCRIPT;
  },
});
