/**
 * Build step: makes the code cache that load-roles.ts uses. V8 caches the functions that have been compiled, so the
 * machine's code is executed first, by booting a vCPU on this thread.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { planMachine } from '../machine-plan';
import { defineScenario } from '../scenario';
import { definingIn } from '../scenario-origin';
import type { ScenarioSource } from '../scenario-source';
import { codeCacheOf, compileRoles } from './load-roles';
import { MachineHost } from './machine-host';
import { checkRunOptions } from './run-options';

const ROLES = join(__dirname, '../../../workers/thread-roles.js');

/** A guest that does what every kernel does at its start, and to which an event happens. */
const SCENARIO = `
  const { defineScenario } = require('upcall');
  const { VIRQ_TIMER } = require('upcall/abi');
  const { Events, haltUntil, printk, systemTimeNs } = require('upcall/guest');
  module.exports = defineScenario({
    name: 'warm-up',
    words: { word: 0 },
    guest(vcpu) {
      const events = new Events(vcpu);
      let got = 0;
      const port = events.bindIpi(() => { got++; });
      events.bindVirq(VIRQ_TIMER, () => {});
      vcpu.hypercall.evtchn.send(port);
      haltUntil(vcpu, () => got > 0);
      vcpu.words.word.add(1);
      vcpu.relax();
      printk(vcpu, 'up');
      vcpu.log(systemTimeNs(vcpu), vcpu.random());
      return got;
    },
  });`;

function makeCodeCache(): void {
  const { script, exports: roles } = compileRoles(ROLES);
  const source: ScenarioSource = { file: __filename, code: SCENARIO, map: '' };
  const scenario = definingIn(__filename, () => defineScenario({ name: 'warm-up', words: { word: 0 }, guest() {} }));
  const host = new MachineHost(planMachine(scenario), source, checkRunOptions({}));
  host.setUp();
  const [domain] = host.domains;
  if (domain === undefined) throw new Error('no domain');
  const outcome = roles.vcpu(host.vcpuTask(domain, 0));
  if (outcome.kind !== 'returned' || outcome.result !== 1) throw new Error(`the warm-up guest ${outcome.kind}`);
  writeFileSync(codeCacheOf(ROLES), script.createCachedData());
}

if (require.main === module) makeCodeCache();
