/** The campaigns in their short form. Those of `npm run long` are the same ones, at length. */
import { expect } from 'chai';
import { shutdownPool } from '../../lib/engine/threads';
import { allCampaigns } from './campaign';

describe('the campaigns', () => {
  after(() => shutdownPool());

  it('have names of their own, and say what they do', () => {
    const campaigns = allCampaigns();
    expect(new Set(campaigns.map(({ name }) => name)).size).to.equal(campaigns.length);
    for (const { describe: text, name } of campaigns) expect(text, name).to.be.a('string').and.not.equal('');
  });

  for (const campaign of allCampaigns()) {
    it(`hold in short: ${campaign.describe} (${campaign.name})`, async () => {
      const { signal } = new AbortController();
      const figures = await campaign.run({ seed: 20_261_128, scale: 'short', signal, progress: () => {} });
      expect(Object.keys(figures)).to.not.deep.equal([]);
    });
  }
});
