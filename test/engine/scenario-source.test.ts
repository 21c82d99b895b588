import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { ScenarioError } from '../../lib/engine/errors';
import { bundleScenario } from '../../lib/engine/scenario-bundle';
import { evaluateScenario, mapStack } from '../../lib/engine/scenario-source';

describe('scenario files', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'upcall-test-'));
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  function file(name: string, text: string): string {
    const full = path.join(folder, name);
    mkdirSync(path.dirname(full), { recursive: true });
    writeFileSync(full, text);
    return full;
  }

  async function load(name: string, text: string) {
    return evaluateScenario(await bundleScenario(file(name, text)));
  }

  async function complaint(work: Promise<unknown>): Promise<ScenarioError> {
    const error = await work.then(
      () => undefined,
      (thrown) => thrown,
    );
    expect(error).to.be.instanceOf(ScenarioError);
    expect(error.message).to.not.contain('\n');
    return error;
  }

  const define = (name: string) => `defineScenario({ name: '${name}', guest: (vcpu) => vcpu.id })`;

  it('may be TypeScript or JavaScript, of either module system', async () => {
    const imported = `import { defineScenario } from 'upcall';\nexport default ${define('x')};\n`;
    for (const extension of ['ts', 'mts', 'js', 'mjs']) {
      expect((await load(`module.${extension}`, imported)).name).to.equal('x');
    }
    const required = `const { defineScenario } = require('upcall');\nmodule.exports = ${define('y')};\n`;
    for (const extension of ['cts', 'cjs']) {
      expect((await load(`module.${extension}`, required)).name).to.equal('y');
    }
  });

  it('may import what lies beside them, and this copy of the package by name', async () => {
    file(
      'deep/name.ts',
      `import { VIRQ_TIMER } from 'upcall/abi';\nexport const name: string = 'virq-' + VIRQ_TIMER;\n`,
    );
    const scenario = await load(
      'importing.ts',
      `import { defineScenario } from 'upcall';\nimport { name } from './deep/name';\n` +
        `export default defineScenario({ name, guest() {} });\n`,
    );
    expect(scenario.name).to.equal('virq-0');
  });

  it('may export the scenario under any name if it is the only one', async () => {
    const head = `import { defineScenario } from 'upcall';\n`;
    expect((await load('named.ts', `${head}export const a = ${define('x')};\n`)).name).to.equal('x');
    const two = `${head}export const a = ${define('x')};\nexport const b = ${define('y')};\n`;
    const error = await complaint(load('two.ts', two));
    expect(error.message).to.match(/several scenarios/);
    const second = evaluateScenario(await bundleScenario(file('two.ts', two)), { index: 1 });
    expect(second.name).to.equal('y');
  });

  it('show their own lines in stack traces', async () => {
    file(
      'boom.ts',
      `interface Unused {\n  a: number;\n}\n\nexport function boom(): never {\n  throw new Error('boom');\n}\n`,
    );
    const source = await bundleScenario(
      file(
        'throwing.ts',
        `import { defineScenario } from 'upcall';\nimport { boom } from './boom';\n\n` +
          `export default defineScenario({\n  name: 'x',\n  guest() {\n    boom();\n  },\n});\n`,
      ),
    );
    const { guest } = evaluateScenario(source);
    let stack = '';
    try {
      (guest as () => void)();
    } catch (error) {
      stack = mapStack(source, (error as Error).stack ?? '');
    }
    expect(stack).to.contain(`${path.join(folder, 'boom.ts')}:6:`);
    expect(stack).to.contain(`${path.join(folder, 'throwing.ts')}:7:`);
    expect(mapStack(source, stack)).to.equal(stack);
  });

  it('are evaluated anew each time', async () => {
    const source = await bundleScenario(
      file(
        'counting.ts',
        `import { defineScenario } from 'upcall';\nlet calls = 0;\n` +
          `export default defineScenario({ name: 'x', guest: () => ++calls });\n`,
      ),
    );
    for (let i = 0; i < 2; i++) expect((evaluateScenario(source).guest as () => number)()).to.equal(1);
  });

  it('are bundled anew when one of their files has changed', async () => {
    const name = file('changing/name.ts', `export const name = 'before';\n`);
    const scenario = file(
      'changing/scenario.ts',
      `import { defineScenario } from 'upcall';\nimport { name } from './name';\n` +
        `export default defineScenario({ name, guest() {} });\n`,
    );
    const first = await bundleScenario(scenario);
    expect(await bundleScenario(scenario)).to.equal(first);
    file('changing/name.ts', `export const name = 'afterwards';\n`);
    expect(evaluateScenario(await bundleScenario(scenario)).name).to.equal('afterwards');
    rmSync(name);
    expect((await complaint(bundleScenario(scenario))).message).to.match(/Could not resolve/);
  });

  const bad: readonly [string, string, string, string, RegExp][] = [
    ['a syntax error', 'syntax.ts', 'const a = 1;\nlet b = ;\n', 'SCENARIO_SYNTAX', /syntax\.ts:2:9: Unexpected ";"/],
    ['a missing import', 'lost.ts', `import './nowhere';\n`, 'SCENARIO_SYNTAX', /lost\.ts:1:8: Could not resolve/],
    ['an import that throws', 'throws.ts', '\n(null as any).x;\n', 'SCENARIO_THROWS', /TypeError.*throws\.ts:2:/],
    ['a missing package', 'pkg.ts', `import 'no-such-package';\n`, 'SCENARIO_THROWS', /Cannot find module/],
    ['something thrown that is no error', 'three.ts', 'throw 3;\n', 'SCENARIO_THROWS', /thrown: 3/],
    ['no default export', 'none.ts', 'export const a = 1;\n', 'SCENARIO_MISSING', /no default export/],
    ['a foreign default export', 'odd.ts', 'export default 3;\n', 'SCENARIO_MISSING', /is not a scenario/],
    [
      'a malformed scenario',
      'malformed.ts',
      `import { defineScenario } from 'upcall';\nexport default defineScenario({ name: 'x' });\n`,
      'SCENARIO_INVALID',
      /malformed\.ts:2:\d+: scenario 'x': no guest/,
    ],
  ];
  for (const [what, name, text, code, message] of bad) {
    it(`report ${what} in one line`, async () => {
      const error = await complaint(load(name, text));
      expect(error.code).to.equal(code);
      expect(error.message).to.match(message);
    });
  }

  it('report a path that leads to no scenario', async () => {
    const folderError = await complaint(bundleScenario(folder));
    expect(folderError.message).to.match(/not a file/);
    const missing = await complaint(bundleScenario(path.join(folder, 'nowhere.ts')));
    expect(missing).to.include({ code: 'SCENARIO_NOT_FOUND' });
    const text = await complaint(bundleScenario(file('notes.txt', '')));
    expect(text.message).to.match(/expected \.ts/);
  });
});
