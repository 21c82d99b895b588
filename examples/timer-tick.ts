/**
 * Every vCPU prints the time of day at each tick of a periodic timer of its own.
 *
 * Teaches: timers over the one single-shot timer a vCPU has, system time and wallclock under their version protocols,
 * lines on the console.
 *
 *     npx upcall run examples/timer-tick.ts --vcpus 4 --args '{"ticks": 5, "periodMs": 200}'
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { Events, haltUntil, printk, readWallclock, systemTimeNs, Timers } from 'upcall/guest';

const NS_PER_MS = 1_000_000;

export default defineScenario({
  name: 'timer-tick',
  description: 'a periodic timer on every vCPU; each tick prints the wallclock',
  vcpus: 4,
  args: { ticks: 3, periodMs: 50 },

  guest(vcpu) {
    const { ticks, periodMs } = vcpu.domain.args;
    const timers = new Timers(new Events(vcpu));
    const wallclock = { seconds: 0, ns: 0 };
    const times: number[] = [];

    const tick = timers.create(() => {
      readWallclock(vcpu, wallclock);
      const time = new Date(wallclock.seconds * 1000 + Math.floor(wallclock.ns / NS_PER_MS));
      times.push(systemTimeNs(vcpu));
      printk(vcpu, `tick ${times.length} at ${time.toISOString()}`);
      if (times.length === ticks) tick.stop();
    });

    const started = systemTimeNs(vcpu);
    tick.startEvery(periodMs * NS_PER_MS);
    haltUntil(vcpu, () => times.length === ticks);
    return { started, times };
  },

  // How late a tick is depends on the host; how early it may be does not.
  check({ results, args }) {
    for (const result of results) {
      const { started, times } = result as { started: number; times: number[] };
      assert.equal(times.length, args.ticks, 'every vCPU got its ticks');
      times.forEach((time, i) => {
        assert.ok(time >= started + (i + 1) * args.periodMs * NS_PER_MS, `tick ${i + 1} came before its time`);
      });
    }
  },
});
