/**
 * The upcall dispatch of the guest kernel library with 1, 64 and 4095 ports pending, beside a bare loop that takes
 * as many bits from a bitmap, one atomic each. Returns ns per event.
 */
import { defineScenario } from 'upcall';
import { Events, irqDisable, irqEnable } from 'upcall/guest';

export default defineScenario({
  name: 'bench-scan',
  vcpus: 1,
  maxPort: 4095,
  args: { events: 60_000 },
  guest(vcpu) {
    const { memory, sharedInfo } = vcpu;
    const events = new Events(vcpu);
    let handled = 0;
    const handler = () => {
      handled++;
    };
    irqDisable(vcpu);
    const ports = Array.from({ length: 4095 }, () => events.bindIpi(handler));
    const pending = sharedInfo.evtchn_pending.address;
    const bitmap = new Int32Array(new SharedArrayBuffer(512));

    const dispatch = (count: number): number => {
      const rounds = Math.ceil(vcpu.domain.args.events / count);
      let ns = 0;
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < count; i++) {
          const port = ports[i] as number;
          memory.or32(pending + (port >>> 5) * 4, 1 << (port & 31));
          vcpu.info.evtchn_pending_sel.word(port >>> 11).or(1 << ((port >>> 6) & 31));
        }
        vcpu.info.evtchn_upcall_pending.write(1);
        const start = vcpu.now();
        irqEnable(vcpu);
        ns += vcpu.now() - start;
        irqDisable(vcpu);
      }
      return ns / (rounds * count);
    };
    const bare = (count: number): number => {
      const rounds = Math.ceil(vcpu.domain.args.events / count);
      let ns = 0;
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < count; i++) Atomics.or(bitmap, i >>> 5, 1 << (i & 31));
        const start = vcpu.now();
        for (let word = 0; word << 5 < count; word++) {
          for (let bits = Atomics.load(bitmap, word); bits !== 0; bits &= bits - 1) {
            Atomics.and(bitmap, word, ~(bits & -bits));
            handler();
          }
        }
        ns += vcpu.now() - start;
      }
      return ns / (rounds * count);
    };
    const figures = (count: number) => {
      const before = process.memoryUsage().heapUsed;
      const ns = dispatch(count);
      const bytes = (process.memoryUsage().heapUsed - before) / vcpu.domain.args.events;
      return { ns, bare: bare(count), bytes };
    };
    const round = () => ({
      handled,
      figures: Object.fromEntries([1, 64, 4095].map((count) => [count, figures(count)])),
    });
    round();
    return round();
  },
});
