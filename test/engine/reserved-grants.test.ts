/** What the toolstack tells Domain-0 and dumps of the pages that domains share with services. */
import { expect } from 'chai';
import { ABI_NAMES, DOMID_SELF, GNTMAP, GTF } from '../../lib/abi';
import type { Dump } from '../../lib/engine/snapshot/dump-file';
import { runOnce } from '../../lib/explore/run-once';
import { defineScenario } from '../../lib/index';

const scenario = (services: object, fail = false) =>
  defineScenario({
    name: 'reserved-grants',
    ...services,
    domains: {
      first: {
        guest(vcpu) {
          const [table = 0] = vcpu.hypercall.grant.setupTable(DOMID_SELF, 1);
          vcpu.assert(!fail, 'as it was told');
          return [0, 1, 2].map((ref) => [0, 4].map((offset) => vcpu.memory.read32(table * 4096 + ref * 8 + offset)));
        },
      },
      second: { guest: () => 0 },
    },
  });

describe('the reserved entries of a grant table', () => {
  for (const abi of ABI_NAMES) {
    it(`grant Domain-0 the pages of console and xenstore: ${abi}`, async () => {
      const run = async (services: object) => {
        const result = await runOnce(scenario(services), { engine: 'inline', abi });
        expect(result.failure).to.equal(null);
        return result.domains[0]?.vcpus[0]?.result;
      };
      const granted = (frame: number) => [GTF.GTF_permit_access, frame];
      const none = [0, 0];
      expect(await run({})).to.deep.equal([none, none, none]);
      expect(await run({ xenstore: true })).to.deep.equal([none, granted(3), none]);
      expect(await run({ console: true })).to.deep.equal([granted(3), none, none]);
      expect(await run({ xenstore: true, console: true })).to.deep.equal([granted(4), granted(3), none]);
    });
  }

  it('are for Domain-0 alone, and not marked while nobody maps them', async () => {
    const mapping = defineScenario({
      name: 'mapping',
      xenstore: true,
      guest(vcpu) {
        const { grant } = vcpu.hypercall;
        const [table = 0] = grant.setupTable(DOMID_SELF, 1);
        expect(() =>
          grant.mapGrantRef(vcpu.domain.grantWindow.address, GNTMAP.GNTMAP_host_map, 1, vcpu.domain.id),
        ).to.throw('GNTST_general_error');
        return vcpu.memory.read32(table * 4096 + 8);
      },
    });
    const { failure, domains } = await runOnce(mapping, { engine: 'inline' });
    expect(failure).to.equal(null);
    expect(domains[0]?.vcpus[0]?.result).to.equal(GTF.GTF_permit_access);
  });

  it('lead to pages whose rings are in the dump of each domain, and not of Domain-0', async () => {
    const dumps: Dump[] = [];
    const onDump = (dump: Dump) => dumps.push(dump);
    await runOnce(scenario({ xenstore: true, console: true }, true), { engine: 'inline', onDump });
    const pages = dumps[0]?.domains.map(({ servicePages }) =>
      servicePages?.map(({ service, address }) => [service, address]),
    );
    const both = [
      ['xenstore', 0x3000],
      ['console', 0x4000],
    ];
    expect(pages).to.deep.equal([both, both, undefined]);
  });
});
