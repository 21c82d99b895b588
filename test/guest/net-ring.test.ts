import { expect } from 'chai';
import { NET_PROTOCOL, NET_RING_SIZE } from '../../lib/guest/net-ring';

describe('the ring of a network front end', () => {
  it('has as many entries as a page has room for, a power of two', () => {
    expect(NET_RING_SIZE).to.equal(256);
  });

  it('carries the structures of netif.h', () => {
    const { request, response } = NET_PROTOCOL;
    const offsets = Object.entries(request.fields).map(([name, { offset }]) => [name, offset]);
    expect(Object.fromEntries(offsets)).to.deep.equal({ gref: 0, offset: 4, flags: 6, id: 8, size: 10 });
    expect(request.size).to.equal(12);
    expect(response.fields.status?.offset).to.equal(2);
    expect(response.size).to.equal(4);
  });
});
