/**
 * The boot vCPU brings up the others one by one, then calls a function on each by IPI.
 *
 * Teaches: VCPUOP_initialise and VCPUOP_up, the vcpu_info of vCPUs that have no slot in the shared page (33rd and
 * later, registered for them by `bringUp`), completions, a cross-call by IPI.
 *
 *     npx upcall run examples/smp-bringup.ts --vcpus 40
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { bringUp, Completion, Events, haltUntil, type Vcpu } from 'upcall/guest';

const MAX_VCPUS = 128;
const perVcpu = new Array(MAX_VCPUS).fill(0);

/** What the boot vCPU asks of the others: something only they can answer. */
function answer(vcpu: Vcpu): number {
  return vcpu.id * vcpu.id + 1;
}

function bootVcpu(vcpu: Vcpu): unknown {
  const { online, answered, ports, answers } = vcpu.words;
  const events = new Events(vcpu);
  // All ports start unmasked. Before anybody else runs is the time to change that.
  events.maskAll();
  const allOnline = new Completion(events, online);
  const allAnswered = new Completion(events, answered);

  const others = vcpu.domain.vcpus - 1;
  for (let id = 1; id <= others; id++) bringUp(vcpu, id);
  for (let id = 1; id <= others; id++) allOnline.wait();

  // A vCPU counts as online only with its port published, so there is a port for everyone here.
  for (let id = 1; id <= others; id++) vcpu.hypercall.evtchn.send(ports[id].load());
  for (let id = 1; id <= others; id++) allAnswered.wait();

  let sum = 0;
  for (let id = 1; id <= others; id++) sum += answers[id].load();
  return { online: others + 1, sum };
}

function secondaryVcpu(vcpu: Vcpu): unknown {
  const { online, answered, ports, answers } = vcpu.words;
  const events = new Events(vcpu);
  const amOnline = new Completion(events, online);
  const haveAnswered = new Completion(events, answered);
  let called = false;

  const port = events.bindIpi(() => {
    answers[vcpu.id].store(answer(vcpu));
    called = true;
    haveAnswered.complete();
  });
  ports[vcpu.id].store(port);
  amOnline.complete();
  haltUntil(vcpu, () => called);
  return { port };
}

export default defineScenario({
  name: 'smp-bringup',
  description: 'vCPU 0 starts the others, then runs a function on each by IPI',
  vcpus: 4,
  start: 'boot',
  words: { online: 0, answered: 0, ports: perVcpu, answers: perVcpu },

  guest(vcpu) {
    return vcpu.id === 0 ? bootVcpu(vcpu) : secondaryVcpu(vcpu);
  },

  check({ domain, results }) {
    const boot = results[0] as { online: number; sum: number };
    const ids = Array.from({ length: domain.vcpus }, (_, id) => id);
    assert.equal(boot.online, domain.vcpus);
    assert.equal(
      boot.sum,
      ids.slice(1).reduce((sum, id) => sum + id * id + 1, 0),
      'every vCPU gave its own answer',
    );
  },
});
