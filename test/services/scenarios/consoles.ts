/**
 * Two domains with consoles. `front` copies its input in capitals until a newline, then has each of its vCPUs write `args.lines`
 * lines; `other` does what `args.other` says of it.
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { Completion, Events, findConsole, HypercallError, haltUntil, PvConsole, type Vcpu } from 'upcall/guest';

const OUT_CONS = 3080;
const OUT_PROD = 3084;

const DEFAULTS = { lines: 2, other: 'idle', storm: 0 };

/** What a vCPU writes; long enough for several to fill the ring. */
export function line(vcpu: number, n: number): string {
  return `vCPU ${vcpu} line ${n} ${'.'.repeat((7 * n + vcpu) % 60)}\n`;
}

function front(vcpu: Vcpu): unknown {
  const { lines } = { ...DEFAULTS, ...vcpu.domain.args };
  const events = new Events(vcpu);
  const console = new PvConsole(events, findConsole(vcpu));
  const begun = new Completion(events, vcpu.words.begun);
  const done = new Completion(events, vcpu.words.done);
  let typed = '';
  if (vcpu.id === 0) {
    const portion = new Uint8Array(300);
    while (!typed.endsWith('\n')) {
      typed += new TextDecoder().decode(portion.subarray(0, console.read(portion)));
    }
    console.write(typed.toUpperCase());
    begun.completeAll();
  } else {
    begun.wait();
  }
  for (let n = 0; n < lines; n++) vcpu.assert(console.write(line(vcpu.id, n)) > 0);
  done.complete();
  // The owner of the port serves the others until they are done.
  if (vcpu.id === 0) for (let n = 0; n < vcpu.domain.vcpus; n++) done.wait();
  return typed.length;
}

/** A domain that does to its ring, and to the daemon, what it likes. */
function other(vcpu: Vcpu): unknown {
  const { other: manner, storm } = { ...DEFAULTS, ...vcpu.domain.args };
  const { page, port } = findConsole(vcpu);
  const events = new Events(vcpu);
  const console = new PvConsole(events, { page, port });
  console.write('hello\n');
  for (let n = 0; n < storm; n++) {
    if (manner === 'wild') vcpu.memory.store32(page + OUT_PROD, (vcpu.random() * 2 ** 32) | 0);
    if (manner === 'backwards') vcpu.memory.store32(page + OUT_CONS, vcpu.memory.load32(page + OUT_PROD) + 1);
    try {
      vcpu.hypercall.evtchn.send(port);
    } catch (error) {
      if (!(error instanceof HypercallError)) throw error;
      // Nobody is at the other end any more.
      return n;
    }
  }
  if (manner === 'idle') haltUntil(vcpu, () => true);
  return storm;
}

export default defineScenario({
  name: 'consoles',
  console: { input: { front: 'typed by nobody\n', other: 'never read' } },
  args: DEFAULTS,
  domains: {
    front: { vcpus: 2, words: { begun: 0, done: 0 }, guest: front },
    other: { guest: other },
  },
  check({ resultsOf }) {
    assert.ok((resultsOf.front?.[0] as number) > 0);
  },
});
