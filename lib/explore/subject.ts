/** What is explored: a scenario, planned as a machine, with the fingerprint its tokens carry. */
import { ScenarioError } from '../engine/errors';
import { type MachinePlan, planMachine, type ScenarioOptions } from '../engine/machine-plan';
import { isScenario, type Scenario } from '../engine/scenario';
import { bundleScenario } from '../engine/scenario-bundle';
import { evaluateScenario, type ScenarioSource } from '../engine/scenario-source';
import { fingerprint } from './schedule';

export interface Subject {
  readonly plan: MachinePlan;
  readonly fingerprint: string;
  /** Of a scenario that came as a file. */
  readonly source?: ScenarioSource;
}

/**
 * @param scenario - path of a scenario file, or what defineScenario returned
 * @throws ScenarioError if the scenario or an option cannot be used
 */
export async function resolveSubject(scenario: string | Scenario, options: ScenarioOptions): Promise<Subject> {
  const { vcpus, abi, events, args } = options;
  if (typeof scenario === 'string') {
    const source = await bundleScenario(scenario);
    return subjectOf(planMachine(evaluateScenario(source), { vcpus, abi, events, args }), source);
  }
  if (!isScenario(scenario)) {
    throw new ScenarioError('SCENARIO_INVALID', 'give the path of a scenario file or the result of defineScenario');
  }
  return subjectOf(planMachine(scenario, { vcpus, abi, events, args }));
}

function subjectOf(plan: MachinePlan, source?: ScenarioSource): Subject {
  const { name, setup, devices } = plan.scenario;
  const guests = plan.domains.flatMap((domain) =>
    Array.from({ length: domain.config.vcpus }, (_, vcpu) => String(domain.guestOf(vcpu))),
  );
  const configs = plan.domains.map(({ config, words, guestDomain }) => ({
    config,
    words,
    // JSON leaves out what is undefined: the default is no part of the fingerprint.
    events: guestDomain.events === '2l' ? undefined : guestDomain.events,
  }));
  const code = Object.values<unknown>(devices ?? {}).map(String);
  const text = JSON.stringify([name, plan.args, configs, guests, String(setup), code]);
  return { plan, source, fingerprint: fingerprint(text ?? '') };
}
