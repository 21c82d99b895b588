import { expect } from 'chai';
import { Op } from '../../../lib/engine/inline/ops';
import {
  AccessRecorder,
  createAccessLog,
  type LoggedAccess,
  RING_RECORDS,
  readAccessLogs,
} from '../../../lib/engine/threads/record/access-log';

const WORD = 0x3000;

function recorded(vcpus: number, work: (...recorders: AccessRecorder[]) => void) {
  const buffer = createAccessLog(vcpus);
  const recorders = Array.from({ length: vcpus }, (_, slot) => new AccessRecorder(buffer, slot));
  for (const recorder of recorders) recorder.restart();
  work(...recorders);
  return readAccessLogs(buffer);
}

function read(recorder: AccessRecorder, value: number, address = WORD): void {
  recorder.begin();
  recorder.note(Op.LOAD32, address, 0, 0, value);
}

function write(recorder: AccessRecorder, value: number): void {
  recorder.begin();
  recorder.note(Op.STORE32, WORD, value, 0, 0);
}

const brief = ({ kind, result, operand, count }: LoggedAccess) =>
  kind === Op.RELAX ? `relax × ${count}` : kind === Op.STORE32 ? `store ${operand}` : `load ${result}`;

describe('the access log', () => {
  it('keeps what each vCPU did, in order, on one clock', () => {
    const [one, two] = recorded(2, (a, b) => {
      write(a!, 1);
      read(b!, 1);
      write(b!, 2);
      read(a!, 2);
    });
    expect(one?.accesses.map(brief)).to.deep.equal(['store 1', 'load 2']);
    expect(two?.accesses.map(brief)).to.deep.equal(['load 1', 'store 2']);
    expect([...one!.accesses, ...two!.accesses].map(({ tick }) => tick)).to.deep.equal([1, 4, 2, 3]);
  });

  it('keeps the newest records, and tells how many are missing', () => {
    const [log] = recorded(1, (recorder) => {
      for (let i = 0; i < RING_RECORDS + 10; i++) write(recorder!, i);
    });
    expect(log?.missing).to.equal(10);
    expect(log?.accesses).to.have.length(RING_RECORDS);
    expect(log?.accesses[0]?.operand).to.equal(10);
    expect(log?.accesses.at(-1)?.operand).to.equal(RING_RECORDS + 9);
  });

  it('counts the turns of a loop that reads the same again and again', () => {
    const [log] = recorded(1, (recorder) => {
      for (let turn = 0; turn < 50; turn++) {
        read(recorder!, 0);
        read(recorder!, 7, WORD + 4);
        recorder!.relax();
      }
      read(recorder!, 1);
    });
    expect(log?.accesses.map(brief)).to.deep.equal(['load 0', 'load 7', 'relax × 50', 'load 1']);
  });

  it('keeps every turn that differs, or writes', () => {
    const [log] = recorded(1, (recorder) => {
      for (const value of [0, 0, 1, 1]) {
        read(recorder!, value);
        recorder!.relax();
      }
      for (let turn = 0; turn < 2; turn++) {
        write(recorder!, 5);
        recorder!.relax();
      }
    });
    const turns = ['load 0', 'relax × 2', 'load 1', 'relax × 2', 'store 5', 'relax × 1', 'store 5', 'relax × 1'];
    expect(log?.accesses.map(brief)).to.deep.equal(turns);
  });

  it('begins anew with each iteration', () => {
    const [log] = recorded(1, (recorder) => {
      write(recorder!, 1);
      recorder!.restart();
      write(recorder!, 2);
    });
    expect(log?.accesses.map(brief)).to.deep.equal(['store 2']);
  });
});
