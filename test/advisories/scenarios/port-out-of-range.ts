/**
 * XSA-342: a 32-bit domain that may have more ports than its 2-level bitmaps have bits. Two vCPUs take the last ports at once: they
 * get those there are, each once; operations beyond are refused, and nothing behind the bitmaps changes.
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { attempt } from './attempt';

const TAKEN = 1021;
const LAST = 1023;
const BEYOND = [1024, 4095, 4096, 131_071, 0x7fff_ffff, 0xffff_ffff];

export default defineScenario({
  name: 'port-out-of-range',
  abi: 'x86_32',
  events: 'fifo',
  maxPort: 4095,
  words: { clock: 0 },
  setup({ domain }) {
    while (domain.hypercall.evtchn.bindIpi(0) < TAKEN);
    domain.words.clock.write(domain.sharedInfo.wc_version.read());
  },
  vcpus: 2,
  guest(vcpu) {
    const { evtchn, sched } = vcpu.hypercall;
    const ports: number[] = [];
    while (attempt(() => ports.push(evtchn.bindIpi(vcpu.id))) === 'ok');
    for (const port of ports) vcpu.assert(port > TAKEN && port <= LAST, `port ${port} was handed out`);
    for (const port of ports) evtchn.send(port);
    const port = BEYOND[vcpu.choose(BEYOND.length)] as number;
    const calls = [
      () => evtchn.send(port),
      () => evtchn.unmask(port),
      () => evtchn.close(port),
      () => evtchn.bindVcpu(port, 0),
      () => evtchn.status(DOMID_SELF, port),
      () => sched.poll([port]),
    ];
    for (const call of calls) vcpu.assert(attempt(call) === 'EINVAL', `an operation on port ${port} was not refused`);
    return ports;
  },
  check({ domain, results, words }) {
    const ports = (results as number[][]).flat().sort((a, b) => a - b);
    if (String(ports) !== String([LAST - 1, LAST])) throw new Error(`handed out were ${ports}`);
    if (domain.sharedInfo.wc_version.read() !== words.clock.read())
      throw new Error('what follows the bitmaps has changed');
  },
});
