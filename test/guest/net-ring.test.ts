import { expect } from 'chai';
import {
  initialiseNetRing,
  NET_RING_SIZE,
  NetRequests,
  type NetResponse,
  NetResponses,
  NetRingError,
} from '../../lib/guest/net-ring';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';

// Offsets in struct sring.
const REQ_PROD = 0;
const RSP_PROD = 8;

const PAGE = 0;

function ring() {
  const memory = new AtomicsMemory(new SharedArrayBuffer(4096));
  initialiseNetRing(memory, PAGE);
  return { memory, front: new NetRequests(memory, PAGE), back: new NetResponses(memory, PAGE) };
}

const request = () => ({ gref: 0, offset: 0, id: 0, size: 0 });
const response = (): NetResponse => ({ id: 0, status: 0 });

describe('the ring of a network front end', () => {
  it('has as many entries as a page has room for, a power of two', () => {
    expect(NET_RING_SIZE).to.equal(256);
  });

  it('passes requests there and responses back, in order, round the ring', () => {
    const { front, back } = ring();
    for (let n = 0; n < 3 * NET_RING_SIZE; n++) {
      front.put({ gref: 0xfffffff0 + (n & 15), offset: 4095, id: n & 0xffff, size: 0xffff });
      front.publish();
      const taken = request();
      expect(back.take(taken)).to.equal(true);
      expect(taken).to.deep.equal({ gref: 0xfffffff0 + (n & 15), offset: 4095, id: n & 0xffff, size: 0xffff });
      expect(back.take(taken)).to.equal(false);
      back.put({ id: taken.id, status: 0 - (n & 1) });
      back.publish();
      const answer = response();
      expect(front.take(answer)).to.equal(true);
      expect(answer).to.deep.equal({ id: n & 0xffff, status: 0 - (n & 1) });
      expect(front.outstanding).to.equal(0);
    }
  });

  it('asks for an event only when the other side has said that it sleeps', () => {
    const { front, back } = ring();
    const send = () => {
      front.put({ gref: 1, offset: 0, id: 0, size: 1 });
      return front.publish();
    };
    expect(send()).to.equal(true);
    expect(send()).to.equal(false);
    const taken = request();
    while (back.take(taken));
    expect(back.awaitRequest()).to.equal(false);
    expect(send()).to.equal(true);
    expect(send()).to.equal(false);
    expect(back.awaitRequest(), 'the final check').to.equal(true);
  });

  it('covers several entries that are published at once', () => {
    const { front, back } = ring();
    front.put({ gref: 1, offset: 0, id: 1, size: 1 });
    front.put({ gref: 2, offset: 0, id: 2, size: 1 });
    expect(front.publish()).to.equal(true);
    expect(back.take(request())).to.equal(true);
    back.put({ id: 1, status: 0 });
    expect(back.publish()).to.equal(true);
    front.take(response());
    expect(front.awaitResponse()).to.equal(false);
    back.take(request());
    back.put({ id: 2, status: 0 });
    expect(back.publish()).to.equal(true);
    expect(front.awaitResponse()).to.equal(true);
  });

  it('refuses more requests than entries', () => {
    for (const index of [NET_RING_SIZE + 1, -1, 0x80000000]) {
      const { memory, back } = ring();
      memory.write32(PAGE + REQ_PROD, index);
      expect(() => back.take(request())).to.throw(NetRingError);
    }
  });

  it('refuses more responses than requests', () => {
    for (const index of [2, -1, 0x80000000]) {
      const { memory, front } = ring();
      front.put({ gref: 1, offset: 0, id: 1, size: 1 });
      front.publish();
      memory.write32(PAGE + RSP_PROD, index);
      expect(() => front.take(response())).to.throw(NetRingError);
    }
  });
});
