/**
 * The PV console between its driver and the daemon's code, over rings so small that both sides have to wait: `args.out`
 * bytes of output by each writer, `args.in` bytes of input. Both ends live in one domain, connected by a channel to itself.
 */
import assert from 'node:assert/strict';
import { defineScenario } from '../../../lib/engine/scenario';
import { Completion, Events, PvConsole } from '../../../lib/guest';
import { ByteRing } from '../../../lib/guest/byte-ring';
import { ConsolePage } from '../../../lib/guest/console-page';
import type { Vcpu } from '../../../lib/guest/vcpu';
import { ServedConsole } from '../../../lib/services/console/served-console';

const PAGE = 32 * 4096;
const DEFAULTS = { writers: 1, out: 2, in: 0, limit: 1 };

type Words = { front: 0; back: 0; ready: 0; written: 0; typed_cons: 0; typed_prod: 0; typed: readonly number[] };

/** Bytes that tell who wrote them and in which order. */
function message(writer: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 16 * (writer + 1) + i);
}

function daemon(vcpu: Vcpu<Words>): number[] {
  const args = { ...DEFAULTS, ...vcpu.domain.args };
  const { back, ready, typed, typed_cons, typed_prod } = vcpu.words;
  const output: number[] = [];
  const port = back.read();
  const fromHost = new ByteRing(vcpu.memory, {
    bytes: typed[0]!.address,
    size: 4,
    cons: typed_cons.address,
    prod: typed_prod.address,
  });
  const served = new ServedConsole({
    page: new ConsolePage(vcpu.memory, PAGE, args.limit),
    typed: fromHost,
    notify: () => vcpu.hypercall.evtchn.send(port),
    emit: (bytes) => void output.push(...bytes),
    cutOff: () => vcpu.assert(false, 'the ring is corrupt'),
  });
  // As a service waits: asleep until its port, masked, is pending.
  const { evtchn_pending, evtchn_mask } = vcpu.sharedInfo;
  evtchn_mask.word(0).or(1 << port);
  ready.store(1);
  const done = () => output.length === args.writers * args.out && fromHost.waiting() === 0;
  while (!done()) {
    while ((evtchn_pending.word(0).and(~(1 << port)) & (1 << port)) === 0) vcpu.hypercall.sched.poll([port]);
    served.serve();
  }
  return output;
}

export default defineScenario({
  name: 'console-driver',
  vcpus: 2,
  words: { front: 0, back: 0, ready: 0, written: 0, typed_cons: 0, typed_prod: 0, typed: [0] } as Words,
  args: DEFAULTS,
  setup({ domain, args }) {
    const { front, back, typed, typed_prod } = domain.words;
    front.write(domain.hypercall.evtchn.allocUnbound(domain.id, domain.id));
    back.write(domain.hypercall.evtchn.bindInterdomain(domain.id, front.read()));
    domain.hypercall.evtchn.bindVcpu(back.read(), domain.vcpus - 1);
    const input = message(7, args.in ?? 0);
    for (const [i, byte] of input.entries()) domain.memory.write8(typed[0]!.address + i, byte);
    typed_prod.write(input.length);
  },
  guest(vcpu) {
    const args = { ...DEFAULTS, ...vcpu.domain.args };
    if (vcpu.id === vcpu.domain.vcpus - 1) return daemon(vcpu);
    // What is explored is the traffic, not two kernels that boot.
    while (vcpu.words.ready.load() === 0) vcpu.relax();
    const events = new Events(vcpu);
    const place = { page: PAGE, port: vcpu.words.front.read() };
    const console = new PvConsole(events, place, { limit: args.limit });
    console.write(message(vcpu.id, args.out));
    const written = args.writers > 1 ? new Completion(events, vcpu.words.written) : undefined;
    if (vcpu.id !== 0) {
      written?.complete();
      return [];
    }
    const input: number[] = [];
    const portion = new Uint8Array(4);
    while (input.length < args.in) input.push(...portion.subarray(0, console.read(portion)));
    // The owner of the port wakes the others: it has to stay until they are done.
    for (let others = 1; others < args.writers; others++) written?.wait();
    return input;
  },
  check({ results, args }) {
    const { writers, out, in: typed } = { ...DEFAULTS, ...args };
    const output = results.at(-1) as number[];
    for (let writer = 0; writer < writers; writer++) {
      const own = output.filter((byte) => byte >> 4 === writer + 1);
      assert.deepEqual(own, [...message(writer, out)], `the bytes of writer ${writer}, each once and in order`);
      const first = output.indexOf(own[0] as number);
      assert.deepEqual(output.slice(first, first + out), own, 'what one write passes on stays together');
    }
    assert.deepEqual(results[0], [...message(7, typed)], 'every byte typed, once and in order');
  },
});
