import { expect } from 'chai';
import { ABI_NAMES, layoutOf } from '../../lib/abi';
import { structLayout } from '../../lib/abi/struct';
import { BackRing, FrontRing, RingError, ringSize } from '../../lib/guest/ring';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';

const ECHO = {
  request: structLayout('x86_64', 'echo_request', { id: 'uint16', value: 'uint64' }),
  response: structLayout('x86_64', 'echo_response', { id: 'uint16', value: 'uint64' }),
};
/** Four entries. */
const BYTES = 64 + 4 * 16;
const PAGE = 0x1000;

function ends(start = 0) {
  const memory = new AtomicsMemory(new SharedArrayBuffer(0x3000));
  const front = new FrontRing(memory, PAGE, 0x100, ECHO, BYTES);
  const back = new BackRing(memory, PAGE, 0x200, ECHO, BYTES);
  front.initialise();
  back.attach();
  for (const index of [PAGE, PAGE + 8, 0x100, 0x104, 0x200, 0x204]) memory.write32(index, start);
  for (const event of [PAGE + 4, PAGE + 12]) memory.write32(event, start + 1);
  return { memory, front, back };
}

describe('a ring', () => {
  it('has as many entries as a power of two that fits the page', () => {
    for (const abi of ABI_NAMES) {
      const block = { request: layoutOf(abi, 'blkif_request'), response: layoutOf(abi, 'blkif_response') };
      expect(ringSize(block)).to.equal(32);
    }
    expect(ringSize(ECHO, BYTES)).to.equal(4);
  });

  for (const start of [0, 0xfffffffe]) {
    it(`carries values both ways, indices from ${start} on`, () => {
      const { front, back } = ends(start);
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < 4; i++) front.putRequest({ id: i, value: round * 2 ** 33 + i });
        expect(front.free).to.equal(0);
        expect(() => front.putRequest({ id: 9, value: 9 })).to.throw(RingError, 'full');
        expect(back.unconsumedRequests()).to.equal(0);
        front.pushRequests();
        expect(back.unconsumedRequests()).to.equal(4);
        for (let i = 0; i < 4; i++) back.putResponse({ ...back.takeRequest(), id: i + 10 });
        expect(() => back.putResponse({ id: 0, value: 0 })).to.throw(RingError);
        expect(front.unconsumedResponses()).to.equal(0);
        back.pushResponses();
        const taken = Array.from({ length: front.unconsumedResponses() }, () => front.takeResponse());
        expect(taken).to.deep.equal([0, 1, 2, 3].map((i) => ({ id: i + 10, value: round * 2 ** 33 + i })));
      }
    });

    it(`asks for an event only when the other end waits for one, indices from ${start} on`, () => {
      const { front, back } = ends(start);
      front.putRequest({ id: 1, value: 1 });
      expect(front.pushRequests(), 'the first').to.equal(true);
      front.putRequest({ id: 2, value: 2 });
      expect(front.pushRequests(), 'the back end has not slept since').to.equal(false);
      back.takeRequest();
      expect(back.finalCheckForRequests(), 'one is left').to.equal(true);
      back.takeRequest();
      expect(back.finalCheckForRequests()).to.equal(false);
      front.putRequest({ id: 3, value: 3 });
      expect(front.pushRequests(), 'the back end sleeps').to.equal(true);
      back.putResponse({ id: 1, value: 0 });
      expect(back.pushResponses()).to.equal(true);
      front.takeResponse();
      expect(front.finalCheckForResponses()).to.equal(false);
      back.putResponse({ id: 2, value: 0 });
      expect(back.pushResponses()).to.equal(true);
    });

    it(`believes no index that cannot be, indices from ${start} on`, () => {
      const { memory, front, back } = ends(start);
      memory.write32(PAGE, start + 5);
      expect(() => back.unconsumedRequests()).to.throw(RingError, 'more requests than entries');
      memory.write32(PAGE, start - 1);
      expect(() => back.unconsumedRequests()).to.throw(RingError);
      memory.write32(PAGE + 8, start + 1);
      expect(() => front.unconsumedResponses()).to.throw(RingError, 'more responses than requests');
      memory.write32(PAGE + 8, start - 1);
      expect(() => front.finalCheckForResponses()).to.throw(RingError);
    });
  }

  it('reads each byte of a request once', () => {
    const reads = new Map<number, number>();
    class Counting extends AtomicsMemory {
      override read8(address: number): number {
        reads.set(address, (reads.get(address) ?? 0) + 1);
        return super.read8(address);
      }
      override read32(address: number): number {
        for (let i = 0; i < 4; i++) reads.set(address + i, (reads.get(address + i) ?? 0) + 1);
        return super.read32(address);
      }
    }
    const memory = new Counting(new SharedArrayBuffer(0x3000));
    const layout = layoutOf('x86_64', 'blkif_request');
    const protocol = { request: layout, response: layoutOf('x86_64', 'blkif_response') };
    const front = new FrontRing(memory, PAGE, 0x100, protocol);
    const back = new BackRing(memory, PAGE, 0x200, protocol);
    front.initialise();
    const seg = Array.from({ length: 11 }, (_, i) => ({ gref: 100 + i, first_sect: 0, last_sect: 7 }));
    const request = { operation: 1, nr_segments: 11, handle: 51712, id: 2 ** 40 + 3, sector_number: 8, seg };
    front.putRequest(request);
    front.pushRequests();
    expect(back.unconsumedRequests()).to.equal(1);
    reads.clear();
    expect(back.takeRequest()).to.deep.equal(request);
    const entry = [...reads].filter(([address]) => address >= PAGE + 64);
    expect(entry.every(([, count]) => count === 1)).to.equal(true);
  });
});
