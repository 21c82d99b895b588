import { expect } from 'chai';
import { Events } from '../../lib/guest/events';
import { irqEnable, irqEnabled } from '../../lib/guest/irq';
import { KICK_PORT, kernelBlock, LOCK_WANTED } from '../../lib/guest/kernel-area';
import { PvSpinlock } from '../../lib/guest/pv-spinlock';
import { nextTicket, Spinlock, servedTicket } from '../../lib/guest/spinlock';
import { GuestMachine } from '../support/guest-machine';

function machineWithLock(initial = 0) {
  const machine = new GuestMachine({ vcpus: 3, words: { lock: initial, other: 0 } });
  return { machine, word: machine.guest(0).words.lock };
}

for (const Lock of [Spinlock, PvSpinlock]) {
  describe(Lock.name, () => {
    const locks = (machine: GuestMachine) => machine.guests.map((vcpu) => new Lock(vcpu, vcpu.words.lock));

    it('is taken by one at a time', () => {
      const [a, b] = locks(machineWithLock().machine) as [Spinlock, Spinlock];
      expect(a.tryLock()).to.equal(true);
      expect(b.tryLock()).to.equal(false);
      a.unlock();
      expect(b.tryLock()).to.equal(true);
      expect(a.tryLock()).to.equal(false);
    });

    it('goes on when its tickets wrap round', () => {
      // Both halves about to wrap: 0xffff served, 0xffff next.
      const { machine, word } = machineWithLock(-1);
      const [a, b] = locks(machine) as [Spinlock, Spinlock];
      for (let round = 0; round < 3; round++) {
        a.lock();
        expect(b.tryLock()).to.equal(false);
        expect(nextTicket(word.load())).to.equal((servedTicket(word.load()) + 1) & 0xffff);
        a.unlock();
        expect(b.tryLock()).to.equal(true);
        b.unlock();
      }
      expect(word.load()).to.equal((5 << 16) | 5);
    });

    it('serves in the order of asking', () => {
      const { machine } = machineWithLock();
      const [a, b, c] = locks(machine) as [Spinlock, Spinlock, Spinlock];
      const order: string[] = [];
      a.lock();
      // On one thread: b asks first, then c while b waits, then a lets go.
      machine.onRelax = ({ vcpuId }) => {
        if (vcpuId === 1) {
          machine.onRelax = () => {
            machine.onRelax = () => {
              throw new Error('both wait for each other');
            };
            a.unlock();
            // c waits behind b, whose turn it is.
            throw new Error('c waits');
          };
          expect(() => c.lock()).to.throw('c waits');
        }
      };
      b.lock();
      order.push('b');
      expect(c.tryLock(), 'its ticket is out').to.equal(false);
      b.unlock();
      expect(order).to.deep.equal(['b']);
    });

    it('keeps upcalls away between lockIrqSave and unlockIrqRestore', () => {
      const { machine } = machineWithLock();
      const vcpu = machine.guest(0);
      const lock = new Lock(vcpu, vcpu.words.lock);
      irqEnable(vcpu);
      const flags = lock.lockIrqSave();
      expect(irqEnabled(vcpu)).to.equal(false);
      expect(lock.tryLock()).to.equal(false);
      lock.unlockIrqRestore(flags);
      expect(irqEnabled(vcpu)).to.equal(true);
      expect(lock.tryLock()).to.equal(true);
    });
  });
}

describe('PvSpinlock, slow path', () => {
  it('sleeps after its spins and is kicked by the unlock', () => {
    const { machine } = machineWithLock();
    const holder = new PvSpinlock(machine.guest(0), machine.guest(0).words.lock, 3);
    const waiter = new PvSpinlock(machine.guest(1), machine.guest(1).words.lock, 3);
    holder.lock();
    let spins = 0;
    let sleeps = 0;
    machine.onRelax = () => spins++;
    machine.onSleep = ({ vcpuId }) => {
      expect(vcpuId).to.equal(1);
      sleeps++;
      holder.unlock();
    };
    waiter.lock();
    expect({ spins, sleeps }).to.deep.equal({ spins: 3, sleeps: 1 });
    expect(waiter.tryLock()).to.equal(false);
  });

  it('misses no unlock that comes at any moment of falling asleep', () => {
    for (let n = 0; n < 30; n++) {
      const { machine } = machineWithLock();
      const holder = new PvSpinlock(machine.guest(0), machine.guest(0).words.lock, 0);
      const waiter = new PvSpinlock(machine.guest(1), machine.guest(1).words.lock, 0);
      holder.lock();
      let unlocked = false;
      const unlockOnce = () => {
        if (!unlocked) holder.unlock();
        unlocked = true;
      };
      machine.interruptAt(1, n, unlockOnce);
      machine.onSleep = () => {
        if (unlocked) throw new Error(`asleep after the unlock before access ${n}`);
        unlockOnce();
      };
      waiter.lock();
      expect(machine.guest(1).memory.load32(kernelBlock(machine.guest(1)) + LOCK_WANTED)).to.equal(0);
    }
  });

  it('wakes the vCPU whose turn it is and no other', () => {
    const { machine } = machineWithLock();
    const [a, b, c] = machine.guests.map((vcpu) => new PvSpinlock(vcpu, vcpu.words.lock, 0)) as [
      PvSpinlock,
      PvSpinlock,
      PvSpinlock,
    ];
    const kicked = () =>
      machine.guests.map((vcpu) => {
        const port = vcpu.memory.load32(kernelBlock(vcpu) + KICK_PORT);
        return new Events(vcpu).isPending(port);
      });
    a.lock();
    machine.onSleep = ({ vcpuId }) => {
      // c sleeps, then b; then a lets go, and neither is run further.
      if (vcpuId === 2) b.lock();
      a.unlock();
      throw new Error('seen enough');
    };
    expect(() => c.lock()).to.throw('seen enough');
    expect(kicked()).to.deep.equal([false, false, true]);
  });

  it('survives a handler that takes another lock the slow way, at any moment', () => {
    for (let n = 0; n < 40; n++) {
      const { machine } = machineWithLock();
      const [vcpu, other] = [machine.guest(1), machine.guest(0)];
      const outer = [other, vcpu].map((each) => new PvSpinlock(each, each.words.lock, 0)) as [PvSpinlock, PvSpinlock];
      const inner = [other, vcpu].map((each) => new PvSpinlock(each, each.words.other, 0)) as [PvSpinlock, PvSpinlock];
      const events = new Events(vcpu);
      let outerFree = false;
      const port = events.bindIpi(() => {
        inner[1].lock();
        inner[1].unlock();
      });
      irqEnable(vcpu);
      outer[0].lock();
      inner[0].lock();
      let innerFree = false;
      machine.interruptAt(1, n, () => machine.hypervisor.evtchn.send(machine.hvVcpu(0), port));
      // While the handler sleeps for its lock, the lock of the code it interrupted is let go first: that kick goes
      // to nobody, for the outer record is covered.
      machine.onSleep = () => {
        if (!outerFree) {
          outerFree = true;
          outer[0].unlock();
        } else if (!innerFree) {
          innerFree = true;
          inner[0].unlock();
        } else {
          throw new Error(`asleep with both locks free, handler before access ${n}`);
        }
      };
      outer[1].lock();
      expect(outer[1].tryLock()).to.equal(false);
    }
  });

  it('binds one kick port for a vCPU, whatever the number of its locks', () => {
    const { machine } = machineWithLock();
    const vcpu = machine.guest(0);
    new PvSpinlock(vcpu, vcpu.words.lock);
    const port = vcpu.memory.load32(kernelBlock(vcpu) + KICK_PORT);
    new PvSpinlock(vcpu, vcpu.words.other);
    expect(vcpu.memory.load32(kernelBlock(vcpu) + KICK_PORT)).to.equal(port);
    expect(new Events(vcpu).isMasked(port)).to.equal(true);
    expect(vcpu.hypercall.evtchn.bindIpi(0)).to.equal(port + 1);
  });
});
