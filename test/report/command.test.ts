import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { quote, replayCommand } from '../../lib/report/command';
import { formatTraceFile, parseTraceFile, TraceFileError } from '../../lib/report/trace-file';

describe('the command that replays', () => {
  it('repeats the options given, quoted for a shell', () => {
    const setting = { vcpus: 3, abi: 'x86_32', args: { who: "it's $HOME" }, memoryModel: 'tso', maxSteps: 50 } as const;
    expect(replayCommand('my race.ts', setting, 'u1-x')).to.equal(
      `upcall replay 'my race.ts' --vcpus 3 --abi x86_32 --args '{"who":"it'\\''s $HOME"}' --memory-model tso --max-steps 50 u1-x`,
    );
    expect(replayCommand('race.ts', {}, 'u1-x')).to.equal('upcall replay race.ts u1-x');
  });

  it('is read back by a shell word for word', () => {
    for (const word of ['plain', '', 'two words', "'", `"$(echo no)"\\`, '{"a":[1]}', 'é*?~']) {
      expect(execFileSync('sh', ['-c', `printf %s ${quote(word)}`], { encoding: 'utf8' })).to.equal(word);
    }
  });
});

describe('a trace file', () => {
  const trace = {
    version: 1,
    scenario: 's',
    memoryModel: 'sc',
    actors: [],
    steps: [],
    lastMarks: {},
    waits: [],
    failure: null,
  };
  const text = formatTraceFile({ trace, token: 'u1-abc' }, { vcpus: 2 });

  it('is one line of JSON that gives trace, token and options back', () => {
    expect(text).to.match(/^\{"format":"upcall-trace","version":1,.*\}\n$/);
    const expected = { format: 'upcall-trace', ...trace, token: 'u1-abc', options: { vcpus: 2 } };
    expect(parseTraceFile(text, 'f')).to.deep.equal(expected);
  });

  it('that is cut off, something else, or of another version is refused with a line that says which', () => {
    expect(() => parseTraceFile(text.slice(0, 50), 'f.json')).to.throw(
      TraceFileError,
      /^f\.json is cut off or damaged: /,
    );
    expect(() => parseTraceFile('[1]', 'f.json')).to.throw(TraceFileError, /^f\.json is no trace: /);
    expect(() => parseTraceFile('null', 'f.json')).to.throw(TraceFileError, /^f\.json is no trace: /);
    const later = text.replace('"version":1', '"version":2');
    expect(() => parseTraceFile(later, 'f.json')).to.throw(TraceFileError, /^f\.json has version 2 .* reads 1$/);
    const headless = text.replace('"token"', '"tok"');
    expect(() => parseTraceFile(headless, 'f.json')).to.throw(TraceFileError, /^f\.json is damaged: /);
  });
});
