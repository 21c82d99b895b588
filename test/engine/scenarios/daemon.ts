/** A daemon domain that adds up what its clients tell it, one number per event, and never returns. */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { Events, haltUntil } from 'upcall/guest';

export default defineScenario({
  name: 'daemon',
  /** `first`: what the server does with the first number: 'serve', 'throw', or 'sleep' (for ever). */
  args: { first: 'serve', answer: true },
  domains: {
    server: {
      daemon: true,
      words: { port: 0, told: 0, sum: 0, served: 0 },
      guest(vcpu) {
        const { port, told, sum, served } = vcpu.words;
        const events = new Events(vcpu);
        events.bindEvtchn(port.read(), (mine) => {
          const number = told.exchange(0);
          if (number === 0) return;
          if (vcpu.domain.args.first === 'throw') throw new Error('the server gives up');
          if (vcpu.domain.args.first === 'sleep') return;
          sum.write(sum.read() + number);
          served.write(served.read() + 1);
          if (vcpu.domain.args.answer) vcpu.hypercall.evtchn.send(mine);
        });
        haltUntil(vcpu, () => false);
      },
    },
    client: {
      words: { remotePort: 0, answers: 0 },
      guest(vcpu) {
        const { remotePort, answers } = vcpu.words;
        const { server } = vcpu.domain.domains;
        const events = new Events(vcpu);
        const port = events.bindInterdomain(server!, remotePort.read(), () => answers.write(answers.read() + 1));
        haltUntil(vcpu, () => answers.read() > 0);
        answers.write(0);
        vcpu.hypercall.evtchn.send(port);
        if (vcpu.domain.args.answer) haltUntil(vcpu, () => answers.read() > 0);
        return answers.read();
      },
    },
  },
  setup({ domains }) {
    const { server, client } = domains;
    const port = server!.hypercall.evtchn.allocUnbound(DOMID_SELF, client!.id);
    server!.words.port.write(port);
    server!.words.told.write(7);
    client!.words.remotePort.write(port);
  },
  check({ domains }) {
    const sum = domains.server!.words.sum.read();
    if (sum !== 7) throw new Error(`the server's sum is ${sum}: it had not finished`);
  },
});
