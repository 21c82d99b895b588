/**
 * R47: a domain takes a grant back by a look and a store, and another maps the frame in between.
 *
 * Where: the rule is in Xen's grant_table.h, where it tells how an entry is invalidated: with a compare-exchange, since the
 * hypervisor marks the entry at any time; Linux's gnttab_end_foreign_access_ref follows it.
 *
 * 1. The granter reads the entry's flags: neither GTF_reading nor GTF_writing, nobody uses the frame.
 * 2. The other domain maps it. The hypervisor sets both, and the frame is in the other domain's address space.
 * 3. The granter clears the flags, the marks among them, and uses the frame for something else.
 * The other domain reads, and could write, what was never meant for it.
 *
 * Invariant: a grant that was taken back has no mapping.
 * Seen as: assertion. It takes two preemptions under sc, none under tso.
 * The cure clears the flags with a compare-exchange against those that were looked at, and keeps the frame as it is when that fails.
 *
 *   upcall explore examples/races/r47-grant-revoked-while-mapped.ts
 *   upcall explore examples/races/r47-grant-revoked-while-mapped.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { GrantError } from 'upcall/guest';

const PAGE_BYTES = 4096;
/** Frames: behind the granter's memory lies its grant table. */
const FRAMES = 8;
const SHARED_FRAME = 4;
/** The first entry that is not the toolstack's. */
const REF = 8;
const ENTRY = FRAMES * PAGE_BYTES + REF * 8;

const PERMIT_ACCESS = 1;
const IN_USE = 8 | 16;
const HOST_MAP = 2;
const SECRET = 42;

export default defineScenario({
  name: 'r47-grant-revoked-while-mapped',
  description: 'a grant is revoked by a look and a store: a mapping made in between outlives it',
  args: { variant: 'buggy' },
  domains: {
    granter: {
      frames: FRAMES,
      guest(vcpu) {
        const { memory } = vcpu;
        const seen = memory.read32(ENTRY);
        if ((seen & IN_USE) !== 0) return;
        if (vcpu.domain.args.variant === 'buggy') memory.write32(ENTRY, 0);
        else if (memory.compareExchange32(ENTRY, seen, 0) !== seen) return;
        memory.write32(SHARED_FRAME * PAGE_BYTES, SECRET);
      },
    },
    user: {
      frames: FRAMES,
      guest(vcpu) {
        const { grant } = vcpu.hypercall;
        const page = vcpu.domain.grantWindow.address;
        try {
          grant.mapGrantRef(page, HOST_MAP, REF, vcpu.domain.domains.granter ?? 0);
        } catch (error) {
          if (error instanceof GrantError) return;
          throw error;
        }
        vcpu.assert(vcpu.memory.read32(page) !== SECRET, 'the frame is read after its grant was taken back');
      },
    },
  },
  setup({ domains }) {
    const { granter, user } = domains;
    granter?.memory.write32(ENTRY + 4, SHARED_FRAME);
    granter?.memory.write32(ENTRY, ((user?.id ?? 0) << 16) | PERMIT_ACCESS);
  },
});
