/**
 * A split block driver: a driver domain with a disk serves it to a guest over xenbus, grants and a ring.
 *
 * Teaches: how the two ends find each other (the toolstack makes the device, the ends dance through the states of xenbus), how
 * several requests are under way at a time, what a barrier is for, and how requests survive the end of the back end that
 * has them: the driver domain restarts its back end in the middle, and nothing is lost.
 *
 *     npx upcall run examples/block-driver.ts
 *     npx upcall explore examples/block-driver.ts --strategy pct --max-executions 50 --max-steps 100000
 *     npx upcall stress examples/block-driver.ts --iterations 200
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { Blkback, Blkfront, Events, Frames, type Vcpu, Xenstore } from 'upcall/guest';

const DEFAULTS = { writes: 4, depth: 2, crashAfter: 2 };
const SECTOR_WORDS = 128;
const DEVICE = 51712; // xvda

/** Word i of what is written to a sector. */
function pattern(sector: number, i: number): number {
  return (sector + 1) * 0x01010101 + i;
}

function guest(vcpu: Vcpu): unknown {
  const { writes, depth } = { ...DEFAULTS, ...vcpu.domain.args };
  const events = new Events(vcpu);
  const disk = new Blkfront(events, new Xenstore(events), `device/vbd/${DEVICE}`, depth);
  vcpu.log(`the disk has ${disk.info.sectors} sectors`);

  const page = new Frames(vcpu).take();
  const under: number[] = [];
  const finishOne = () => assert.equal(disk.wait(under.shift()!), 0, 'a write succeeds');
  for (let sector = 0; sector < writes; sector++) {
    if (under.length === depth) finishOne();
    const address = page + (sector % depth) * 512;
    for (let i = 0; i < SECTOR_WORDS; i++) vcpu.memory.write32(address + i * 4, pattern(sector, i));
    under.push(disk.submit('write', sector, 1, address));
  }
  while (under.length > 0) finishOne();
  assert.equal(disk.flush(), 0, 'all of it is on the disk');

  for (let sector = 0; sector < writes; sector++) {
    assert.equal(disk.read(sector, 1, page), 0, 'a read succeeds');
    for (const i of [0, SECTOR_WORDS - 1]) vcpu.assert(vcpu.memory.read32(page + i * 4) === (pattern(sector, i) | 0));
  }
  assert.ok(disk.read(disk.info.sectors, 1, page) < 0, 'there is nothing behind the last sector');
  const { requests, requeued, connections } = disk.counters;
  vcpu.log(`${requests} requests, ${requeued} of them asked again; ${connections} connections`);
  disk.close();
  return { requests, requeued, connections };
}

function driver(vcpu: Vcpu): void {
  const { crashAfter } = { ...DEFAULTS, ...vcpu.domain.args };
  const node = `backend/vbd/${vcpu.domain.domains.guest}/${DEVICE}`;
  const events = new Events(vcpu);
  const store = new Xenstore(events);
  const disk = vcpu.disk('vda');
  const first = new Blkback(events, store, node, disk);
  if (first.run(() => crashAfter > 0 && first.counters.requests === crashAfter) === 'closed') return;
  vcpu.log('the back end is gone, with a request that it has not answered: here is the next one');
  new Blkback(events, store, node, disk).run();
}

export default defineScenario({
  name: 'block-driver',
  description: 'a disk served by a driver domain, whose back end is restarted under way',
  xenstore: true,
  args: DEFAULTS,
  domains: {
    guest: { guest },
    driver: { guest: driver, daemon: true, disks: { vda: { sectors: 16 } } },
  },
  setup({ domains, xenstore }) {
    xenstore.addDevice({ type: 'vbd', id: DEVICE, frontend: domains.guest!.id, backend: domains.driver!.id });
  },
  check({ domains, resultsOf, args }) {
    const { writes } = { ...DEFAULTS, ...args };
    const [result] = resultsOf.guest as [{ requests: number }];
    assert.equal(result.requests, 2 * writes + 2, 'every request was made once by the guest');
    const bytes = domains.driver!.disk('vda').read(0, writes);
    const words = new Int32Array(bytes.buffer);
    for (const [at, word] of words.entries()) {
      assert.equal(word, pattern(Math.floor(at / SECTOR_WORDS), at % SECTOR_WORDS) | 0, `word ${at} of the disk`);
    }
  },
});
