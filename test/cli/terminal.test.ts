import { expect } from 'chai';
import { fitTo, painter, wantsColour } from '../../lib/cli/terminal';

const terminal = { isTTY: true, columns: 10 } as unknown as NodeJS.WriteStream;
const pipe = {} as unknown as NodeJS.WriteStream;

describe('output to a terminal', () => {
  const kept = { NO_COLOR: process.env.NO_COLOR, TERM: process.env.TERM };

  beforeEach(() => {
    delete process.env.NO_COLOR;
    process.env.TERM = 'xterm';
  });

  afterEach(() => {
    for (const [name, value] of Object.entries(kept)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  it('has colours, unless NO_COLOR is set or the terminal has none', () => {
    expect(wantsColour(terminal)).to.equal(true);
    expect(painter(terminal)('bold', 'x')).to.equal('\u001b[1mx\u001b[22m');
    process.env.NO_COLOR = '1';
    expect(wantsColour(terminal)).to.equal(false);
    expect(painter(terminal)('bold', 'x')).to.equal('x');
    process.env.NO_COLOR = '';
    expect(wantsColour(terminal)).to.equal(true);
    process.env.TERM = 'dumb';
    expect(wantsColour(terminal)).to.equal(false);
  });

  it('is cut to its width', () => {
    expect(fitTo(terminal, '1234567890')).to.equal('1234567890');
    expect(fitTo(terminal, '12345678901')).to.equal('123456789…');
  });

  it('to anything else is whole and plain', () => {
    expect(wantsColour(pipe)).to.equal(false);
    expect(fitTo(pipe, 'x'.repeat(500))).to.have.length(500);
  });
});
