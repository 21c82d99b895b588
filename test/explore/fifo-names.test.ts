import { expect } from 'chai';
import { explore } from '../../lib';
import { defineScenario } from '../../lib/engine/scenario';
import { Events, irqEnable } from '../../lib/guest';

describe('the trace of a guest on the FIFO ABI', () => {
  it('names event words, their bits and control blocks, wherever the guest has put them', async () => {
    const scenario = defineScenario({
      name: 'fifo-names',
      events: 'fifo',
      guest(vcpu) {
        const events = new Events(vcpu);
        const port = events.bindIpi(() => {});
        vcpu.hypercall.evtchn.send(port);
        irqEnable(vcpu);
        vcpu.assert(false, 'the end');
      },
    });
    const { failure } = await explore(scenario);
    const names = new Set(failure?.trace.steps.map(({ name }) => name));
    for (const name of [
      'event_array[1]',
      'event_array[1].PENDING',
      'event_array[1].LINKED',
      'event_array[1].MASKED',
      'control_block[0].head[7]',
      'control_block[0].ready',
      'control_block[0].ready queue 7',
      'fifo_block[0].local_head[7]',
      'fifo_vcpu[0].queue_lock[7]',
      'fifo_vcpu[0].queue_tail[7]',
      'fifo.num_evtchns',
      'fifo.pages',
    ]) {
      expect(names.has(name), name).to.equal(true);
    }
  });

  it('tells of an event that nobody will take', async () => {
    const scenario = defineScenario({
      name: 'fifo-lost',
      events: 'fifo',
      guest(vcpu) {
        const events = new Events(vcpu);
        const port = events.bindIpi(() => {});
        vcpu.hypercall.evtchn.send(port);
        vcpu.info.evtchn_upcall_pending.write(0);
        vcpu.block();
      },
    });
    const { failure } = await explore(scenario);
    expect(failure?.kind).to.equal('deadlock');
    expect(failure?.message).to.contain('port 1 of the domain pending and unmasked');
    const [wait] = failure?.trace.waits ?? [];
    expect(wait?.asleep?.pending).to.deep.equal([{ port: 1, masked: false, selected: true, fifo: true }]);
  });
});
