/**
 * Requests to a disk that a driver domain serves, `depth` of them at a time, one after the other over the whole disk. One of more than
 * 44 KiB goes as several of the protocol's. Returns ns per request.
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { Blkback, Blkfront, Events, Frames, type Vcpu, Xenstore } from 'upcall/guest';

const DEFAULTS = { operation: 'read', bytes: 4096, depth: 1, rounds: 1000, warmUp: 100 };
const DEVICE = 51712;
const MOST_SECTORS = 88;
const SECTORS = 131_072;

function client(vcpu: Vcpu): number {
  const { operation, bytes, depth, rounds, warmUp } = { ...DEFAULTS, ...vcpu.domain.args };
  const sectors = bytes / 512;
  const parts = Math.ceil(sectors / MOST_SECTORS);
  const events = new Events(vcpu);
  vcpu.hypercall.vcpu.stopPeriodicTimer(vcpu.id);
  const disk = new Blkfront(events, new Xenstore(events), `device/vbd/${DEVICE}`, depth * parts);
  const buffers = buffersOf(vcpu, depth, bytes);
  const under: number[] = [];
  const finish = (): void => {
    for (let part = 0; part < parts; part++) assert.equal(disk.wait(under.shift() as number), 0);
  };
  let start = 0;
  for (let round = 0; round < warmUp + rounds; round++) {
    if (round === warmUp) start = vcpu.now();
    if (under.length === depth * parts) finish();
    const at = (round * sectors) % (SECTORS - sectors);
    const buffer = buffers[round % depth] as number;
    for (let done = 0; done < sectors; done += MOST_SECTORS) {
      const count = Math.min(MOST_SECTORS, sectors - done);
      under.push(disk.submit(operation, at + done, count, buffer + done * 512));
    }
  }
  while (under.length > 0) finish();
  const ns = (vcpu.now() - start) / rounds;
  disk.close();
  return ns;
}

/** Frames are handed out from above, one below the other. */
function buffersOf(vcpu: Vcpu, depth: number, bytes: number): number[] {
  const frames = new Frames(vcpu);
  return Array.from({ length: depth }, () => {
    let lowest = 0;
    for (let taken = 0; taken < bytes; taken += 4096) lowest = frames.take();
    return lowest;
  });
}

function driver(vcpu: Vcpu): void {
  const events = new Events(vcpu);
  vcpu.hypercall.vcpu.stopPeriodicTimer(vcpu.id);
  const node = `backend/vbd/${vcpu.domain.domains.client}/${DEVICE}`;
  new Blkback(events, new Xenstore(events), node, vcpu.disk('disk')).run();
}

export default defineScenario({
  name: 'bench-block',
  xenstore: true,
  args: DEFAULTS,
  domains: {
    client: { guest: client, frames: 256 },
    driver: { guest: driver, daemon: true, disks: { disk: { sectors: SECTORS } } },
  },
  setup({ domains, xenstore }) {
    const [frontend, backend] = [domains.client?.id ?? 0, domains.driver?.id ?? 0];
    xenstore.addDevice({ type: 'vbd', id: DEVICE, frontend, backend });
  },
});
