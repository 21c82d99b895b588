/**
 * A domain grants a frame, another maps it, and both count in it by turns. `does`: how the other one goes wrong instead. The
 * reference is the first that is not the toolstack's.
 */
import { defineScenario } from 'upcall';
import {
  copyFromGrant,
  ForeignFrames,
  Frames,
  GrantError,
  type GrantMapping,
  GrantTable,
  type Vcpu,
} from 'upcall/guest';

const ROUNDS = 5;
const REF = 8;

/** Tries until it is granted. */
function mapWhenGranted(vcpu: Vcpu, frames: ForeignFrames, dom: number): GrantMapping {
  for (;;) {
    try {
      return frames.mapGrant(dom, REF, { readonly: vcpu.domain.args.does === 'write' });
    } catch (error) {
      if (!(error instanceof GrantError)) throw error;
      vcpu.relax();
    }
  }
}

/** Adds one at every second number. */
function takeTurns(vcpu: Vcpu, address: number, first: number): void {
  for (let turn = first; turn < ROUNDS * 2; turn += 2) {
    while (vcpu.memory.load32(address) !== turn) vcpu.relax();
    vcpu.memory.add32(address, 1);
  }
}

export default defineScenario({
  name: 'grants',
  args: { does: 'nothing' },
  domains: {
    granter: {
      guest(vcpu) {
        const table = new GrantTable(vcpu);
        const address = new Frames(vcpu).take();
        vcpu.memory.write8(address + 71, 7);
        const ref = table.grantAccess(vcpu.domain.domains.user ?? 0, address / 4096);
        vcpu.assert(ref === REF, 'the first reference');
        if (vcpu.domain.args.does !== 'nothing') return 0;
        takeTurns(vcpu, address, 0);
        while (!table.endAccess(ref)) vcpu.relax();
        return vcpu.memory.read32(address);
      },
    },
    user: {
      words: { copied: 0 },
      guest(vcpu) {
        const { memory } = vcpu;
        const granter = vcpu.domain.domains.granter ?? 0;
        const frames = new ForeignFrames(vcpu);
        const mapping = mapWhenGranted(vcpu, frames, granter);
        const { address } = mapping;
        switch (vcpu.domain.args.does) {
          case 'write':
            return memory.write32(address, 1);
          case 'misaligned':
            return memory.read32(address + 2);
          case 'beside':
            return memory.read8(address + 4096);
          case 'sleep':
            return memory.wait32(address, 0);
          case 'after':
            frames.unmapGrant(mapping);
            return memory.read8(address + 5);
          default:
        }
        takeTurns(vcpu, address, 1);
        const byte = memory.read8(address + 71);
        const copied = vcpu.words.copied.address;
        copyFromGrant(vcpu, { dom: granter, ref: REF, offset: 71 }, copied, 1);
        frames.unmapGrant(mapping);
        return [byte, memory.read8(copied)];
      },
    },
  },
});
