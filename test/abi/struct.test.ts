import { expect } from 'chai';
import { structLayout } from '../../lib/abi';

describe('structLayout', () => {
  it('aligns each member and pads the end to the strictest', () => {
    const { size, align, fields } = structLayout('x86_64', 's', { a: 'uint8', b: 'uint64', c: 'uint16', d: 'uint8' });
    expect({ size, align }).to.deep.equal({ size: 24, align: 8 });
    expect(Object.values(fields).map(({ offset }) => offset)).to.deep.equal([0, 8, 16, 18]);
  });

  it('aligns 64-bit integers to 4 bytes on x86_32', () => {
    const { size, fields } = structLayout('x86_32', 's', { a: 'uint8', b: 'uint64' });
    expect(size).to.equal(12);
    expect(fields.b?.offset).to.equal(4);
  });

  it('makes words of the ABI as wide as the ABI has them', () => {
    const members = { a: 'xen_ulong', b: 'unsigned_long', c: 'xen_pfn', d: 'guest_handle' } as const;
    const sizes = (abi: 'x86_64' | 'x86_32' | 'arm64' | 'arm32') =>
      Object.values(structLayout(abi, 's', members).fields).map(({ size }) => size);
    expect(sizes('x86_64')).to.deep.equal([8, 8, 8, 8]);
    expect(sizes('x86_32')).to.deep.equal([4, 4, 4, 4]);
    expect(sizes('arm64')).to.deep.equal([8, 8, 8, 8]);
    expect(sizes('arm32')).to.deep.equal([8, 4, 8, 8]);
  });

  it('lays the members of a union over each other and names them with dots', () => {
    const { size, fields } = structLayout('x86_64', 's', {
      tag: 'uint8',
      u: { union: { pair: { struct: { x: 'uint16', y: 'uint32' } }, one: 'uint8' } },
    });
    expect(size).to.equal(12);
    expect(fields).to.deep.equal({
      tag: { offset: 0, size: 1, type: 'uint8' },
      u: { offset: 4, size: 8, type: 'union' },
      'u.pair.x': { offset: 4, size: 2, type: 'uint16' },
      'u.pair.y': { offset: 8, size: 4, type: 'uint32' },
      'u.one': { offset: 4, size: 1, type: 'uint8' },
    });
  });

  it('repeats nested structures at their own size', () => {
    const inner = structLayout('x86_64', 'inner', { a: 'uint32', b: 'uint8' });
    const { size, fields } = structLayout('x86_64', 's', { list: { type: 'struct inner', count: 3 } }, { inner });
    expect(size).to.equal(24);
    expect(fields.list).to.deep.equal({
      offset: 0,
      size: 24,
      type: 'struct inner',
      count: 3,
      stride: 8,
      layout: inner,
    });
  });

  it('leaves out members that the ABI does not have', () => {
    const members = { a: { type: 'uint32', only: ['arm64'] }, b: 'uint8' } as const;
    expect(structLayout('x86_64', 's', members)).to.deep.include({ size: 1, align: 1 });
    expect(structLayout('arm64', 's', members)).to.deep.include({ size: 8, align: 4 });
  });

  it('gives a flexible array no size, and an opaque union that of its scalar', () => {
    const { size, fields } = structLayout('x86_32', 's', { a: { opaque: 'uint64' }, rest: { flexible: 'entry' } });
    expect(size).to.equal(8);
    expect(fields.a).to.deep.equal({ offset: 0, size: 8, type: 'union' });
    expect(fields.rest).to.deep.equal({ offset: 8, size: 0, type: 'entry', flexible: true });
  });

  it('throws when a nested structure was not declared', () => {
    expect(() => structLayout('x86_64', 's', { a: { type: 'struct missing' } })).to.throw('struct missing');
  });
});
