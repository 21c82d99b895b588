import { expect } from 'chai';
import { Completion } from '../../lib/guest/completion';
import { Events } from '../../lib/guest/events';
import { irqEnabled } from '../../lib/guest/irq';
import { GuestMachine } from '../support/guest-machine';

function completions(initial = 0) {
  const machine = new GuestMachine({ vcpus: 3, words: { done: initial } });
  const each = machine.guests.map((vcpu) => new Completion(new Events(vcpu), vcpu.words.done));
  return { machine, each: each as [Completion, Completion, Completion] };
}

describe('Completion', () => {
  it('lets pass at once what was completed before, once for each', () => {
    const { each } = completions();
    each[0].complete();
    each[0].complete();
    each[1].wait();
    expect(each[2].tryWait()).to.equal(true);
    expect(each[2].tryWait()).to.equal(false);
  });

  it('wakes a sleeping waiter', () => {
    const { machine, each } = completions();
    let sleeps = 0;
    machine.onSleep = ({ vcpuId }) => {
      expect(vcpuId).to.equal(1);
      sleeps++;
      each[0].complete();
    };
    each[1].wait();
    expect(sleeps).to.equal(1);
    expect(irqEnabled(machine.guest(1))).to.equal(true);
  });

  it('misses no completion that comes at any moment of falling asleep', () => {
    for (let n = 0; n < 20; n++) {
      const { machine, each } = completions();
      let completed = false;
      const completeOnce = () => {
        if (!completed) each[0].complete();
        completed = true;
      };
      machine.interruptAt(1, n, completeOnce);
      machine.onSleep = () => {
        if (completed) throw new Error(`asleep after the completion before access ${n}`);
        completeOnce();
      };
      each[1].wait();
    }
  });

  it('sleeps on when another waiter was faster', () => {
    const { machine, each } = completions();
    let sleeps = 0;
    machine.onSleep = () => {
      each[0].complete();
      if (++sleeps === 1) expect(each[2].tryWait()).to.equal(true);
    };
    each[1].wait();
    expect(sleeps).to.equal(2);
  });

  it('is completed by a handler of the vCPU that waits', () => {
    const { machine, each } = completions();
    const vcpu = machine.guest(1);
    const events = new Events(vcpu);
    const mine = new Completion(events, vcpu.words.done);
    const port = events.bindIpi(() => mine.complete());
    machine.onSleep = () => void machine.hypervisor.evtchn.send(machine.hvVcpu(0), port);
    mine.wait();
    expect(each[0].tryWait()).to.equal(false);
  });

  it('lets everybody pass for ever after completeAll', () => {
    const { machine, each } = completions();
    machine.onSleep = () => each[0].completeAll();
    each[1].wait();
    each[1].wait();
    each[2].wait();
    each[0].complete();
    expect(each[2].tryWait()).to.equal(true);
  });
});
