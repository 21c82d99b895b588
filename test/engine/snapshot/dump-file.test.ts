import { expect } from 'chai';
import { formatDump, makeDump } from '../../../lib/engine/snapshot/dump';
import { DumpError, parseDump } from '../../../lib/engine/snapshot/dump-file';

const failure = { kind: 'deadlock', message: 'nobody wakes it', vcpu: 1 };
const dump = makeDump({
  result: { scenario: 'x', engine: 'threads', seed: 5, failure, domains: [] },
  systemTime: 7,
  domains: [],
  lastAccesses: [{ domain: 'x', vcpu: 0, missing: 3, accesses: ['load32 port → 0'] }],
});
const text = formatDump(dump);

function refusal(of: string): string {
  try {
    parseDump(of, 'd.json');
    return 'taken';
  } catch (error) {
    expect(error).to.be.instanceOf(DumpError);
    return (error as Error).message;
  }
}

describe('the file of a dump', () => {
  it('is read as it was written', () => {
    expect(parseDump(text, 'd.json')).to.deep.equal(dump);
  });

  it('says first what it is', () => {
    expect(text).to.match(/^\{"format":"upcall-dump","version":1,/);
  });

  it('is refused with one line when it is something else', () => {
    for (const other of ['', 'hello', '[]', 'null', '17', '{"format":"other"}', '{}']) {
      expect(refusal(other), other)
        .to.match(/^d\.json is no dump of upcall/)
        .and.not.contain('\n');
    }
  });

  it('is refused when it was cut off, wherever', () => {
    for (const length of [40, text.length >> 1, text.length - 3]) {
      expect(refusal(text.slice(0, length))).to.equal('d.json is a dump that was cut off or damaged: it is not JSON');
    }
  });

  it('is refused with its version when that is another', () => {
    expect(refusal(text.replace('"version":1', '"version":2'))).to.equal(
      'd.json is a dump of version 2; this upcall reads version 1',
    );
    expect(refusal(text.replace('"version":1', '"version":"x"'))).to.contain('version unknown');
  });

  it('is refused with the place when a field is wrong', () => {
    expect(refusal(text.replace('"seed":5', '"seed":"five"'))).to.match(/^d\.json is damaged: seed: .*number/);
    expect(refusal(text.replace('"missing":3', '"missing":null'))).to.match(/damaged: lastAccesses\.0\.missing: /);
    expect(refusal(text.replace('"domains":[]', '"domains":[{}]'))).to.match(/damaged: domains\.0\.id: /);
  });

  it('may have fields that a later version adds', () => {
    expect(parseDump(text.replace('"seed":5', '"seed":5,"further":[1]'), 'd.json')).to.deep.equal(dump);
  });
});
