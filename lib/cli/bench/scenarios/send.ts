/**
 * EVTCHNOP_send in its three weights, beside one Atomics.or. All ports are vCPU 1's, which has long returned: nobody sleeps
 * and nobody takes an upcall. Returns ns per call of each.
 */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'bench-send',
  vcpus: 2,
  maxPort: 4095,
  args: { calls: 4000, repeats: 25 },
  guest(vcpu) {
    if (vcpu.id !== 0) return undefined;
    const { calls, repeats } = vcpu.domain.args;
    const { memory, sharedInfo, hypercall } = vcpu;
    const target = sharedInfo.vcpu_info.at(1);
    const pending = sharedInfo.evtchn_pending.address;
    const mask = sharedInfo.evtchn_mask.address;
    const upcall = target.evtchn_upcall_pending.address;
    const selectorLow = target.evtchn_pending_sel.address;
    const ports = Array.from({ length: calls }, () => hypercall.evtchn.bindIpi(1));
    const bare = new Int32Array(new SharedArrayBuffer(4096));

    const fill = (address: number, value: number) => {
      for (let word = 0; word < 128; word++) memory.write32(address + word * 4, value);
    };
    const time = (prepare: () => void, body: () => void): number => {
      const samples: number[] = [];
      for (let repeat = 0; repeat < repeats; repeat++) {
        prepare();
        const start = vcpu.now();
        body();
        samples.push((vcpu.now() - start) / calls);
      }
      return samples.sort((a, b) => a - b)[repeats >> 1] as number;
    };
    const sendAll = () => {
      for (let i = 0; i < calls; i++) hypercall.evtchn.send(ports[i] as number);
    };
    const sendAllDelivered = () => {
      for (let i = 0; i < calls; i++) {
        memory.write8(upcall, 0);
        memory.write32(selectorLow, 0);
        memory.write32(selectorLow + 4, 0);
        hypercall.evtchn.send(ports[i] as number);
      }
    };
    /** Heap growth per call over ten passes; the median, because a collection in between makes a sample negative. */
    const bytesPerCall = (): number => {
      const samples: number[] = [];
      for (let repeat = 0; repeat < repeats; repeat++) {
        const before = process.memoryUsage().heapUsed;
        for (let pass = 0; pass < 10; pass++) sendAll();
        samples.push((process.memoryUsage().heapUsed - before) / (10 * calls));
      }
      return samples.sort((a, b) => a - b)[repeats >> 1] as number;
    };
    const round = () => ({
      or: time(
        () => {},
        () => {
          for (let i = 0; i < calls; i++) Atomics.or(bare, i & 1023, 1 << (i & 31));
        },
      ),
      pending: time(() => fill(pending, -1), sendAll),
      masked: time(() => {
        fill(pending, 0);
        fill(mask, -1);
      }, sendAll),
      delivered: time(() => {
        fill(pending, 0);
        fill(mask, 0);
      }, sendAllDelivered),
      bytesPerCall: bytesPerCall(),
    });
    round();
    return round();
  },
});
