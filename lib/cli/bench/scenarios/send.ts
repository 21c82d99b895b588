/**
 * EVTCHNOP_send in its three weights, beside one Atomics.or. All ports are vCPU 1's, which has long returned: nobody sleeps
 * and nobody takes an upcall. Returns ns per call of each.
 */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'bench-send',
  vcpus: 2,
  args: { calls: 63, batches: 4000, samples: 9 },
  guest(vcpu) {
    if (vcpu.id !== 0) return undefined;
    const { calls, batches, samples } = vcpu.domain.args;
    const { memory, sharedInfo, hypercall } = vcpu;
    const target = sharedInfo.vcpu_info.at(1);
    const pending = sharedInfo.evtchn_pending.address;
    const mask = sharedInfo.evtchn_mask.address;
    const upcall = target.evtchn_upcall_pending.address;
    const selectorLow = target.evtchn_pending_sel.address;
    const ports = Array.from({ length: calls }, () => hypercall.evtchn.bindIpi(1));
    const bare = new Int32Array(new SharedArrayBuffer(4096));

    // All ports lie in the first 64-bit word.
    const fill = (address: number, value: number) => {
      memory.write32(address, value);
      memory.write32(address + 4, value);
    };
    /** ns per call: the median of many batches, each prepared outside the measured time. */
    const time = (prepare: () => void, body: () => void): number => {
      const ns = new Float64Array(batches);
      for (let batch = 0; batch < batches; batch++) {
        prepare();
        const start = vcpu.now();
        body();
        ns[batch] = (vcpu.now() - start) / calls;
      }
      return ns.sort()[batches >> 1] as number;
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
    /** Heap growth per call over many passes; the median, because a collection in between makes a sample negative. */
    const bytesPerCall = (): number => {
      const passes = 1000;
      const growth: number[] = [];
      for (let sample = 0; sample < samples; sample++) {
        const before = process.memoryUsage().heapUsed;
        for (let pass = 0; pass < passes; pass++) sendAll();
        growth.push((process.memoryUsage().heapUsed - before) / (passes * calls));
      }
      return growth.sort((a, b) => a - b)[samples >> 1] as number;
    };
    const round = () => ({
      or: time(
        () => {},
        () => {
          for (let i = 0; i < calls; i++) Atomics.or(bare, i >>> 5, 1 << (i & 31));
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
