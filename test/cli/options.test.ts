import { expect } from 'chai';
import { Command, InvalidArgumentError } from 'commander';
import {
  addScenarioOptions,
  addSeedOption,
  integerBetween,
  integerFrom,
  parseAbi,
  parseArgs,
  parseDurationMs,
  parseSeed,
  parseVcpus,
} from '../../lib/cli/options';

const NOT_NUMBERS = ['', ' ', 'x', '-1', '1.5', '1e3', '0x', '12 ', 'NaN', 'Infinity', '９'];

function expectRefusal(parse: (text: string) => unknown, texts: readonly string[], message: string): void {
  for (const text of texts) expect(() => parse(text), `'${text}'`).to.throw(InvalidArgumentError, message);
}

describe('option parsers', () => {
  it('take 1 to 128 vCPUs', () => {
    expect(['1', '128', '0x10'].map(parseVcpus)).to.deep.equal([1, 128, 16]);
    expectRefusal(parseVcpus, ['0', '129', '5000', ...NOT_NUMBERS], 'It must be a whole number from 1 to 128.');
  });

  it('take seeds of 32 bits', () => {
    expect(['0', '4294967295', '0xffffffff'].map(parseSeed)).to.deep.equal([0, 4294967295, 4294967295]);
    expectRefusal(parseSeed, ['4294967296', ...NOT_NUMBERS], 'from 0 to 4294967295');
  });

  it('take whole numbers within their bounds', () => {
    expect(integerFrom(1)('9007199254740991')).to.equal(Number.MAX_SAFE_INTEGER);
    expectRefusal(integerFrom(1), ['0', '9007199254740993', ...NOT_NUMBERS], 'It must be a whole number at least 1.');
    expectRefusal(integerBetween(2, 3), ['1', '4'], 'from 2 to 3');
  });

  it('take the names of ABIs', () => {
    expect(parseAbi('arm32')).to.equal('arm32');
    expectRefusal(parseAbi, ['', 'x86', 'toString'], 'It must be one of x86_64, x86_32, arm64, arm32.');
  });

  it('take JSON', () => {
    expect(parseArgs('{"rounds":3}')).to.deep.equal({ rounds: 3 });
    expect(parseArgs('null')).to.equal(null);
    expectRefusal(parseArgs, ['', '{rounds:3}', "{'a':1}"], 'It must be JSON');
  });

  it('take durations above 0, in seconds where there is no unit', () => {
    expect(['500ms', '30s', '1.5m', '2h', '3'].map(parseDurationMs)).to.deep.equal([500, 30_000, 90_000, 7.2e6, 3000]);
    expectRefusal(
      parseDurationMs,
      ['0', '0s', '-1s', '1d', 's', '1 s', '', `${'9'.repeat(400)}h`],
      'a duration such as',
    );
  });
});

describe('shared options', () => {
  function parse(...args: string[]): object {
    const command = addSeedOption(addScenarioOptions(new Command())).exitOverride();
    command.configureOutput({ outputError: () => {} });
    return command.parse(args, { from: 'user' }).opts();
  }

  it('arrive parsed', () => {
    expect(parse('--vcpus', '4', '--args', '[1]', '--abi', 'arm64', '--seed', '7')).to.deep.equal({
      vcpus: 4,
      args: [1],
      abi: 'arm64',
      seed: 7,
    });
    expect(parse()).to.deep.equal({});
  });

  it('name the option and what was given when it is wrong', () => {
    expect(() => parse('--vcpus', '5000')).to.throw(
      "option '--vcpus <n>' argument '5000' is invalid. It must be a whole number from 1 to 128.",
    );
  });
});
