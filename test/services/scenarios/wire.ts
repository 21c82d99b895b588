/**
 * A wire between `honest`, which counts what goes wrong, and `other`, which behaves as `args.other` says: `burst` sends more than
 * there are buffers for, `frames` requests that are none, `index` a producer index that lies, `responses` answers nobody
 * waits for; `closes` sends two frames and closes its end.
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { Events, layWire, NET_FRAME_BYTES, NetFront, type Vcpu, type Wire, Xenstore } from 'upcall/guest';
import { NET_PROTOCOL } from '../../../lib/guest/net-ring';
import { FrontRing } from '../../../lib/guest/ring';

const RSP_PROD = 8;
const DEFAULTS = { other: 'burst' };

function lay(vcpu: Vcpu, peer: string): Wire {
  const events = new Events(vcpu);
  return layWire(events, new Xenstore(events), vcpu.domain.domains[peer]!, () => {});
}

function honest(vcpu: Vcpu): unknown {
  const wire = lay(vcpu, 'other');
  const card = new NetFront(vcpu, wire, 4);
  assert.equal(card.send(new Uint8Array(NET_FRAME_BYTES + 1)), false);
  assert.equal(card.send(new Uint8Array(0)), false);
  card.send(new Uint8Array(NET_FRAME_BYTES).fill(1));
  const sizes: number[] = [];
  for (;;) {
    const frame = card.waitForFrame();
    if (frame === undefined) break;
    sizes.push(frame.length);
    if (frame[0] === 255) break;
  }
  const buffer = !card.broken && card.waitForBuffer();
  const { broken, closed, counters } = card;
  return { broken, closed, counters, sizes, buffer, sending: closed ? errorOf(() => card.send(Uint8Array.of(1))) : '' };
}

function errorOf(call: () => unknown): string {
  try {
    return `returned ${call()}`;
  } catch (error) {
    return (error as Error).message;
  }
}

function other(vcpu: Vcpu): unknown {
  const { other: manner } = { ...DEFAULTS, ...vcpu.domain.args };
  const wire = lay(vcpu, 'honest');
  const card = new NetFront(vcpu, wire, 2);
  const frame = card.waitForFrame();
  const poke = () => vcpu.hypercall.evtchn.send(wire.port);
  if (manner === 'closes') {
    for (const length of [10, 20]) card.send(new Uint8Array(length));
    card.close();
    return errorOf(() => card.send(Uint8Array.of(1)));
  }
  if (manner === 'frames') {
    const requests = new FrontRing(vcpu.memory, wire.transmit, 40 * 4096, NET_PROTOCOL);
    for (const bad of [
      { gref: 0xfffffff, offset: 0, id: 1, size: 10 },
      { gref: 1, offset: 0, id: 2, size: 0 },
      { gref: 1, offset: 4000, id: 3, size: 200 },
      { gref: 1, offset: 0, id: 4, size: 2000 },
      { gref: 0, offset: 0, id: 5, size: 10 },
    ]) {
      requests.putRequest(bad);
    }
    requests.pushRequests();
    poke();
    const statuses: number[] = [];
    while (statuses.length < 5) {
      if (requests.unconsumedResponses() > 0) statuses.push(requests.takeResponse().status as number);
      else vcpu.relax();
    }
    vcpu.memory.store32(wire.transmit, -1);
    poke();
    return statuses;
  }
  if (manner === 'index') vcpu.memory.store32(wire.transmit, 0x12345678);
  if (manner === 'responses') vcpu.memory.store32(wire.receive + RSP_PROD, 99);
  if (manner !== 'burst') {
    // Ruins the other ring as well, so that the victim does not wait for frames.
    vcpu.memory.store32(wire.transmit, 0x12345678);
    poke();
    return frame?.length;
  }
  let refused = 0;
  for (let n = 0; n < 1000; n++) if (!card.send(Uint8Array.of(n & 127))) refused++;
  card.waitForBuffer();
  card.send(Uint8Array.of(255));
  return { refused, dropped: card.counters.dropped };
}

export default defineScenario({
  name: 'wire',
  xenstore: true,
  args: DEFAULTS,
  domains: { honest: { guest: honest }, other: { guest: other } },
});
