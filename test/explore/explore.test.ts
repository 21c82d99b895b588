import path from 'node:path';
import { expect } from 'chai';
import { ABI_NAMES } from '../../lib/abi';
import { defineScenario } from '../../lib/engine/scenario';
import { ExploreOptionError } from '../../lib/explore/options';
import { replay } from '../../lib/explore/replay';
import { TokenError } from '../../lib/explore/schedule';
import { ExplorationFailed, explore } from '../../lib/report/explore-result';

/** Two vCPUs add to a word, with a plain load and store or with one atomic. */
const counter = defineScenario({
  name: 'counter',
  vcpus: 2,
  words: { total: 0 },
  args: { atomic: false },
  guest(vcpu) {
    const { total } = vcpu.words;
    if (vcpu.domain.args.atomic) return total.add(1);
    const seen = total.read();
    vcpu.cover(seen === 0 ? 'first' : 'second');
    total.write(seen + 1);
    return seen;
  },
  check({ words }) {
    if (words.total.read() !== 2) throw new Error(`total is ${words.total.read()}`);
  },
});

/** vCPU 1 sends an IPI for which vCPU 0 waits asleep. */
const wakeUp = defineScenario({
  name: 'wake-up',
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      let upcalls = 0;
      vcpu.onUpcall(() => {
        vcpu.info.evtchn_upcall_pending.write(0);
        vcpu.info.evtchn_pending_sel.lo.exchange(0);
        vcpu.sharedInfo.evtchn_pending.word(0).exchange(0);
        upcalls++;
      });
      vcpu.block();
      return upcalls;
    },
    (vcpu) => vcpu.hypercall.evtchn.send(1),
  ],
});

async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('the promise was not rejected');
}

describe('explore', () => {
  for (const abi of ABI_NAMES) {
    it(`loses no wake-up on ${abi}`, async () => {
      for (const memoryModel of ['sc', 'tso'] as const) {
        const report = await explore(wakeUp, { abi, memoryModel });
        expect(report).to.include({ failure: null, complete: true });
        expect(report.outcomes.map(({ results }) => results[0])).to.deep.equal([1]);
      }
    });
  }

  it('tells a control domain when another domain has shut down, in every interleaving', async () => {
    const file = path.join(__dirname, 'scenarios', 'control-domain.ts');
    const report = await explore(file);
    expect(report).to.include({ failure: null, complete: true });
    expect(report.outcomes.map(({ results }) => results[0])).to.deep.equal([1]);
  });

  it('finds a lost update, shrinks it to one preemption, and prints what replays it', async () => {
    const result = await explore(counter);
    expect(result.complete).to.equal(false);
    expect(result.failure).to.include({ kind: 'assertion', message: 'total is 1', preemptions: 1 });
    expect(() => result.assertHeld())
      .to.throw(ExplorationFailed)
      .with.property('message')
      .that.matches(/^assertion: total is 1\n.*1 preemption,.*steps/)
      .and.includes(result.failure?.token);
    const replayed = await replay(counter, result.failure?.token as string);
    expect(replayed.followed).to.equal(true);
    expect(replayed.failure).to.include({ kind: 'assertion', message: 'total is 1' });
    expect(replayed.preemptions).to.equal(1);
  });

  it('names words, values and actors in the trace', async () => {
    const { failure } = await explore(counter);
    const writes = failure?.trace.steps.filter(({ op }) => op === 'write32');
    expect(writes?.map(({ name, before, after }) => ({ name, before, after }))).to.deep.equal([
      { name: 'total', before: 0, after: 1 },
      { name: 'total', before: undefined, after: undefined },
    ]);
    expect(failure?.trace.actors.slice(0, 2)).to.deep.equal(['vCPU 0', 'vCPU 1']);
  });

  it('proves the atomic form under both memory models', async () => {
    for (const memoryModel of ['sc', 'tso'] as const) {
      const result = await explore(counter, { args: { atomic: true }, memoryModel });
      result.assertHeld();
      expect(result).to.include({ complete: true, incomplete: null, executions: 2, blocked: 0 });
      expect(result.outcomes.map(({ results }) => results)).to.have.deep.members([
        [0, 1],
        [1, 0],
      ]);
    }
  });

  it('reports the labels reached', async () => {
    expect((await explore(counter)).covered).to.include('first');
  });

  it('tells declared labels that nothing reached from those that something did', async () => {
    const marked = defineScenario({ name: 'marked', covers: ['a', 'b'], guest: (vcpu) => vcpu.cover('a') });
    expect(await explore(marked)).to.deep.include({ covered: ['a'], uncovered: ['b'], failure: null });
  });

  it('fails a guest that marks a label its scenario does not declare', async () => {
    const marked = defineScenario({ name: 'mistyped', covers: ['retry'], guest: (vcpu) => vcpu.cover('retyr') });
    const { failure } = await explore(marked);
    expect(failure).to.include({ kind: 'crash', actor: 'vCPU 0' });
    expect(failure?.message).to.equal("vcpu.cover('retyr'): not among the scenario's covers: retry");
  });

  it('estimates what is left of a search that was cut short', async () => {
    const adders = defineScenario({
      name: 'adders',
      vcpus: 3,
      words: { x: 0 },
      guest(vcpu) {
        for (let add = 0; add < 3; add++) vcpu.words.x.add(1);
      },
    });
    for (const strategy of ['dpor', 'dfs'] as const) {
      const { estimate } = await explore(adders, { strategy, maxExecutions: 800 });
      expect(estimate?.bound).to.equal(strategy === 'dpor' ? 'at least' : 'about');
      expect(estimate?.explored).to.be.within(0, 1);
      // There are 1680 traces.
      if (strategy === 'dpor') expect(estimate?.executionsLeft).to.be.within(100, 880);
    }
    expect((await explore(adders)).estimate).to.equal(null);
    expect((await explore(adders, { strategy: 'pct', maxExecutions: 10 })).estimate).to.equal(null);
  });

  for (const strategy of ['dfs', 'random', 'pct', 'pos'] as const) {
    it(`finds the lost update with ${strategy}`, async () => {
      const { failure } = await explore(counter, { strategy, maxExecutions: 1000 });
      expect(failure).to.include({ kind: 'assertion', preemptions: 1 });
    });
  }

  it('explores hypercalls, sleep and upcalls of the real hypervisor to the end', async () => {
    for (const memoryModel of ['sc', 'tso'] as const) {
      const result = await explore(wakeUp, { memoryModel });
      result.assertHeld();
      expect(result.complete).to.equal(true);
      expect(result.blocked).to.equal(0);
      expect(result.outcomes.map(({ results }) => results)).to.deep.equal([[1, undefined]]);
    }
  });

  it('reports a wake-up that never comes as a deadlock, and who sleeps in what', async () => {
    const asleep = defineScenario({
      name: 'asleep',
      guest(vcpu) {
        vcpu.onUpcall(() => {});
        vcpu.block();
      },
    });
    const { failure } = await explore(asleep);
    expect(failure).to.include({ kind: 'deadlock', actor: 'vCPU 0', preemptions: 0 });
    expect(failure?.message).to.include('vCPU 0 is blocked in SCHEDOP_block');
  });

  it('lets time pass for timers: a single-shot timer ends the sleep', async () => {
    const timer = defineScenario({
      name: 'timer',
      guest(vcpu) {
        let ticks = 0;
        vcpu.onUpcall(() => {
          vcpu.info.evtchn_upcall_pending.write(0);
          vcpu.info.evtchn_pending_sel.lo.exchange(0);
          vcpu.sharedInfo.evtchn_pending.word(0).exchange(0);
          ticks++;
        });
        vcpu.hypercall.evtchn.bindVirq(0, 0);
        vcpu.hypercall.timer.setTimerOp(vcpu.now() + 1000);
        while (ticks === 0) vcpu.block();
        vcpu.assert(vcpu.now() >= 1000, 'the clock has moved');
        return ticks;
      },
    });
    const result = await explore(timer);
    result.assertHeld();
    expect(result.complete).to.equal(true);
  });

  it('runs devices as actors', async () => {
    const device = defineScenario({
      name: 'device',
      words: { seen: 0 },
      devices: { writer: (self) => self.domain.words.seen.store(1) },
      guest: (vcpu) => vcpu.words.seen.load(),
    });
    const result = await explore(device);
    expect(result.complete).to.equal(true);
    expect(result.outcomes.map(({ results }) => results[0])).to.have.members([0, 1]);
  });

  it('says of a deadlock which hardware was cut off before it', async () => {
    const { failure } = await explore(path.join(__dirname, '../../examples/pirq-nic.ts'), {
      args: { packets: 20 },
      hardwareSteps: 4,
      strategy: 'random',
      maxExecutions: 1,
    });
    expect(failure?.message).to.match(/; device nic might have: cut off after its share \(limit: hardwareSteps\)$/);
  });

  it('reports a livelock past maxSteps', async () => {
    const endless = defineScenario({
      name: 'endless',
      words: { x: 0 },
      guest(vcpu) {
        for (;;) vcpu.words.x.add(1);
      },
    });
    const { failure } = await explore(endless, { maxSteps: 200 });
    expect(failure).to.include({ kind: 'livelock', message: 'no end after 200 steps (limit: maxSteps)' });
  });

  it('ends when its signal says so, and tells why it is not complete', async () => {
    const long = defineScenario({
      name: 'long',
      vcpus: 4,
      words: { x: 0 },
      guest(vcpu) {
        for (let i = 0; i < 8; i++) vcpu.words.x.add(1);
      },
    });
    const controller = new AbortController();
    const result = await explore(long, {
      signal: controller.signal,
      onProgress: ({ executions }) => {
        if (executions > 0) controller.abort();
      },
    });
    expect(result).to.include({ complete: false, incomplete: 'the search was interrupted', failure: null });
  });

  it('never calls sampling complete', async () => {
    const result = await explore(counter, { args: { atomic: true }, strategy: 'random', maxExecutions: 50 });
    expect(result).to.include({ complete: false, executions: 50 });
  });

  it('refuses unknown strategies, models and limits in one line', async () => {
    for (const options of [{ strategy: 'magic' }, { memoryModel: 'arm' }, { maxExecutions: 0 }, { seed: -1 }]) {
      const error = await rejection(explore(counter, options as never));
      expect(error).to.be.instanceOf(ExploreOptionError);
      expect(error.message).to.not.include('\n');
    }
  });

  describe('with guests that break the rules', () => {
    it('finds a guest that uses Math.random', async () => {
      const dice = defineScenario({
        name: 'dice',
        vcpus: 2,
        words: { x: 0 },
        guest(vcpu) {
          for (let i = 0; i < 4; i++) vcpu.words.x.add(Math.floor(Math.random() * 1e9));
        },
      });
      const { failure } = await explore(dice, { strategy: 'random', maxExecutions: 200 });
      expect(failure?.kind).to.equal('nondeterminism');
      expect(failure?.message).to.match(/add32 .* operand/);
    });

    it('says so when a guest returns a promise', async () => {
      const later = defineScenario({ name: 'later', guest: async () => 1 });
      const { failure } = await explore(later);
      expect(failure?.message).to.include('promise');
    });

    it('reports what a guest throws as a crash', async () => {
      const thrower = defineScenario({
        name: 'thrower',
        guest() {
          throw new TypeError('oh');
        },
      });
      expect((await explore(thrower)).failure).to.include({ kind: 'crash', message: 'oh', actor: 'vCPU 0' });
    });
  });
});

describe('replay', () => {
  it('refuses what is no token, is cut off, or belongs to another scenario', async () => {
    const token = (await explore(counter)).failure?.token as string;
    for (const bad of ['', 'hello', token.slice(0, -3), `${token}x`, token.replace('u1', 'u9')]) {
      expect(await rejection(replay(counter, bad)), bad).to.be.instanceOf(TokenError);
    }
    expect((await rejection(replay(wakeUp, token))).message).to.include('another scenario');
    expect((await rejection(replay(counter, token, { args: { atomic: true } }))).message).to.include('other args');
  });
});
