/**
 * Two domains with a wire between them: one sends frames, the other sends each of them back.
 *
 * Teaches: how two front ends find each other through xenstore (`layWire`: grants of the rings, a port, xenbus states), rings
 * over granted pages, and how few events a busy wire needs: a side is notified only when it has said that it sleeps.
 *
 *     npx upcall run net-echo --args '{"frames": 10000, "window": 8}'
 *
 * `window` frames are under way at a time: 1 is request and response. Before the first frame both ends have gone some 8,000 steps
 * through xenstore, so what is explored has to be small:
 *
 *     npx upcall explore net-echo --strategy pct --args '{"frames": 4, "window": 2}' --max-executions 200
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { Events, layWire, NetFront, type Vcpu, Xenstore } from 'upcall/guest';

const DEFAULTS = { frames: 100, bytes: 64, window: 1 };

interface Args {
  readonly frames: number;
  readonly bytes: number;
  readonly window: number;
}

/** Frame number n: bytes that a frame repeated, lost or read too early would change. */
function frame(n: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (n * 31 + i * 7) & 0xff);
}

function openCard(vcpu: Vcpu, peer: string, depth: number): NetFront {
  const events = new Events(vcpu);
  // The handler has nothing to do: being woken is all the event is for.
  const wire = layWire(events, new Xenstore(events), vcpu.domain.domains[peer]!, () => {});
  return new NetFront(vcpu, wire, depth);
}

function client(vcpu: Vcpu): unknown {
  const { frames, bytes, window }: Args = { ...DEFAULTS, ...vcpu.domain.args };
  const card = openCard(vcpu, 'server', window);
  const startNs = vcpu.now();
  let sent = 0;
  for (let echoed = 0; echoed < frames; echoed++) {
    while (sent < frames && sent - echoed < window) {
      card.waitForBuffer();
      card.send(frame(sent++, bytes));
    }
    const echo = card.waitForFrame();
    assert.deepEqual(echo, frame(echoed, bytes), `echo ${echoed} is the frame that was sent`);
  }
  card.close();
  const { sent: out, received, events } = card.counters;
  return { sent: out, received, events, nsPerFrame: Math.round((vcpu.now() - startNs) / frames) };
}

function server(vcpu: Vcpu): unknown {
  const { window }: Args = { ...DEFAULTS, ...vcpu.domain.args };
  const card = openCard(vcpu, 'client', window);
  // Until the client closes the wire.
  for (let frame = card.waitForFrame(); frame !== undefined; frame = card.waitForFrame()) {
    if (!card.waitForBuffer()) break;
    card.send(frame);
  }
  const { sent, received, events } = card.counters;
  return { sent, received, events };
}

export default defineScenario({
  name: 'net-echo',
  description: 'frames echoed over a virtual wire between two domains',
  xenstore: true,
  args: DEFAULTS,
  domains: {
    client: { guest: client },
    server: { guest: server },
  },
  check({ resultsOf, args }) {
    const { frames } = { ...DEFAULTS, ...args };
    for (const [name, [result]] of Object.entries(resultsOf)) {
      const counters = result as { sent: number; received: number } | undefined;
      if (name !== 'client' && name !== 'server') continue;
      assert.equal(counters?.sent, frames, `${name} has sent every frame`);
      assert.equal(counters?.received, frames, `${name} has received every frame`);
    }
  },
});
