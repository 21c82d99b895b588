import { expect } from 'chai';
import { headline } from '../../lib/cli/examples';

describe('headline', () => {
  it('is the first sentence of the comment that opens a file', () => {
    expect(headline('/**\n * Two vCPUs ping\n * each other. More follows.\n *\n * Even more.\n */\ncode')).to.equal(
      'Two vCPUs ping each other',
    );
    expect(headline('/** One line, v1.2 of it, no stop */')).to.equal('One line, v1.2 of it, no stop');
    expect(headline('/**\n * Title\n *\n * Text.\n */')).to.equal('Title');
    expect(headline('/** Does it hold? Yes. */')).to.equal('Does it hold?');
  });

  it('is empty where no comment opens the file', () => {
    expect(headline('')).to.equal('');
    expect(headline('// Not this.\n/** Nor this. */')).to.equal('');
  });
});
