/**
 * Both sides of a network ring, each asleep whenever it has nothing to do: `args.requests` go there, as many responses come
 * back, and events are sent only where the ring says so.
 */
import assert from 'node:assert/strict';
import { defineScenario } from '../../../lib/engine/scenario';
import { haltUntil } from '../../../lib/guest';
import { NET_PROTOCOL } from '../../../lib/guest/net-ring';
import { BackRing, FrontRing, initialiseRing, RING_END_BYTES } from '../../../lib/guest/ring';
import type { Vcpu } from '../../../lib/guest/vcpu';

const PAGE = 32 * 4096;
const FRONT = PAGE + 4096;
const BACK = FRONT + RING_END_BYTES;

/** All the dispatch this needs: an event is there to wake. */
function takeEvents(vcpu: Vcpu, port: number): void {
  const { evtchn_upcall_pending, evtchn_pending_sel } = vcpu.info;
  vcpu.onUpcall(() => {
    evtchn_upcall_pending.store(0);
    evtchn_pending_sel.lo.exchange(0);
    vcpu.sharedInfo.evtchn_pending.word(0).and(~(1 << port));
  });
}

function front(vcpu: Vcpu): number[] {
  const { requests } = vcpu.domain.args;
  const ring = new FrontRing(vcpu.memory, PAGE, FRONT, NET_PROTOCOL);
  takeEvents(vcpu, vcpu.words.ports[0].read());
  for (let id = 0; id < requests; id++) {
    ring.putRequest({ gref: 100 + id, id });
    if (ring.pushRequests()) vcpu.hypercall.evtchn.send(vcpu.words.ports[1].read());
  }
  const answered: number[] = [];
  while (answered.length < requests) {
    if (ring.unconsumedResponses() > 0) answered.push(ring.takeResponse().id as number);
    else haltUntil(vcpu, () => ring.finalCheckForResponses());
  }
  return answered;
}

function back(vcpu: Vcpu): number[] {
  const ring = new BackRing(vcpu.memory, PAGE, BACK, NET_PROTOCOL);
  takeEvents(vcpu, vcpu.words.ports[1].read());
  const served: number[] = [];
  while (served.length < vcpu.domain.args.requests) {
    if (ring.unconsumedRequests() === 0) {
      haltUntil(vcpu, () => ring.finalCheckForRequests());
      continue;
    }
    const { gref, id } = ring.takeRequest();
    served.push(gref as number);
    ring.putResponse({ id: id as number });
    if (ring.pushResponses()) vcpu.hypercall.evtchn.send(vcpu.words.ports[0].read());
  }
  return served;
}

export default defineScenario({
  name: 'net-ring',
  words: { ports: [0, 0] },
  args: { requests: 2 },
  setup({ domain }) {
    initialiseRing(domain.memory, PAGE);
    for (const vcpu of [0, 1]) domain.words.ports[vcpu]!.write(domain.hypercall.evtchn.bindIpi(vcpu));
  },
  guests: [front, back],
  check({ results, args }) {
    const ids = Array.from({ length: args.requests }, (_, id) => id);
    assert.deepEqual(results[0], ids, 'every response once, in order');
    assert.deepEqual(
      results[1],
      ids.map((id) => 100 + id),
      'every request once, in order',
    );
  },
});
