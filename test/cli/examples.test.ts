import { expect } from 'chai';
import { headline, shippedExample } from '../../lib/cli/examples';
import { upcall } from './run-cli';

describe('headline', () => {
  it('is the first sentence of the comment that opens a file', () => {
    expect(headline('/**\n * Two vCPUs ping\n * each other. More follows.\n *\n * Even more.\n */\ncode')).to.equal(
      'Two vCPUs ping each other',
    );
    expect(headline('/** One line, v1.2 of it, no stop */')).to.equal('One line, v1.2 of it, no stop');
    expect(headline('/**\n * Title\n *\n * Text.\n */')).to.equal('Title');
    expect(headline('/**\n * R01: a guest looks\n * once. More.\n */')).to.equal('R01: a guest looks once');
    expect(headline('/** Does it hold? Yes. */')).to.equal('Does it hold?');
  });

  it('is empty where no comment opens the file', () => {
    expect(headline('')).to.equal('');
    expect(headline('// Not this.\n/** Nor this. */')).to.equal('');
  });
});

describe('the name of a shipped example', () => {
  it('may leave out the folder', () => {
    const race = shippedExample('r14-check-then-block');
    expect(race).to.match(/examples.races.r14-check-then-block\.ts$/);
    expect(shippedExample('races/r14-check-then-block')).to.equal(race);
    expect(shippedExample('tour')).to.match(/examples.tour\.ts$/);
    expect(shippedExample('nosuch')).to.equal(undefined);
  });

  it('is taken by explore, and a name of none is answered with where to look', async () => {
    const { status, stdout } = await upcall('explore', 'r14-check-then-block', '--args', '{"variant":"fixed"}');
    expect({ status, stdout }).to.have.property('status', 0);
    for (const command of ['explore', 'run', 'stress', 'console']) {
      const refused = await upcall(command, 'nosuch');
      expect(refused, command).to.deep.equal({
        status: 2,
        stdout: '',
        stderr: 'upcall: no such scenario file: nosuch; upcall examples lists those that are shipped\n',
      });
    }
  });
});
