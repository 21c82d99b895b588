/** A block device with ends that do what `manner` says. */
import assert from 'node:assert/strict';
import { defineScenario, type ToolstackDomain } from 'upcall';
import { BLKIF_OP, DOMID_SELF, layoutOf, XenbusState } from 'upcall/abi';
import {
  BackRing,
  Blkback,
  Blkfront,
  Events,
  ForeignFrames,
  Frames,
  FrontRing,
  GrantTable,
  type RingValue,
  type Vcpu,
  XenbusDevice,
  Xenstore,
} from 'upcall/guest';

const DEVICE = 51712;
const RING = { request: layoutOf('x86_64', 'blkif_request'), response: layoutOf('x86_64', 'blkif_response') };
const NODE = `device/vbd/${DEVICE}`;
const DEFAULTS = { manner: 'work', rounds: 3, depth: 8, sectors: 64, crashes: 0, every: 5 };
type Args = typeof DEFAULTS;

function argsOf(vcpu: Vcpu): Args {
  return { ...DEFAULTS, ...vcpu.domain.args };
}

/** What a sector holds after a round: each word tells where and when. */
function word(round: number, sector: number, i: number): number {
  return (Math.imul(round + 1, 0x9e3779b1) ^ Math.imul(sector + 1, 0x85ebca6b) ^ Math.imul(i + 1, 0xc2b2ae35)) | 0;
}

/** Writes every sector in every round, as many at a time as there are slots, and reads all of it back. */
function work(vcpu: Vcpu): unknown {
  const { rounds, depth, sectors } = argsOf(vcpu);
  const events = new Events(vcpu);
  const disk = new Blkfront(events, new Xenstore(events), NODE, depth);
  const pages = Array.from({ length: depth }, () => new Frames(vcpu).take());
  const under: number[] = [];
  const finish = (): void => assert.equal(disk.wait(under.shift() as number), 0);
  for (let round = 0; round < rounds; round++) {
    for (let sector = 0; sector < sectors; sector++) {
      if (under.length === depth) finish();
      const page = pages[sector % depth] as number;
      for (let i = 0; i < 128; i++) vcpu.memory.write32(page + i * 4, word(round, sector, i));
      under.push(disk.submit('write', sector, 1, page));
    }
    while (under.length > 0) finish();
    assert.equal(disk.flush(), 0);
  }
  const [page = 0] = pages;
  for (let sector = 0; sector < sectors; sector++) {
    assert.equal(disk.read(sector, 1, page), 0);
    for (let i = 0; i < 128; i++) assert.equal(vcpu.memory.read32(page + i * 4), word(rounds - 1, sector, i));
  }
  disk.close();
  return disk.counters;
}

/** Asks for what no disk has, through an honest front end. */
function refusals(vcpu: Vcpu): unknown {
  const events = new Events(vcpu);
  const disk = new Blkfront(events, new Xenstore(events), NODE, 2);
  const page = new Frames(vcpu).take();
  const { sectors } = disk.info;
  const results = {
    beyond: disk.read(sectors, 1, page),
    across: disk.read(sectors - 1, 2, page),
    huge: disk.read(2 ** 52, 1, page),
    negative: disk.read(-1, 1, page),
    unaligned: disk.read(0, 1, page + 4),
    none: disk.read(0, 0, page),
    outside: disk.read(0, 1, vcpu.domain.frames * 4096),
    tooLong: disk.submit('write', 0, 11 * 8 + 1, page),
    write: disk.write(0, 1, page),
    barrier: disk.barrier(0, 1, page),
    last: disk.read(sectors - 1, 1, page),
    flush: disk.flush(),
    slots: [disk.submit('read', 0, 1, page), disk.submit('read', 0, 1, page), disk.submit('read', 0, 1, page)],
    info: disk.info,
  };
  disk.close();
  return { ...results, after: disk.read(0, 1, page) };
}

/** Puts requests into the ring that no honest front end makes; then a ring index. An honest one comes after. */
function hostile(vcpu: Vcpu): unknown {
  const events = new Events(vcpu);
  const store = new Xenstore(events);
  const device = new XenbusDevice(store, NODE);
  const frames = new Frames(vcpu);
  const grants = new GrantTable(vcpu);
  const [page, data] = [frames.take(), frames.take()];
  const ring = new FrontRing(vcpu.memory, page, frames.take(), RING);
  device.waitForOther(XenbusState.XenbusStateInitWait);
  ring.initialise();
  const ref = grants.grantAccess(device.otherEndId, page / 4096);
  const port = vcpu.hypercall.evtchn.allocUnbound(DOMID_SELF, device.otherEndId);
  events.bindEvtchn(port, () => {});
  device.publish({ 'ring-ref': ref, 'event-channel': port }, XenbusState.XenbusStateInitialised);
  device.waitForOther(XenbusState.XenbusStateConnected);
  device.switchState(XenbusState.XenbusStateConnected);

  const gref = grants.grantAccess(device.otherEndId, data / 4096, { readonly: true });
  const seg = [{ gref, first_sect: 0, last_sect: 0 }];
  const write = { operation: BLKIF_OP.BLKIF_OP_WRITE, nr_segments: 1, sector_number: 0, seg };
  const wrong: RingValue[] = [
    { ...write, operation: 77 },
    { ...write, operation: BLKIF_OP.BLKIF_OP_DISCARD },
    { ...write, nr_segments: 0 },
    { ...write, nr_segments: 12 },
    { ...write, nr_segments: 255 },
    { ...write, seg: [{ gref, first_sect: 3, last_sect: 2 }] },
    { ...write, seg: [{ gref, first_sect: 0, last_sect: 8 }] },
    { ...write, seg: [{ gref: 4000, first_sect: 0, last_sect: 0 }] },
    { ...write, seg: [{ gref: 0xffffffff, first_sect: 0, last_sect: 0 }] },
    { ...write, sector_number: argsOf(vcpu).sectors },
    { ...write, sector_number: 2 ** 60 },
    // Into a page that was granted for reading.
    { ...write, operation: BLKIF_OP.BLKIF_OP_READ },
    { ...write, operation: BLKIF_OP.BLKIF_OP_FLUSH_DISKCACHE },
    write,
  ];
  const statuses = wrong.map((request, id) => {
    ring.putRequest({ ...request, id });
    if (ring.pushRequests()) vcpu.hypercall.evtchn.send(port);
    store.waitForEventOr(() => ring.finalCheckForResponses());
    while (!ring.finalCheckForResponses()) store.waitForEventOr(() => ring.finalCheckForResponses());
    const response = ring.takeResponse();
    assert.equal(response.id, id);
    return ((response.status as number) << 16) >> 16;
  });
  const inUse = grants.isInUse(gref);

  // req_prod, the first word of the ring.
  vcpu.memory.store32(page, 1000);
  vcpu.hypercall.evtchn.send(port);
  device.waitForOther(XenbusState.XenbusStateClosing);
  const error = device.readOther('error');
  events.unbind(port);
  device.unwatch();
  const isFree = grants.endAccess(ref);
  device.switchState(XenbusState.XenbusStateClosed);
  const next = new Blkfront(events, store, NODE);
  const result = next.write(0, 1, data);
  next.close();
  return { statuses, inUse, error, isFree, next: result };
}

/** A back end that answers two at a time, the second first; or that answers to what was not asked. */
function strange(vcpu: Vcpu, lies: boolean): void {
  const events = new Events(vcpu);
  const store = new Xenstore(events);
  const device = new XenbusDevice(store, backNode(vcpu));
  device.publish({}, XenbusState.XenbusStateInitWait);
  device.waitForOther(XenbusState.XenbusStateInitialised);
  const ref = Number(device.readOther('ring-ref'));
  const { address } = new ForeignFrames(vcpu).mapGrant(device.otherEndId, ref);
  const port = events.bindInterdomain(device.otherEndId, Number(device.readOther('event-channel')), () => {});
  const ring = new BackRing(vcpu.memory, address, new Frames(vcpu).take(), RING);
  ring.attach();
  device.publish({ sectors: 8, 'sector-size': 512, info: 0 }, XenbusState.XenbusStateConnected);
  for (;;) {
    const requests: Record<string, number>[] = [];
    while (requests.length < 2) {
      // Taken one by one: an event is asked for only behind the last that was taken.
      while (requests.length < 2 && ring.unconsumedRequests() > 0) {
        requests.unshift(ring.takeRequest() as Record<string, number>);
      }
      if (requests.length === 2) break;
      store.dispatch();
      store.waitForEventOr(() => ring.finalCheckForRequests());
    }
    for (const { id, operation, sector_number } of requests) {
      ring.putResponse({ id: lies ? 31 : id, operation, status: sector_number === 0 ? 0 : -1 } as RingValue);
    }
    if (ring.pushResponses()) vcpu.hypercall.evtchn.send(port);
  }
}

/** Two requests under way, of which the first is answered last. */
function pair(vcpu: Vcpu): unknown {
  const events = new Events(vcpu);
  const disk = new Blkfront(events, new Xenstore(events), NODE, 2);
  const page = new Frames(vcpu).take();
  const ids = [disk.submit('read', 0, 1, page), disk.submit('read', 1, 1, page + 512)];
  const results = ids.map((id) => disk.wait(id));
  return { results, broken: disk.broken, after: disk.broken ? disk.read(0, 1, page) : 0 };
}

function backNode(vcpu: Vcpu): string {
  return `backend/vbd/${vcpu.domain.domains.guest}/${DEVICE}`;
}

const fronts: Readonly<Record<string, (vcpu: Vcpu) => unknown>> = { refusals, hostile, reversed: pair, lies: pair };

export default defineScenario({
  name: 'block',
  xenstore: true,
  args: DEFAULTS,
  domains: {
    guest: {
      guest(vcpu) {
        return (fronts[argsOf(vcpu).manner] ?? work)(vcpu);
      },
    },
    driver: {
      daemon: true,
      disks: { vda: { sectors: 64 }, cdrom: { sectors: 64, readOnly: true } },
      guest(vcpu) {
        const { manner, crashes, every } = argsOf(vcpu);
        if (manner === 'reversed' || manner === 'lies') return strange(vcpu, manner === 'lies');
        const events = new Events(vcpu);
        const store = new Xenstore(events);
        const disk = vcpu.disk(manner === 'refusals' ? 'cdrom' : 'vda');
        for (let crash = 0; crash < crashes; crash++) {
          const back = new Blkback(events, store, backNode(vcpu), disk);
          if (back.run(() => back.counters.requests === every) === 'closed') return;
        }
        new Blkback(events, store, backNode(vcpu), disk).run();
      },
    },
  },
  setup({ domains, xenstore }) {
    const [frontend, backend] = [domains.guest?.id ?? 0, domains.driver?.id ?? 0];
    xenstore.addDevice({ type: 'vbd', id: DEVICE, frontend, backend });
  },
  check({ domains, args }) {
    const { manner, rounds, sectors }: Args = { ...DEFAULTS, ...args };
    if (manner !== 'work') return;
    const words = new Int32Array((domains.driver as ToolstackDomain).disk('vda').read(0, sectors).buffer);
    for (const [at, found] of words.entries()) assert.equal(found, word(rounds - 1, Math.floor(at / 128), at % 128));
  },
});
