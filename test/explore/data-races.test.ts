import { expect } from 'chai';
import type { Vcpu } from '../../lib';
import { defineScenario } from '../../lib/engine/scenario';
import { ExploreOptionError, STRATEGIES } from '../../lib/explore/options';
import { replay } from '../../lib/explore/replay';
import { explore } from '../../lib/report/explore-result';
import handOver from './scenarios/hand-over';

/** vCPU 1 reads in its handler what vCPU 0 wrote before it sent the event. */
const byEvent = defineScenario({
  name: 'by-event',
  words: { data: 0 },
  args: { late: false },
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(1);
  },
  guests: [
    (vcpu: Vcpu) => {
      const { data } = vcpu.words;
      if (!vcpu.domain.args.late) data.write(7);
      vcpu.hypercall.evtchn.send(1);
      if (vcpu.domain.args.late) data.write(7);
    },
    (vcpu: Vcpu) => {
      let seen = -1;
      vcpu.onUpcall(() => {
        vcpu.info.evtchn_upcall_pending.write(0);
        seen = vcpu.words.data.read();
      });
      vcpu.block();
      return seen;
    },
  ],
});

/** Bytes of one word, an owner each; or one byte for both. */
const bytes = defineScenario({
  name: 'bytes',
  vcpus: 2,
  words: { flags: 0 },
  args: { apart: true },
  guest(vcpu: Vcpu) {
    const { address } = vcpu.words.flags;
    vcpu.memory.write8(address + (vcpu.domain.args.apart ? vcpu.id : 0), 1);
  },
});

/** Reads of a word that nobody writes while they may happen: the write comes before the vCPU is brought up. */
const broughtUp = defineScenario({
  name: 'brought-up',
  vcpus: 2,
  start: 'boot',
  words: { data: 0 },
  guest(vcpu: Vcpu) {
    const { data } = vcpu.words;
    if (vcpu.id === 0) {
      data.write(1);
      vcpu.hypercall.vcpu.initialise(1);
      vcpu.hypercall.vcpu.up(1);
    }
    return data.read();
  },
});

for (const memoryModel of ['sc', 'tso'] as const) {
  describe(`explore for data races under ${memoryModel}`, () => {
    it('finds a hand-over by a plain flag, and names both accesses', async () => {
      const { failure } = await explore(handOver, { args: { atomic: false }, memoryModel, dataRaces: true });
      expect(failure?.kind).to.equal('data-race');
      expect(failure?.message).to.match(
        /^vCPU [01] (reads|writes) (data|flag) \(hand-over\.ts:\d+\), vCPU [01] (reads|writes) (data|flag) \(hand-over\.ts:\d+\), and nothing orders the two$/,
      );
    });

    it('lets a hand-over by an atomic flag pass', async () => {
      const result = await explore(handOver, { memoryModel, dataRaces: true });
      expect(result.failure).to.equal(null);
      expect(result.complete).to.equal(true);
    });

    it('takes an event to order its handler after its sender, and nothing after the send', async () => {
      const early = await explore(byEvent, { memoryModel, dataRaces: true });
      expect(early.failure).to.equal(null);
      expect(early.complete).to.equal(true);
      const late = await explore(byEvent, { memoryModel, dataRaces: true, args: { late: true } });
      expect(late.failure?.kind).to.equal('data-race');
    });

    it('tells bytes of one word apart', async () => {
      expect((await explore(bytes, { memoryModel, dataRaces: true })).failure).to.equal(null);
      const same = await explore(bytes, { memoryModel, dataRaces: true, args: { apart: false } });
      expect(same.failure?.kind).to.equal('data-race');
    });

    it('takes a vCPU that is brought up to come after what was done before', async () => {
      const result = await explore(broughtUp, { memoryModel, dataRaces: true });
      expect(result.failure).to.equal(null);
      expect(result.complete).to.equal(true);
    });

    for (const strategy of STRATEGIES) {
      it(`finds it by ${strategy}, and replays it`, async () => {
        const args = { atomic: false };
        const { failure } = await explore(handOver, {
          args,
          memoryModel,
          strategy,
          dataRaces: true,
          maxExecutions: 500,
        });
        expect(failure?.kind).to.equal('data-race');
        const replayed = await replay(handOver, failure?.token as string, { args });
        expect(replayed.followed).to.equal(true);
        expect(replayed.failure?.message).to.equal(failure?.message);
      });
    }

    it('replays it on threads', async () => {
      const args = { atomic: false };
      const { failure } = await explore(handOver, { args, memoryModel, dataRaces: true });
      const replayed = await replay(handOver, failure?.token as string, { args, engine: 'lockstep' });
      expect(replayed.failure?.message).to.equal(failure?.message);
    });

    it('finds it where hypercalls are atomic', async () => {
      const options = { memoryModel, dataRaces: true, hypercalls: 'atomic' } as const;
      expect((await explore(byEvent, options)).complete).to.equal(true);
      const late = await explore(byEvent, { ...options, args: { late: true } });
      expect(late.failure?.kind).to.equal('data-race');
    });
  });
}

describe('explore without dataRaces', () => {
  it('does not mind', async () => {
    expect((await explore(handOver, { args: { atomic: false } })).complete).to.equal(true);
  });

  it('refuses what is neither true nor false', async () => {
    const refused = await explore(handOver, { dataRaces: 1 as unknown as boolean }).catch((error: unknown) => error);
    expect(refused).to.be.an.instanceOf(ExploreOptionError);
    expect((refused as Error).message).to.equal('dataRaces must be true or false, not 1');
  });
});
