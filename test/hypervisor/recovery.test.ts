/**
 * Threads that are ended inside the hypervisor: at every access of every call that takes a lock, one after the other.
 */
import { expect } from 'chai';
import { DOMID_SELF, GNTST } from '../../lib/abi';
import { noDeadPort, noDeadUpcall, noSleeperWithWork } from '../../lib/engine/invariants/at-rest';
import { MachineView } from '../../lib/engine/invariants/machine-view';
import { type HvDomain, type HvVcpu, Hypervisor } from '../../lib/hypervisor/hypervisor';
import { createMachineImage, type MachineImage } from '../../lib/hypervisor/image';
import { PauseFlag } from '../../lib/hypervisor/platform';
import { initialiseMachine } from '../../lib/hypervisor/start-of-day';
import { PIRQ_MASKED } from '../../lib/hypervisor/state-layout';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import { beginMending, endMending, LOCKS_PER_BUFFER, LockHolder, NOTES } from '../../lib/memory/lock-words';
import { FifoGuest, isFifo } from '../support/fifo-guest';
import {
  BYSTANDER,
  CONFIGS,
  FATAL_CALLS,
  FATAL_GRANT_CALLS,
  type Fifo,
  HARDWARE,
  type Ports,
  PRECEDED_BY,
  prepare,
  VICTIM,
} from './support/fatal-calls';
import { BYSTANDERS_HANDLE, grant, grantsWrongly, map, OWN_REFS, page, REFS } from './support/grant-calls';
import { TestPlatform } from './support/machine';
import { Death, Life, MortalMemory } from './support/mortal-memory';
import { expectWhole } from './support/whole';

const DEAD = 5;
const HOST = 9;

/** Waits for nothing: what it would wait for is held for good. */
class ImpatientMemory extends AtomicsMemory {
  protected override backOff(address: number): void {
    throw new Error(`the lock at ${address} is not to be had`);
  }
}

function numberOf(region: { readonly kind: string; readonly domainId?: number }): number {
  return region.domainId === undefined ? 0 : CONFIGS.findIndex(({ id }) => id === region.domainId) + 1;
}

/** A prepared machine, and the bytes it begins with. */
class Scene {
  readonly platform = new TestPlatform();
  readonly host: Hypervisor;
  readonly ports: Ports;
  private readonly holder = new LockHolder(HOST, new Int32Array(NOTES));
  private readonly bytes: readonly Uint8Array[];

  constructor(fifo: Fifo, prelude: ((hypervisor: Hypervisor) => void) | undefined) {
    const image = createMachineImage(CONFIGS, { irqs: 8 });
    this.host = new Hypervisor(
      image,
      (buffer, region) => new ImpatientMemory(buffer, this.holder, numberOf(region)),
      this.platform,
    );
    initialiseMachine(this.host);
    this.ports = prepare(this.host, fifo);
    for (const domain of this.host.domains) takeEvents(this.host, domain);
    prelude?.(this.host);
    const sleeper = this.host.vcpu(BYSTANDER, 0);
    this.host.sched.block(sleeper);
    this.host.sched.poll(this.host.vcpu(BYSTANDER, 1), [this.polled], 0);
    this.bytes = buffersOf(image).map((buffer) => new Uint8Array(buffer).slice());
  }

  /** The bystander's port that its vCPU 1 polls. */
  get polled(): number {
    return this.ports.toPoller;
  }

  restore(): void {
    buffersOf(this.host.image).forEach((buffer, index) => {
      new Uint8Array(buffer).set(this.bytes[index] as Uint8Array);
    });
    this.platform.shutdowns.length = 0;
  }

  /** Makes the call on a thread that ends before the access after `limit`. Returns whether it did, and its notes. */
  die(call: string, limit: number): { readonly died: boolean; readonly notes: Int32Array } {
    const notes = new Int32Array(NOTES);
    const holder = new LockHolder(DEAD, notes);
    const life = new Life();
    const hypervisor = new Hypervisor(
      this.host.image,
      (buffer, region) => new MortalMemory(buffer, holder, numberOf(region), life),
      this.platform,
    );
    life.limit = limit;
    life.accesses = 0;
    try {
      FATAL_CALLS[call]?.(hypervisor, hypervisor.vcpu(VICTIM, 0), this.ports);
      return { died: false, notes };
    } catch (thrown) {
      if (!(thrown instanceof Death)) throw thrown;
      return { died: true, notes };
    }
  }

  /** What the engine does when the thread has gone. */
  recover(notes: Int32Array): void {
    const { recovery } = this.host;
    recovery.releaseWritersLocks(DEAD);
    for (const note of notes.filter((each) => each !== 0)) {
      const buffer = Math.floor((note - 1) / LOCKS_PER_BUFFER);
      const memory = buffer === 0 ? this.host.machine.global : (this.host.domains[buffer - 1] as HvDomain).state;
      const address = ((note - 1) % LOCKS_PER_BUFFER) * 4;
      beginMending(memory, address);
      endMending(memory, address);
    }
    for (const domain of this.host.domains) recovery.announceAgain(domain);
  }
}

function buffersOf(image: MachineImage): readonly SharedArrayBuffer[] {
  return [image.global, ...image.domains.flatMap((domain) => [domain.guest, domain.private])];
}

/** The guest serves all there is. Returns the ports served. */
function takeEvents(hypervisor: Hypervisor, domain: HvDomain): number[] {
  const { guest } = domain;
  const served: number[] = [];
  for (const vcpu of domain.vcpus) {
    const info = hypervisor.vcpuInfoAddress(vcpu);
    if (isFifo(domain)) served.push(...new FifoGuest(vcpu).consume(info));
    guest.write8(info, 0);
    for (const half of [0, 4]) guest.write32(info + domain.selectorOffset + half, 0);
  }
  for (let port = 0; port < domain.maxEvtchns; port += 32) guest.write32(domain.pendingAddress + port / 8, 0);
  return served;
}

/** The machine but for the victim. */
class SurvivorsView extends MachineView {
  override get domains(): readonly HvDomain[] {
    return super.domains.filter(({ id }) => id !== VICTIM);
  }
}

function viewOf(hypervisor: Hypervisor): SurvivorsView {
  const domain = (id: number): HvDomain => hypervisor.vcpu(id, 0).domain;
  return new SurvivorsView(hypervisor, {
    guest: (id, address) => domain(id).guest.load32(address),
    private: (id, address) => domain(id).state.load32(address),
  });
}

/** Whoever owes an EOI has the interrupt pending: nobody serves any here. */
function expectInterrupts(hypervisor: Hypervisor, view: SurvivorsView): void {
  for (const domain of view.domains) {
    for (const pirq of domain.config.pirqs) {
      if (domain.state.read32(domain.pirqAddress(pirq) + PIRQ_MASKED) === 0) continue;
      const port = hypervisor.pirqs.port(domain, pirq);
      expect(view.isPending(domain, port), `PIRQ ${pirq} of domain ${domain.id}`).to.equal(true);
    }
  }
}

/** No event of the other domains is lost, nobody sleeps who has something to do. */
function expectNothingLost(hypervisor: Hypervisor): void {
  const view = viewOf(hypervisor);
  for (const invariant of [noDeadPort, noDeadUpcall, noSleeperWithWork]) expect(invariant(view)).to.equal(undefined);
  expectInterrupts(hypervisor, view);
  for (const domain of view.domains.filter(isFifo)) {
    const pending: number[] = [];
    for (let port = 1; domain.portIsValid(port); port++) {
      if (view.isUsable(domain, port) && view.isPending(domain, port)) pending.push(port);
    }
    expect(takeEvents(hypervisor, domain)).to.include.members(pending);
  }
}

/** The other domains go on: each hypercall comes to an answer. */
function useOn(hypervisor: Hypervisor): void {
  const { evtchn } = hypervisor;
  for (const domain of hypervisor.domains.filter(({ id }) => id !== VICTIM)) {
    const current = domain.vcpus[0] as HvVcpu;
    domain.state.and32(current.pauseFlagsAddress, ~PauseFlag.BLOCKED);
    for (let port = 1; domain.portIsValid(port); port++) {
      evtchn.send(current, port);
      evtchn.unmask(current, port);
    }
    expect(evtchn.bindIpi(current, 0)).to.be.greaterThan(0);
    for (let port = 1; domain.portIsValid(port); port += 3) evtchn.close(current, port);
    hypervisor.physdev.eoi(current, 5);
    hypervisor.console.write(current, new Uint8Array([1]));
  }
  hypervisor.raisePirq(5);
  hypervisor.runExpiredTimers(10e9);
  hypervisor.time.calibrate();
  hypervisor.updateWallclock(7, 8);
}

/** Nothing of the bystander's is in use any more, but by itself; it grants the same to another. */
function useGrantsOn(hypervisor: Hypervisor): void {
  const { mappings } = hypervisor.grants;
  const bystander = hypervisor.vcpu(BYSTANDER, 0);
  const hardware = hypervisor.vcpu(HARDWARE, 0);
  for (const ref of Object.values(REFS)) {
    grant(bystander.domain, ref, HARDWARE);
    const handle = map(hypervisor, hardware, BYSTANDER, ref, 0);
    expect(handle, `grant ${ref}`).to.be.at.least(0);
    expect(mappings.unmap(hardware, page(0), 0, handle)).to.equal(0);
  }
  expect(map(hypervisor, bystander, VICTIM, OWN_REFS.unused, 1)).to.equal(GNTST.GNTST_bad_page);
  expect(mappings.unmap(bystander, page(0), 0, BYSTANDERS_HANDLE)).to.equal(0);
}

describe('a thread that is ended inside the hypervisor', () => {
  for (const fifo of ['nobody', 'the bystander', 'everybody'] as const) {
    for (const call of Object.keys(FATAL_CALLS)) {
      if (fifo !== 'nobody' && call in FATAL_GRANT_CALLS) continue;
      it(`leaves a whole machine, wherever in ${call} (${fifo} on FIFO)`, () => {
        const scene = new Scene(fifo, PRECEDED_BY[call]);
        let deaths = 0;
        for (let limit = 0; ; limit++) {
          scene.restore();
          const { died, notes } = scene.die(call, limit);
          if (!died) break;
          deaths++;
          try {
            scene.recover(notes);
            expectWhole(scene.host, scene.host.domain(VICTIM));
            expectNothingLost(scene.host);
            expect(grantsWrongly(scene.host.vcpu(VICTIM, 0).domain)).to.equal(false);
            scene.host.recovery.closeOff(scene.host.vcpu(VICTIM, 0).domain);
            expectWhole(scene.host);
            useOn(scene.host);
            useGrantsOn(scene.host);
            expectWhole(scene.host);
          } catch (error) {
            (error as Error).message = `ended before access ${limit + 1}: ${(error as Error).message}`;
            throw error;
          }
        }
        expect(deaths).to.be.greaterThan(0);
      });
    }
  }

  it('is seen by a bystander as one whose channels were closed', () => {
    const scene = new Scene('nobody', undefined);
    scene.recover(scene.die('EVTCHNOP_bind_interdomain', 30).notes);
    scene.host.recovery.closeOff(scene.host.vcpu(VICTIM, 0).domain);
    const { evtchn } = scene.host;
    const bystander = scene.host.vcpu(BYSTANDER, 0);
    expect(evtchn.bindInterdomain(bystander, VICTIM, scene.ports.unbound)).to.equal(-22);
    expect(evtchn.reset(bystander, DOMID_SELF)).to.equal(0);
  });
});
