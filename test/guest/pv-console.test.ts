import { expect } from 'chai';
import { XENCONSOLE } from '../../lib/abi';
import { ByteRing, RING_CORRUPT } from '../../lib/guest/byte-ring';
import { ConsolePage } from '../../lib/guest/console-page';
import { Events } from '../../lib/guest/events';
import { irqEnabled } from '../../lib/guest/irq';
import { PvConsole } from '../../lib/guest/pv-console';
import { Tty } from '../../lib/guest/tty';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import { ServedConsole } from '../../lib/services/console/served-console';
import { GuestMachine } from '../support/guest-machine';

const EINVAL = -22;
const PAGE = 32 * 4096;
const OUT_BYTES = 2048;
const IN_BYTES = 1024;
// Offsets in xencons_interface.
const IN_PROD = 3076;
const OUT_PROD = 3084;

const decoder = new TextDecoder();

/** A guest with a console, connected to itself; the test plays the daemon. */
function consoleMachine(vcpus = 1) {
  const machine = new GuestMachine({ vcpus });
  const { evtchn } = machine.guest(0).hypercall;
  const port = evtchn.allocUnbound(1, 1);
  const backPort = evtchn.bindInterdomain(1, port);
  const consoles = machine.guests.map((vcpu) => new PvConsole(new Events(vcpu), { page: PAGE, port }));
  const { memory } = machine.guest(0);
  // The daemon's accesses are not the guest's: no windows.
  const page = new ConsolePage(machine.hvVcpu(0).domain.guest, PAGE);
  const notify = () => void machine.hypervisor.evtchn.send(machine.hvVcpu(0), backPort);
  const backSends = () => memory.read32(machine.guest(0).sharedInfo.evtchn_pending.address) & (1 << backPort);
  return { machine, consoles, console: consoles[0] as PvConsole, page, notify, memory, backSends };
}

function takeAll(ring: ByteRing): string {
  const bytes = new Uint8Array(4096);
  const count = ring.take(bytes);
  return decoder.decode(bytes.subarray(0, Math.max(0, count)));
}

describe('ByteRing', () => {
  function ring(index = 0, limit?: number) {
    const memory = new AtomicsMemory(new SharedArrayBuffer(64));
    memory.write32(32, index);
    memory.write32(36, index);
    return { memory, ring: new ByteRing(memory, { bytes: 0, size: 16, cons: 32, prod: 36 }, limit) };
  }

  it('passes bytes on in order, over the end of the ring and of the indices', () => {
    for (const start of [0, 13, -5, 0x7fffffff]) {
      const { ring: it } = ring(start);
      const into = new Uint8Array(16);
      expect(it.put(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9))).to.equal(9);
      expect(
        it.put(
          Uint8Array.from({ length: 10 }, (_, i) => 10 + i),
          2,
        ),
      ).to.equal(7);
      expect(it.room()).to.equal(0);
      expect(it.take(into)).to.equal(16);
      expect([...into]).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 18]);
      expect([it.take(into), it.waiting(), it.room()]).to.deep.equal([0, 0, 16]);
    }
  });

  it('holds no more than its limit', () => {
    const { ring: it } = ring(0, 3);
    expect(it.put(new Uint8Array(5))).to.equal(3);
    expect(it.put(new Uint8Array(5))).to.equal(0);
  });

  it('reports indices that no honest peer leaves, and touches nothing', () => {
    for (const [cons, prod] of [
      [0, 17],
      [1, 0],
      [5, -5],
      [-1, 0x7fffffff],
    ] as const) {
      const { memory, ring: it } = ring();
      memory.write32(32, cons);
      memory.write32(36, prod);
      const into = Uint8Array.of(7);
      expect([it.put(Uint8Array.of(1)), it.take(into), it.room(), it.waiting()]).to.deep.equal(
        new Array(4).fill(RING_CORRUPT),
      );
      expect([memory.read32(32), memory.read32(36), into[0]]).to.deep.equal([cons, prod, 7]);
    }
  });
});

describe('PvConsole', () => {
  it('writes into the ring and tells the daemon', () => {
    const { console, page, backSends } = consoleMachine();
    expect(console.write('grüße\n')).to.equal(8);
    expect(takeAll(page.out)).to.equal('grüße\n');
    expect(backSends()).not.to.equal(0);
  });

  it('sleeps while the ring is full, and goes on when the daemon has made room', () => {
    const { machine, console, page, notify } = consoleMachine();
    const text = Array.from({ length: 3 * OUT_BYTES }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
    let sleeps = 0;
    let taken = '';
    machine.onSleep = () => {
      sleeps++;
      taken += takeAll(page.out);
      notify();
    };
    expect(console.write(text)).to.equal(text.length);
    expect(sleeps).to.equal(2);
    expect(taken + takeAll(page.out)).to.equal(text);
    expect(irqEnabled(machine.guest(0))).to.equal(true);
  });

  it('misses no room that is made at any moment of falling asleep', () => {
    for (let n = 0; n < 40; n++) {
      const { machine, console, page, notify } = consoleMachine();
      console.write('x'.repeat(OUT_BYTES));
      let made = false;
      const makeRoom = () => {
        if (made) return;
        made = true;
        takeAll(page.out);
        notify();
      };
      machine.interruptAt(0, n, makeRoom);
      machine.onSleep = () => {
        if (made) throw new Error(`asleep after room was made before access ${n}`);
        makeRoom();
      };
      expect(console.write('y')).to.equal(1);
    }
  });

  it('sleeps until there is input', () => {
    const { machine, console, page, notify } = consoleMachine();
    machine.onSleep = () => {
      page.in.put(Uint8Array.of(104, 105));
      notify();
    };
    const into = new Uint8Array(8);
    expect(console.read(into)).to.equal(2);
    expect([...into.subarray(0, 2)]).to.deep.equal([104, 105]);
    expect(console.tryRead(into)).to.equal(0);
  });

  it('lets a writer on another vCPU sleep, and its owner wake it', () => {
    const { machine, consoles, page, notify } = consoleMachine(2);
    const [owner, other] = consoles as [PvConsole, PvConsole];
    owner.write('x'.repeat(OUT_BYTES));
    const sleepers: number[] = [];
    machine.onSleep = ({ vcpuId }) => {
      sleepers.push(vcpuId);
      takeAll(page.out);
      notify();
      // The owner is idle: it takes the upcall.
      machine.guest(0).hypercall.xenVersion();
      machine.guest(0).info.evtchn_upcall_mask.write(0);
      machine.guest(0).hypercall.xenVersion();
    };
    expect(other.write('from vCPU 1')).to.equal(11);
    expect(sleepers).to.deep.equal([1]);
    expect(takeAll(page.out)).to.equal('from vCPU 1');
  });

  it('answers -EINVAL to indices that lie, before and while it waits', () => {
    const before = consoleMachine();
    before.memory.write32(PAGE + OUT_PROD, OUT_BYTES + 1);
    before.memory.write32(PAGE + IN_PROD, IN_BYTES + 1);
    expect(before.console.write('text')).to.equal(EINVAL);
    expect(before.console.read(new Uint8Array(4))).to.equal(EINVAL);
    expect(before.console.tryRead(new Uint8Array(4))).to.equal(EINVAL);

    const waiting = consoleMachine();
    waiting.console.write('x'.repeat(OUT_BYTES));
    waiting.machine.onSleep = () => {
      waiting.memory.write32(PAGE + OUT_PROD, -1);
      waiting.notify();
    };
    expect(waiting.console.write('y')).to.equal(EINVAL);
  });
});

describe('ServedConsole', () => {
  function served() {
    const { console, page, memory } = consoleMachine();
    let notified = 0;
    let output = '';
    const typed = new ByteRing(memory, { bytes: 40 * 4096, size: 2048, cons: 41 * 4096, prod: 41 * 4096 + 4 });
    let cuts = 0;
    const service = new ServedConsole({
      page,
      typed,
      notify: () => void notified++,
      emit: (bytes) => {
        output += decoder.decode(bytes);
      },
      cutOff: () => void cuts++,
    });
    return { console, page, memory, typed, service, notified: () => notified, output: () => output, cuts: () => cuts };
  }

  it('passes output on, and tells the domain once', () => {
    const { console, service, output, notified } = served();
    console.write('some output');
    service.serve();
    expect([output(), notified()]).to.deep.equal(['some output', 1]);
    service.serve();
    expect(notified()).to.equal(1);
  });

  it('keeps what was typed until the domain makes room for it', () => {
    const { page, typed, service } = served();
    typed.put(Uint8Array.from({ length: IN_BYTES + 10 }, (_, i) => i));
    service.serve();
    expect([page.in.waiting(), typed.waiting()]).to.deep.equal([IN_BYTES, 10]);
    takeAll(page.in);
    service.serve();
    expect([page.in.waiting(), typed.waiting()]).to.deep.equal([10, 0]);
  });

  it('tells the domain that it is connected', () => {
    const { page, service, notified } = served();
    page.setConnection(XENCONSOLE.XENCONSOLE_DISCONNECTED);
    service.connect();
    expect([page.connection(), notified()]).to.deep.equal([XENCONSOLE.XENCONSOLE_CONNECTED, 1]);
  });

  it('takes a console out of service when its indices lie, for good', () => {
    for (const index of [IN_PROD, OUT_PROD]) {
      const { page, memory, service, output, notified, typed, cuts } = served();
      typed.put(Uint8Array.of(1));
      memory.write32(PAGE + index, 0x12345678);
      service.serve();
      expect(service.inService).to.equal(false);
      expect(page.connection()).to.equal(XENCONSOLE.XENCONSOLE_DISCONNECTED);
      memory.write32(PAGE + index, 1);
      service.serve();
      expect([output(), notified(), cuts()]).to.deep.equal(['', 0, 1]);
    }
  });
});

describe('Tty', () => {
  /** Reads lines from what is typed until it runs out; returns them and all that appeared. */
  function typing(...typed: (string | number[])[]) {
    const { machine, console, page, notify } = consoleMachine();
    const tty = new Tty(console);
    let screen = '';
    machine.onSleep = () => {
      screen += takeAll(page.out);
      const next = typed.shift();
      if (next === undefined) page.in.put(Uint8Array.of(4));
      else page.in.put(typeof next === 'string' ? new TextEncoder().encode(next) : Uint8Array.from(next));
      notify();
    };
    const lines: string[] = [];
    for (let line = tty.readLine('> '); line !== undefined; line = tty.readLine('> ')) lines.push(line);
    return { lines, screen: screen + takeAll(page.out) };
  }

  it('reads lines that end in CR, LF or both, and echoes', () => {
    const { lines, screen } = typing('help\r', 'time\nps\r\n', '\r');
    expect(lines).to.deep.equal(['help', 'time', 'ps', '']);
    expect(screen).to.equal('> help\r\n> time\r\n> ps\r\n> \r\n> \r\n');
  });

  it('erases whole characters on Backspace, and the line on ctrl-U', () => {
    expect(typing('hé\x7flp\x08\x08ello\r').lines).to.deep.equal(['hello']);
    expect(typing('\x7f\x7fa\r').lines).to.deep.equal(['a']);
    const { lines, screen } = typing('abc\x15d\r');
    expect(lines).to.deep.equal(['d']);
    expect(screen).to.contain('abc\b \b\b \b\b \bd');
  });

  it('gives a line up on ctrl-C', () => {
    const { lines, screen } = typing('rm -rf\x03', 'ps\r');
    expect(lines).to.deep.equal(['', 'ps']);
    expect(screen).to.contain('rm -rf^C\r\n> ps');
  });

  it('takes ctrl-D for the end at the start of a line only', () => {
    expect(typing('abc\x04\r', '\x04', 'never').lines).to.deep.equal(['abc']);
  });

  it('leaves arrow keys and other escape sequences out', () => {
    expect(typing('a\x1b[Ab\x1bOPc\x1b[1;5Dd\x1bxe\r').lines).to.deep.equal(['abcde']);
    expect(typing('a\x1b', '[', '1', 'Cb\r').lines).to.deep.equal(['ab']);
  });

  it('refuses what a line has no room for, with a bell', () => {
    const { lines, screen } = typing('x'.repeat(520), '\r');
    expect(lines[0]?.length).to.equal(512);
    expect(screen.split('\x07').length - 1).to.equal(8);
  });
});
