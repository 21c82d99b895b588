import { expect } from 'chai';
import { poolThreads } from '../../lib/engine/threads';
import type { AbiName, RunResult } from '../../lib/index';
import { runScenario } from './support/threads';

function expectHeld(result: RunResult): void {
  expect(result.failure).to.equal(null);
  for (const { exit } of result.domains) expect(exit).to.deep.equal({ reason: 'completed' });
}

const results = (result: RunResult) => result.domains[0]!.vcpus.map((vcpu) => vcpu.result);

describe('machines on threads', () => {
  for (const abi of ['x86_64', 'x86_32', 'arm64', 'arm32'] satisfies AbiName[]) {
    it(`send IPIs round four vCPUs on ${abi}`, async () => {
      const result = await runScenario('ring', { abi });
      expectHeld(result);
      expect(results(result)).to.deep.equal([25, 25, 25, 25]);
    });
  }

  it('run more vCPUs than the shared page has room for', async () => {
    const result = await runScenario('ring', { vcpus: 40, args: { rounds: 2 } });
    expectHeld(result);
    expect(results(result)).to.deep.equal(new Array(40).fill(2));
  });

  it('count hypercalls, upcalls and events of each vCPU', async () => {
    const { domains } = await runScenario('ring', { vcpus: 2, args: { rounds: 10 } });
    for (const vcpu of domains[0]!.vcpus) {
      expect(vcpu.events).to.equal(10);
      expect(vcpu.upcalls).to.be.within(1, 10);
      expect(vcpu.hypercalls).to.be.at.least(10);
      expect(vcpu.runningNs).to.be.above(0);
    }
  });

  it('start with the boot vCPU alone where the scenario says so', async () => {
    const result = await runScenario('bring-up');
    expectHeld(result);
    expect(results(result)).to.deep.equal(['boot', 1, 2, 3]);
  });

  it('are over when the vCPUs that were brought up are', async () => {
    const result = await runScenario('bring-up', { args: { up: 1 } });
    expectHeld(result);
    expect(results(result)).to.deep.equal(['boot', 1, undefined, undefined]);
  });

  it('wake sleeping vCPUs by each of their timers, not before the time', async () => {
    const result = await runScenario('timers');
    expectHeld(result);
    const { periodic, ...timers } = results(result)[0] as Record<string, number>;
    for (const [timer, ms] of Object.entries(timers)) expect(ms, timer).to.be.at.least(20);
    // Four ticks 2 ms apart, the first perhaps at once.
    expect(periodic).to.be.at.least(6);
  });

  it('have devices that raise interrupts, and switch them off at the end', async () => {
    const log: string[] = [];
    const result = await runScenario('hardware', { onLog: ({ domain, text }) => log.push(`${domain}: ${text}`) });
    expectHeld(result);
    expect(results(result)).to.deep.equal([5]);
    expect(log).to.deep.equal([0, 1, 2, 3, 4].map((i) => `nic: raise ${i}`));
  });

  it('end the thread of a device that does not notice that it is switched off', async () => {
    const before = poolThreads();
    const result = await runScenario('stubborn-device');
    expectHeld(result);
    expect(results(result)).to.deep.equal(['done']);
    // A vCPU's thread and the timer's may be new; the device's is gone.
    expect(poolThreads()).to.be.at.most(Math.max(before, 2));
  });

  it('fail with a device that fails', async () => {
    const { failure, domains } = await runScenario('hardware', { args: { fails: true } });
    expect(failure).to.include({ kind: 'device', message: "device 'idler': Error: smoke" });
    expect(failure?.cause?.stack).to.match(/hardware\.ts:26:/);
    expect(domains[0]?.exit.reason).to.equal('aborted');
  });

  it('tell the control domain of a domain that crashed', async () => {
    const { domains } = await runScenario('control-domain');
    expect(domains.map(({ exit }) => exit.reason)).to.deep.equal(['completed', 'crash']);
    expect(domains[0]?.vcpus[0]?.result).to.be.at.least(1);
  });

  it('take what is typed at the console', async () => {
    const typed = `${'long line '.repeat(50)}\n`;
    const result = await runScenario('console-reader', { input: typed });
    expectHeld(result);
    expect(results(result)).to.deep.equal([typed]);
  });
});
