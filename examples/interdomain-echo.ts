/**
 * Two domains are joined by an event channel; one knocks, the other knocks back.
 *
 * Teaches: EVTCHNOP_alloc_unbound on one side, EVTCHNOP_bind_interdomain on the other, and why the binding side gets an
 * event nobody sent.
 *
 *     npx upcall run examples/interdomain-echo.ts --args '{"knocks": 1000}'
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { Events, haltUntil } from 'upcall/guest';

export default defineScenario({
  name: 'interdomain-echo',
  description: 'two domains, one event channel, every knock echoed',
  args: { knocks: 100 },

  domains: {
    server: {
      words: { port: 0, knocks: 0 },
      guests: [
        (vcpu) => {
          const { port, knocks } = vcpu.words;
          const events = new Events(vcpu);
          events.bindEvtchn(port.read(), (mine) => {
            knocks.write(knocks.read() + 1);
            vcpu.hypercall.evtchn.send(mine);
          });
          haltUntil(vcpu, () => knocks.read() === vcpu.domain.args.knocks);
          return { knocks: knocks.read() };
        },
      ],
    },

    client: {
      words: { remotePort: 0, echoes: 0 },
      guests: [
        (vcpu) => {
          const { remotePort, echoes } = vcpu.words;
          const events = new Events(vcpu);
          const count = () => echoes.write(echoes.read() + 1);
          const port = events.bindInterdomain(vcpu.domain.domains.server!, remotePort.read(), count);

          // Whatever the server sent while nobody was at this end is lost; the hypervisor makes up one event in its
          // place, so that a driver looks at its ring once. It is not an echo: wait for it, then count from zero.
          haltUntil(vcpu, () => echoes.read() === 1);
          echoes.write(0);

          for (let knock = 1; knock <= vcpu.domain.args.knocks; knock++) {
            vcpu.hypercall.evtchn.send(port);
            haltUntil(vcpu, () => echoes.read() === knock);
          }
          return { echoes: echoes.read() };
        },
      ],
    },
  },

  // The toolstack's part: the server's end exists, reserved for the client, before either domain runs.
  setup({ domains }) {
    const { server, client } = domains;
    const port = server!.hypercall.evtchn.allocUnbound(DOMID_SELF, client!.id);
    server!.words.port.write(port);
    client!.words.remotePort.write(port);
  },

  check({ domains, args }) {
    assert.equal(domains.server!.words.knocks.read(), args.knocks, 'every knock was heard');
    assert.equal(domains.client!.words.echoes.read(), args.knocks, 'every knock was answered');
  },
});
