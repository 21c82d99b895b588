import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { ECS_FREE, ECS_INTERDOMAIN, ECS_RESERVED, ECS_VIRQ, NR_VIRQS } from '../../../lib/abi';
import { type HvDomain, Hypervisor } from '../../../lib/hypervisor/hypervisor';
import { createMachineImage } from '../../../lib/hypervisor/image';
import { initialiseMachine } from '../../../lib/hypervisor/start-of-day';
import {
  CHANNEL_LOCK,
  CHANNEL_NOTIFY_VCPU_ID,
  CHANNEL_REMOTE_DOMID,
  CHANNEL_REMOTE_PORT,
  CHANNEL_STATE,
  DOMAIN_ACTIVE_EVTCHNS,
  DOMAIN_EVENT_LOCK,
  DOMAIN_POLL_MASK,
  VCPU_VIRQ_LOCK,
  VCPU_VIRQ_TO_EVTCHN,
} from '../../../lib/hypervisor/state-layout';
import { AtomicsMemory } from '../../../lib/memory/atomics-memory';
import { quiet, TestPlatform } from '../support/machine';
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

/** The state word and the rest of a channel's record. */
function channel(domain: HvDomain, port: number) {
  const read = (field: number) => domain.state.read32(domain.channelAddress(port) + field);
  return {
    lock: read(CHANNEL_LOCK),
    state: read(CHANNEL_STATE),
    vcpu: read(CHANNEL_NOTIFY_VCPU_ID),
    dom: read(CHANNEL_REMOTE_DOMID),
    number: read(CHANNEL_REMOTE_PORT),
  };
}

function checkDomain(hypervisor: Hypervisor, domain: HvDomain): void {
  const { guest, state } = domain;
  let active = 0;
  for (let port = 0; domain.portIsValid(port); port++) {
    const { dom, lock, number, state: ecs, vcpu } = channel(domain, port);
    const where = `d${domain.id} port ${port}`;
    expect(lock, `${where}: lock`).to.equal(0);
    const pending = (guest.read32(domain.pendingAddress + (port >> 5) * 4) >>> (port & 31)) & 1;
    if (ecs === ECS_FREE) expect(pending, `${where}: pending but free`).to.equal(0);
    if (ecs !== ECS_FREE && ecs !== ECS_RESERVED) active++;
    if (ecs === ECS_INTERDOMAIN) {
      const peer = hypervisor.domain(dom) as HvDomain;
      expect(channel(peer, number), `${where}: its peer`).to.include({
        state: ECS_INTERDOMAIN,
        dom: domain.id,
        number: port,
      });
    }
    if (ecs === ECS_VIRQ) {
      const holder = domain.vcpu(vcpu);
      const slot = (holder?.address as number) + VCPU_VIRQ_TO_EVTCHN + number * 4;
      expect(state.read32(slot), `${where}: slot of VIRQ ${number}`).to.equal(port);
    }
  }
  expect(state.read32(DOMAIN_ACTIVE_EVTCHNS)).to.equal(active);
  expect(state.read32(DOMAIN_EVENT_LOCK)).to.equal(0);
  expect(state.read32(DOMAIN_POLL_MASK)).to.equal(0);
}

function checkSlots(domain: HvDomain): void {
  for (const vcpu of domain.vcpus) {
    expect(domain.state.read32(vcpu.address + VCPU_VIRQ_LOCK)).to.equal(0);
    for (let virq = 0; virq < NR_VIRQS; virq++) {
      const port = domain.state.read32(vcpu.address + VCPU_VIRQ_TO_EVTCHN + virq * 4);
      if (port !== 0) expect(channel(domain, port)).to.include({ state: ECS_VIRQ, number: virq, vcpu: vcpu.vcpuId });
    }
  }
}

/** Every lock free, every link matched by its other half, every count right. */
function checkMachine(hypervisor: Hypervisor): void {
  for (const domain of hypervisor.domains) {
    checkDomain(hypervisor, domain);
    checkSlots(domain);
  }
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
    checkMachine(hypervisor);
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
    checkMachine(hypervisor);
  });

  it('never deliver a VIRQ to a port that was closed and bound to something else', async () => {
    const hypervisor = machineOf();
    const parts = [0, 1].map((vcpuId) => ({ domainId: 1, vcpuId, role: 'virq', rounds: 20_000 * SCALE }) as const);
    await run(hypervisor, parts);
    checkMachine(hypervisor);
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
      checkMachine(hypervisor);
    });
  }
});
