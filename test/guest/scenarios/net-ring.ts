/**
 * Both sides of a network ring, each asleep whenever it has nothing to do: `args.requests` go there, as many responses come
 * back, and events are sent only where the ring says so.
 */
import assert from 'node:assert/strict';
import { defineScenario } from '../../../lib/engine/scenario';
import { haltUntil } from '../../../lib/guest';
import { initialiseNetRing, NetRequests, NetResponses } from '../../../lib/guest/net-ring';
import type { Vcpu } from '../../../lib/guest/vcpu';

const PAGE = 32 * 4096;

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
  const ring = new NetRequests(vcpu.memory, PAGE);
  takeEvents(vcpu, vcpu.words.ports[0].read());
  for (let id = 0; id < requests; id++) {
    ring.put({ gref: 100 + id, offset: 0, id, size: 1 });
    if (ring.publish()) vcpu.hypercall.evtchn.send(vcpu.words.ports[1].read());
  }
  const answered: number[] = [];
  const response = { id: 0, status: 0 };
  while (answered.length < requests) {
    if (ring.take(response)) answered.push(response.id);
    else haltUntil(vcpu, () => ring.awaitResponse());
  }
  return answered;
}

function back(vcpu: Vcpu): number[] {
  const ring = new NetResponses(vcpu.memory, PAGE);
  takeEvents(vcpu, vcpu.words.ports[1].read());
  const served: number[] = [];
  const request = { gref: 0, offset: 0, id: 0, size: 0 };
  while (served.length < vcpu.domain.args.requests) {
    if (!ring.take(request)) {
      haltUntil(vcpu, () => ring.awaitRequest());
      continue;
    }
    served.push(request.gref);
    ring.put({ id: request.id, status: 0 });
    if (ring.publish()) vcpu.hypercall.evtchn.send(vcpu.words.ports[0].read());
  }
  return served;
}

export default defineScenario({
  name: 'net-ring',
  words: { ports: [0, 0] },
  args: { requests: 2 },
  setup({ domain }) {
    initialiseNetRing(domain.memory, PAGE);
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
