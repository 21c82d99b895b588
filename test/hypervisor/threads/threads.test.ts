import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { Hypervisor } from '../../../lib/hypervisor/hypervisor';
import { createMachineImage } from '../../../lib/hypervisor/image';
import { initialiseMachine } from '../../../lib/hypervisor/start-of-day';
import { DOMAIN_POLL_MASK } from '../../../lib/hypervisor/state-layout';
import { AtomicsMemory } from '../../../lib/memory/atomics-memory';
import { quiet, TestPlatform } from '../support/machine';
import { expectWhole } from '../support/whole';
import { GO, READY, type VcpuReport, type VcpuTask } from './task';

const SCALE = process.env.UPCALL_LONG === '1' ? 20 : 1;
/** Limit of every wait of this thread. */
const PATIENCE_MS = 60_000;

const workers: Worker[] = [];

function start(task: VcpuTask): Promise<VcpuReport> {
  return new Promise((resolve, reject) => {
    const execArgv = ['-r', 'ts-node/register/transpile-only'];
    const worker = new Worker(path.join(__dirname, 'vcpu-worker.ts'), { workerData: task, execArgv });
    workers.push(worker);
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the worker left with ${code} and no report`)));
  });
}

/** Resolves when all vCPUs have arrived; hears of failing workers meanwhile. */
async function allArrived(meeting: AtomicsMemory, count: number): Promise<void> {
  const limit = performance.now() + PATIENCE_MS;
  for (let ready = meeting.load32(READY); ready < count; ready = meeting.load32(READY)) {
    if (performance.now() > limit) throw new Error(`only ${ready} of ${count} vCPUs have arrived`);
    meeting.wait32(READY, ready, 10e6);
    await new Promise(setImmediate);
  }
}

type Part = Pick<VcpuTask, 'domainId' | 'vcpuId' | 'role' | 'rounds'> & Partial<VcpuTask>;

function machineOf(): Hypervisor {
  const image = createMachineImage([
    quiet({ id: 1, vcpus: 2, maxPort: 20 }),
    quiet({ id: 2, vcpus: 2, maxPort: 20, abi: 'x86_32' }),
  ]);
  const hypervisor = new Hypervisor(image, (buffer) => new AtomicsMemory(buffer), new TestPlatform());
  initialiseMachine(hypervisor);
  return hypervisor;
}

/** Runs vCPUs on threads that begin together; resolves with their reports. */
async function run(hypervisor: Hypervisor, parts: readonly Part[]): Promise<VcpuReport[]> {
  const meeting = new AtomicsMemory(new SharedArrayBuffer(4096));
  const tasks = parts.map((part, i): VcpuTask => {
    const common = { image: hypervisor.image, meeting: meeting.buffer, seed: 77 + i * 13, port: 0 };
    return { ...common, waitBy: 'block', ...part };
  });
  const reports = Promise.all(tasks.map(start));
  await Promise.race([reports, allArrived(meeting, tasks.length)]);
  meeting.store32(GO, 1);
  meeting.notify32(GO);
  return reports;
}

/** Everything fits together, and nobody polls. */
function expectAtRest(hypervisor: Hypervisor): void {
  expectWhole(hypervisor);
  for (const { state } of hypervisor.domains) expect(state.read32(DOMAIN_POLL_MASK)).to.equal(0);
}

describe('hypercalls on several threads', () => {
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  });

  it('leave channels consistent when four vCPUs bind, send on and close the same ports', async () => {
    const hypervisor = machineOf();
    const vcpus = [1, 2].flatMap((domainId) => [0, 1].map((vcpuId) => ({ domainId, vcpuId })));
    const reports = await run(
      hypervisor,
      vcpus.map((vcpu) => ({ ...vcpu, role: 'storm', rounds: 20_000 * SCALE }) as const),
    );
    expectAtRest(hypervisor);
    for (const { results } of reports) {
      const kinds = Object.keys(results).map(Number);
      expect(kinds.filter((result) => ![0, -16, -17, -22, -28].includes(result))).to.deep.equal([]);
      expect(results[0]).to.be.greaterThan(1000);
    }
  });

  it('do not deadlock when both ends of channels are closed at once', async () => {
    const hypervisor = machineOf();
    const parts = [1, 2].map((domainId) => ({ domainId, vcpuId: 0, role: 'connect', rounds: 3000 * SCALE }) as const);
    await run(hypervisor, parts);
    expectAtRest(hypervisor);
  });

  it('never deliver a VIRQ to a port that was closed and bound to something else', async () => {
    const hypervisor = machineOf();
    const parts = [0, 1].map((vcpuId) => ({ domainId: 1, vcpuId, role: 'virq', rounds: 20_000 * SCALE }) as const);
    await run(hypervisor, parts);
    expectAtRest(hypervisor);
  });

  for (const waitBy of ['block', 'poll'] as const) {
    it(`lose no wake-up of a vCPU that waits by SCHEDOP_${waitBy}`, async () => {
      const hypervisor = machineOf();
      const boot = hypervisor.vcpu(1, 0);
      // Port 1 notifies vCPU 0, port 2 vCPU 1.
      for (const id of [0, 1]) hypervisor.evtchn.bindIpi(boot, id);
      // Masked ports raise no upcall: the poller has to be found by its poll bit.
      if (waitBy === 'poll') boot.domain.guest.write32(boot.domain.maskAddress, 6);
      const rounds = 3000 * SCALE;
      const reports = await run(hypervisor, [
        { domainId: 1, vcpuId: 0, role: 'client', rounds, port: 2, waitBy },
        { domainId: 1, vcpuId: 1, role: 'server', rounds, port: 1, waitBy },
      ]);
      expect(reports.map((report) => report.rounds)).to.deep.equal([rounds, rounds]);
      expectAtRest(hypervisor);
    });
  }
});
