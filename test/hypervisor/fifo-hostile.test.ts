/** Whatever a guest writes into its event words and control blocks: bounded steps, and nobody else's harm. */
import { expect } from 'chai';
import fc from 'fast-check';
import { DOMID_SELF } from '../../lib/abi';
import { CONTROL_FRAME, FifoDomain } from './support/fifo';
import { quiet, TestMachine } from './support/machine';
import { RacingMemory } from './support/racing-memory';

const LONG = process.env.UPCALL_LONG === '1';
const RUNS = LONG ? 5000 : 300;
const PORTS = 12;
/** Accesses of both domains' memories that an operation may make: three times what the longest takes undisturbed. */
const MOST_ACCESSES = 150;

/** Values that mean something, and any. */
const arbitraryWord = fc.oneof(
  fc
    .record({ flags: fc.integer({ min: 0, max: 15 }), link: fc.integer({ min: 0, max: PORTS + 1 }) })
    .map(({ flags, link }) => (flags << 28) | link),
  fc.integer(),
);

/** What the guest does: puts a value into a word of the control frame (0..63) or of the event array. */
const arbitraryWrite = fc.record({
  array: fc.boolean(),
  index: fc.integer({ min: 0, max: PORTS + 3 }),
  value: arbitraryWord,
});
const arbitraryOperation = fc.record({
  kind: fc.constantFrom('send', 'send', 'send', 'unmask', 'close', 'bind', 'priority', 'far', 'move'),
  port: fc.integer({ min: 1, max: PORTS }),
  argument: fc.integer({ min: 0, max: 15 }),
  /** Writes in between the accesses, one after each so many. */
  every: fc.integer({ min: 1, max: 6 }),
  writes: fc.array(arbitraryWrite, { maxLength: 8 }),
});

type Operation = typeof arbitraryOperation extends fc.Arbitrary<infer O> ? O : never;

function hostileMachine() {
  const machine = new TestMachine(
    [quiet({ id: 1, vcpus: 2 }), quiet({ id: 2, vcpus: 1 })],
    {},
    (buffer) => new RacingMemory(buffer),
  );
  const fifo = new FifoDomain(machine, 1);
  const { evtchn } = machine.hypervisor;
  for (let i = 0; i < PORTS / 2; i++) fifo.bindIpi(i % 2);
  const peers: number[] = [];
  for (let i = 0; i < PORTS / 2; i++) {
    const own = evtchn.allocUnbound(fifo.boot, DOMID_SELF, 2);
    peers.push(evtchn.bindInterdomain(machine.vcpu(2, 0), 1, own));
  }
  return { machine, fifo, peers };
}

function perform({ machine, fifo, peers }: ReturnType<typeof hostileMachine>, operation: Operation): number {
  const { evtchn } = machine.hypervisor;
  const { argument, kind, port } = operation;
  switch (kind) {
    case 'unmask':
      return evtchn.unmask(fifo.boot, port);
    case 'close':
      return evtchn.close(fifo.boot, port);
    case 'bind':
      return evtchn.bindIpi(fifo.boot, argument % 2);
    case 'priority':
      return evtchn.setPriority(fifo.boot, port, argument);
    case 'far':
      return evtchn.send(machine.vcpu(2, 0), peers[argument % peers.length] as number);
    case 'move':
      return evtchn.bindVcpu(fifo.boot, port, argument % 2);
    default:
      return evtchn.send(fifo.boot, port);
  }
}

describe('a hostile event array', () => {
  it('costs a bounded number of steps and hurts nobody else', function () {
    this.timeout(LONG ? 600_000 : 60_000);
    let most = 0;
    fc.assert(
      fc.property(fc.array(arbitraryOperation, { minLength: 20, maxLength: 60 }), (operations) => {
        const setup = hostileMachine();
        const { machine, fifo } = setup;
        const guest = fifo.domain.guest as RacingMemory;
        const state = fifo.domain.state as RacingMemory;
        const other = machine.hypervisor.image.domains[1];
        const otherMemory = Buffer.from(other?.guest as SharedArrayBuffer);
        for (const operation of operations) {
          const before = Buffer.from(otherMemory);
          let next = 0;
          let accesses = 0;
          guest.rival = (memory) => {
            if (++accesses % operation.every !== 0) return;
            const write = operation.writes[next++ % Math.max(1, operation.writes.length)];
            if (write === undefined) return;
            const base = write.array ? fifo.wordAddress(0) : CONTROL_FRAME * 4096;
            memory.write32(base + write.index * 4, write.value);
          };
          // Looking the address up for the rival is not a step of the hypervisor's.
          const started = guest.accesses;
          const result = perform(setup, operation);
          guest.rival = undefined;
          expect(Number.isInteger(result), `${operation.kind} returned ${result}`).to.equal(true);
          expect(result).to.be.within(-133, 131_071);
          most = Math.max(most, guest.accesses - started);
          expect(otherMemory.equals(before), 'the memory of another domain').to.equal(true);
        }
        // Every lock is free again: a lock that is not would hold the next one up for good.
        for (const { fifoAddress } of fifo.domain.vcpus) {
          for (let word = 0; word < 16; word++) expect(state.read32(fifoAddress + 64 + word * 4)).to.equal(0);
        }
        expect(state.read32(0)).to.equal(0);
      }),
      { numRuns: RUNS, seed: 20261124 },
    );
    expect(most).to.be.within(5, MOST_ACCESSES);
  });
});
