import { expect } from 'chai';
import fc from 'fast-check';
import { LineAssembler } from '../../lib/engine/threads/line-assembler';
import { createOutputRing, OutputRing, RecordKind } from '../../lib/engine/threads/output-ring';

const never = () => false;

describe('OutputRing', () => {
  it('hands over what was written, in order and whole, however often it wraps', () => {
    const ring = new OutputRing(createOutputRing());
    const record = fc.record({
      kind: fc.constantFrom(RecordKind.CONSOLE, RecordKind.LOG),
      domain: fc.integer({ min: -1, max: 40_000 }),
      vcpu: fc.nat(127),
      text: fc.uint8Array({ maxLength: 5000 }),
    });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 10 }), (records) => {
        for (const { kind, domain, vcpu, text } of records) ring.write(kind, domain, vcpu, text, () => {}, never);
        const seen: unknown[] = [];
        ring.drain((kind, domain, vcpu, text) => seen.push({ kind, domain, vcpu, text: [...text] }));
        expect(seen).to.deep.equal(records.map((each) => ({ ...each, text: [...each.text] })));
      }),
      { numRuns: 300, seed: 11 },
    );
  });

  it('pokes its reader once until the reader has looked', () => {
    const ring = new OutputRing(createOutputRing());
    let pokes = 0;
    const write = () => ring.write(RecordKind.LOG, 1, 0, Buffer.from('x'), () => pokes++, never);
    write();
    write();
    expect(pokes).to.equal(1);
    ring.drain(() => {});
    write();
    expect(pokes).to.equal(2);
  });

  it('lets a writer that has to leave give up when there is no room', () => {
    const ring = new OutputRing(createOutputRing());
    let given = 0;
    ring.write(
      RecordKind.LOG,
      1,
      0,
      new Uint8Array(200_000),
      () => {},
      () => ++given > 2,
    );
    expect(given).to.equal(3);
    let bytes = 0;
    ring.drain((_kind, _domain, _vcpu, text) => {
      bytes += text.length;
    });
    expect(bytes).to.be.within(40_000, 65_536);
  });
});

describe('LineAssembler', () => {
  it('makes lines of the pieces of each vCPU, wherever they were cut', () => {
    const text = fc.array(fc.string({ unit: fc.constantFrom('a', 'ü', '→', ' ') }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(text, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (lines, cuts) => {
        const seen: string[] = [];
        const assembler = new LineAssembler((domain, vcpu, line) => seen.push(`${domain}/${vcpu} ${line}`));
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = at + cuts[i % cuts.length]!;
          assembler.append(1, 0, bytes.subarray(at, end));
          assembler.append(1, 1, bytes.subarray(at, end));
          at = end;
        }
        for (const vcpu of [0, 1]) {
          const own = seen.filter((line) => line.startsWith(`1/${vcpu} `)).map((line) => line.slice(4));
          expect(own).to.deep.equal(lines);
        }
      }),
      { numRuns: 300, seed: 12 },
    );
  });

  it('passes on the last line without its newline, and lines that never end, in pieces', () => {
    const seen: number[] = [];
    const assembler = new LineAssembler((_domain, _vcpu, line) => seen.push(line.length));
    for (let i = 0; i < 40; i++) assembler.append(1, 0, new Uint8Array(1000).fill(65));
    assembler.flush();
    assembler.flush();
    expect(seen.reduce((sum, length) => sum + length, 0)).to.equal(40_000);
    expect(Math.max(...seen)).to.be.at.most(17_000);
  });
});
