/**
 * A kernel with a small shell on its console; the vCPUs the shell does not run on sleep until they are called.
 *
 * Teaches: the PV console as a driver uses it (`PvConsole` over the ring page, `Tty` for lines with editing), which any vCPU
 * may write to; IPIs that are answered; what a kernel can find out about its own vCPUs.
 *
 *     npx upcall console console-shell
 *     printf 'ps\nipi 2\npoweroff\n' | npx upcall run console-shell
 *
 * Where nobody is attached to the console, `TYPED` is.
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { RUNSTATE_blocked, RUNSTATE_offline, RUNSTATE_runnable, RUNSTATE_running, SHUTDOWN_poweroff } from 'upcall/abi';
import {
  Completion,
  Events,
  findConsole,
  HypercallError,
  haltUntil,
  PvConsole,
  type RunstateInfo,
  readWallclock,
  systemTimeNs,
  Tty,
  type Vcpu,
} from 'upcall/guest';

const TYPED = 'help\ntime\nps\nipi 1\nfrobnicate\npoweroff\n';

const MAX_VCPUS = 128;
const perVcpu = new Array(MAX_VCPUS).fill(0);

const STATES: Readonly<Record<number, string>> = {
  [RUNSTATE_running]: 'running',
  [RUNSTATE_runnable]: 'runnable',
  [RUNSTATE_blocked]: 'blocked',
  [RUNSTATE_offline]: 'offline',
};

const HELP = `help       this list
time       time since boot, and of day
ps         the vCPUs, their states and times
ipi VCPU   interrupt a vCPU and wait for its answer
poweroff   stop the machine (so does ctrl-D)
`;

class Shell {
  private readonly tty: Tty;
  private readonly answered: Completion;
  private readonly online: Completion;

  constructor(
    private readonly vcpu: Vcpu,
    events: Events,
    console: PvConsole,
  ) {
    this.tty = new Tty(console);
    this.answered = new Completion(events, vcpu.words.answered);
    this.online = new Completion(events, vcpu.words.online);
  }

  /** Until ctrl-D or poweroff. */
  run(): never {
    const { tty, vcpu } = this;
    for (let id = 1; id < vcpu.domain.vcpus; id++) this.online.wait();
    tty.write(`${vcpu.domain.name}: ${vcpu.domain.vcpus} vCPUs. Try 'help'.\n`);
    for (let line = tty.readLine('# '); line !== undefined; line = tty.readLine('# ')) {
      const [command = '', ...args] = line.trim().split(/\s+/);
      if (command !== '') tty.write(this.execute(command, args));
    }
    return this.powerOff();
  }

  /** What the command has to say. */
  private execute(command: string, args: readonly string[]): string {
    switch (command) {
      case 'help':
        return HELP;
      case 'time':
        return this.time();
      case 'ps':
        return this.processors();
      case 'ipi':
        return this.interrupt(args);
      case 'poweroff':
        return this.powerOff();
      default:
        return `${command}: no such command\n`;
    }
  }

  private time(): string {
    const clock = { seconds: 0, ns: 0 };
    readWallclock(this.vcpu, clock);
    const upNs = systemTimeNs(this.vcpu);
    const now = new Date(clock.seconds * 1000);
    return `up ${(upNs / 1e9).toFixed(3)} s, ${now.toISOString().replace('T', ' ').slice(0, 19)} UTC\n`;
  }

  private processors(): string {
    const { vcpu } = this;
    let text = 'vCPU  state      running ms  blocked ms\n';
    for (let id = 0; id < vcpu.domain.vcpus; id++) {
      const info = this.runstate(id);
      const ms = (state: number) =>
        (info === undefined ? '?' : (Number(info.timeNs[state]) / 1e6).toFixed(1)).padStart(12);
      const state = info === undefined ? '?' : (STATES[info.state] ?? '?');
      text += `${String(id).padStart(4)}  ${state.padEnd(9)}${ms(RUNSTATE_running)}${ms(RUNSTATE_blocked)}\n`;
    }
    return text;
  }

  /** Undefined on Arm, where Xen does not tell. */
  private runstate(id: number): RunstateInfo | undefined {
    try {
      return this.vcpu.hypercall.vcpu.getRunstateInfo(id);
    } catch (error) {
      // Only what is known: an engine may be unwinding this vCPU.
      if (error instanceof HypercallError && error.code === 'EINVAL') return undefined;
      throw error;
    }
  }

  private interrupt([which = '']: readonly string[]): string {
    const { vcpu, answered } = this;
    const target = Number(which);
    if (!/^\d+$/.test(which) || target >= vcpu.domain.vcpus) {
      return `ipi: which vCPU? There are 0 to ${vcpu.domain.vcpus - 1}\n`;
    }
    if (target === vcpu.id) return 'ipi: the shell runs on that vCPU\n';
    const startNs = vcpu.now();
    vcpu.words.sent[target].add(1);
    vcpu.hypercall.evtchn.send(vcpu.words.ports[target].load());
    answered.wait();
    return `vCPU ${target} answered after ${((vcpu.now() - startNs) / 1000).toFixed(1)} µs\n`;
  }

  private powerOff(): never {
    this.tty.write('Power down.\n');
    return this.vcpu.hypercall.sched.shutdown(SHUTDOWN_poweroff);
  }
}

/** A vCPU that waits to be called. */
function idle(vcpu: Vcpu, events: Events, console: PvConsole): void {
  const { answered, handled, online, ports } = vcpu.words;
  const answer = new Completion(events, answered);
  const port = events.bindIpi(() => {
    handled[vcpu.id].add(1);
    answer.complete();
  });
  ports[vcpu.id].store(port);
  console.write(`vCPU ${vcpu.id} is up\r\n`);
  new Completion(events, online).complete();
  haltUntil(vcpu, () => false);
}

export default defineScenario({
  name: 'console-shell',
  description: 'a kernel with a shell on the PV console',
  vcpus: 4,
  console: { input: TYPED },
  words: { online: 0, answered: 0, ports: perVcpu, sent: perVcpu, handled: perVcpu },
  guest(vcpu) {
    const events = new Events(vcpu);
    // vCPU 0 owns the console's event channel.
    const console = new PvConsole(events, findConsole(vcpu));
    if (vcpu.id === 0) new Shell(vcpu, events, console).run();
    idle(vcpu, events, console);
  },
  check({ words, domain }) {
    for (let id = 0; id < domain.vcpus; id++) {
      assert.equal(words.handled[id]!.read(), words.sent[id]!.read(), `vCPU ${id} was called as often as it answered`);
    }
  },
});
