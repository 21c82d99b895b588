/**
 * A hostile domain beside a victim. Two hostile vCPUs make random raw hypercalls, the third writes random bytes over all the
 * domain's memory meanwhile: structures that the hypervisor is reading, shared_info, registered areas, event words. The victim
 * fills its memory, looks after it, counts its events, and has ports that the hostile domain may connect to and send to.
 */

import { DOMID_SELF, EVTCHNSTAT_interdomain, EVTCHNSTAT_ipi, EVTCHNSTAT_unbound } from '../../../lib/abi';
import type { AbiName } from '../../../lib/abi/abis';
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, GrantTable, haltUntil, type Vcpu, type Word } from '../../../lib/guest';
import { HostileCalls } from '../../support/hostile/calls';
import { Dice } from '../../support/hostile/dice';

const FRAME_BYTES = 4096;
const FRAMES = 64;
/** The victim's frames with a pattern in them: between its named words and the words of the kernel library. */
const PATTERN = { from: 8 * FRAME_BYTES, to: 40 * FRAME_BYTES };
/** Frames the victim grants to the hostile domain: one with a pattern to look at, one to write to as well. */
const GRANTED = { read: 39, write: 45 };
const HOSTILE = 1;
/** Ports of the victim's that wait for the hostile domain: the lowest ones. */
const OPEN_PORTS = [1, 2, 3, 4];
const NS_PER_MS = 1e6;
/** Looks at the clock once in so many calls or writes. */
const PAUSE = 512;

function hostileCalls(vcpu: Vcpu): HostileCalls {
  const dice = new Dice(Math.floor(vcpu.random() * 2 ** 32));
  const { abi, args, vcpus } = vcpu.domain;
  const { memory } = vcpu;
  const surroundings = { abi: abi as AbiName, memory, bytes: memory.byteLength, vcpus, now: () => vcpu.now() };
  const spared = args.fifo ? [] : ['EVTCHNOP_init_control'];
  const calls = new HostileCalls(dice, surroundings, new Set(spared));
  let depth = 0;
  vcpu.onUpcall(() => {
    vcpu.memory.write8(vcpu.info.address, 0);
    if (depth > 0 || !dice.oneIn(4)) return;
    depth++;
    calls.make(vcpu.hypercall.raw);
    depth--;
  });
  return calls;
}

function call(vcpu: Vcpu): void {
  const calls = hostileCalls(vcpu);
  const end = vcpu.now() + vcpu.domain.args.ms * NS_PER_MS;
  while (vcpu.now() < end) {
    for (let i = 0; i < PAUSE; i++) {
      const result = calls.make(vcpu.hypercall.raw);
      vcpu.assert(Number.isInteger(result) && result >= -133, `a hypercall returned ${result}`);
    }
  }
}

/** Ends the domain in the end: the others may be asleep for good, or down. */
function scribble(vcpu: Vcpu): void {
  const calls = hostileCalls(vcpu);
  const end = vcpu.now() + vcpu.domain.args.ms * NS_PER_MS;
  while (vcpu.now() < end) {
    for (let i = 0; i < PAUSE; i++) calls.scribble();
    vcpu.hypercall.raw(17, 0);
  }
  vcpu.hypercall.sched.shutdown(0);
}

/** What belongs at an address of the pattern. */
function patternAt(address: number): number {
  return Math.imul(address + 1, 0x9e3779b1) | 0;
}

function checkPattern(vcpu: Vcpu): void {
  for (let address = PATTERN.from; address < PATTERN.to; address += 4) {
    const found = vcpu.memory.read32(address);
    if (found !== patternAt(address)) vcpu.assert(false, `the victim's memory has changed at ${address}: ${found}`);
  }
}

/** The victim's ports are what they were; the far ends of open ones are the hostile domain's business. */
function checkPorts(vcpu: Vcpu, own: readonly number[]): void {
  for (const port of own) {
    const { status } = vcpu.hypercall.evtchn.status(DOMID_SELF, port);
    vcpu.assert(status === EVTCHNSTAT_ipi, `IPI port ${port} of the victim has become ${status}`);
  }
  for (const port of OPEN_PORTS) {
    const { dom, status } = vcpu.hypercall.evtchn.status(DOMID_SELF, port);
    const fine = status === EVTCHNSTAT_unbound || status === EVTCHNSTAT_interdomain;
    vcpu.assert(fine && dom === 1, `open port ${port} of the victim has become ${status} of domain ${dom}`);
  }
}

/** Grants, and now and then takes back: in between nobody else has the frame, whatever the other domain says. */
class Granting {
  private readonly grants: GrantTable;
  private readonly refs: readonly number[];
  takenBack = 0;
  foundInUse = 0;

  constructor(private readonly vcpu: Vcpu) {
    this.grants = new GrantTable(vcpu);
    const { read, write } = GRANTED;
    this.refs = [this.grants.grantAccess(HOSTILE, read, { readonly: true }), this.grants.grantAccess(HOSTILE, write)];
  }

  takeBack(): void {
    const { memory } = this.vcpu;
    const [read, write] = this.refs as [number, number];
    if (this.grants.endAccessRef(read)) this.grants.grantAccessRef(read, HOSTILE, GRANTED.read, { readonly: true });
    if (!this.grants.endAccessRef(write)) {
      this.foundInUse++;
      return;
    }
    const address = GRANTED.write * FRAME_BYTES;
    for (let at = address; at < address + FRAME_BYTES; at += 4) memory.write32(at, 0);
    for (let at = address; at < address + FRAME_BYTES; at += 4) {
      const found = memory.read32(at);
      if (found !== 0) this.vcpu.assert(false, `a frame was written after its grant was taken back: ${found} at ${at}`);
    }
    this.takenBack++;
    this.grants.grantAccessRef(write, HOSTILE, GRANTED.write);
  }
}

/** The two vCPUs hand an event back and forth. Exact: nothing coalesces, so a lost event stops both. */
function suffer(vcpu: Vcpu<{ ports: readonly number[]; ball: number; over: number }>): unknown {
  const { ports, ball, over } = vcpu.words;
  const { id } = vcpu;
  let handled = 0;
  let foreign = 0;
  const events = new Events(vcpu);
  const own = events.bindIpi(() => {
    handled++;
  });
  const [mine, theirs] = [ports[id], ports[1 - id]] as [Word, Word];
  if (id === 0) {
    for (let address = PATTERN.from; address < PATTERN.to; address += 4)
      vcpu.memory.write32(address, patternAt(address));
    for (const port of OPEN_PORTS) events.bindEvtchn(port, () => foreign++);
  }
  const granting = id === 0 ? new Granting(vcpu) : undefined;
  mine.store(own);
  while (theirs.load() === 0) vcpu.relax();
  const other = theirs.load();
  const end = vcpu.now() + vcpu.domain.args.ms * NS_PER_MS;
  let turns = 0;
  for (; ; turns++) {
    if (id === 0) {
      if (turns % 64 === 0) {
        checkPattern(vcpu);
        checkPorts(vcpu, [own, other]);
        granting?.takeBack();
      }
      if (vcpu.now() >= end) over.store(1);
      ball.store(turns + 1);
      vcpu.hypercall.evtchn.send(other);
    }
    haltUntil(vcpu, () => handled === turns + 1);
    vcpu.assert(ball.load() === turns + 1, `turn ${turns}: the ball says ${ball.load()}`);
    const last = over.load() !== 0;
    if (id === 1) vcpu.hypercall.evtchn.send(other);
    if (last) break;
  }
  return {
    turns: turns + 1,
    handled,
    foreign,
    takenBack: granting?.takenBack ?? 0,
    foundInUse: granting?.foundInUse ?? 0,
  };
}

export default defineScenario({
  name: 'hostile',
  args: { ms: 200, fifo: false },
  domains: {
    hostile: { frames: FRAMES, pirqs: [1, 2, 3], guests: [scribble, call, call] },
    victim: {
      frames: FRAMES,
      words: { ports: [0, 0], ball: 0, over: 0 },
      guests: [suffer, suffer],
    },
  },
  devices: {
    nuisance(device) {
      for (;;) {
        device.sleep(50_000);
        device.raisePirq(1 + Math.floor(device.random() * 3));
        device.raiseVirq(1, Math.floor(device.random() * 3), Math.floor(device.random() * 2));
      }
    },
  },
  setup({ domains }) {
    const { hostile, victim } = domains;
    for (const port of OPEN_PORTS) {
      const allocated = victim!.hypercall.evtchn.allocUnbound(DOMID_SELF, hostile!.id);
      if (allocated !== port) throw new Error(`the victim's port is ${allocated}`);
    }
  },
});
