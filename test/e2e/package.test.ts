import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';

const execute = promisify(execFile);
const ROOT = path.join(__dirname, '../..');

describe('the package', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'upcall-package-'));
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  it('packs, installs into an empty folder, runs an example there, and can be used by a program', async function () {
    this.timeout(180_000);
    await execute('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT });
    const [tarball = ''] = readdirSync(folder);
    expect(tarball).to.match(/^upcall-.*\.tgz$/);
    writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
    await execute('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball}`], { cwd: folder });

    const bin = path.join(folder, 'node_modules/.bin/upcall');
    const example = 'node_modules/upcall/examples/ipi-ping-pong.ts';
    const { stdout } = await execute(bin, ['run', example], { cwd: folder });
    expect(stdout).to.match(/^ipi-ping-pong: completed$/m);

    // A scenario of the user's own, run by a program that ends without further ado.
    writeFileSync(
      path.join(folder, 'mine.mts'),
      `import { defineScenario } from 'upcall';
       import { VIRQ_TIMER } from 'upcall/abi';
       import { Events } from 'upcall/guest';
       export default defineScenario({ name: 'mine', vcpus: 2, guest: (vcpu) => [vcpu.id, VIRQ_TIMER, typeof Events] });`,
    );
    writeFileSync(
      path.join(folder, 'program.mjs'),
      `import { run } from 'upcall';
       const { domains } = await run('mine.mts');
       console.log(JSON.stringify(domains[0].vcpus.map(({ result }) => result)));`,
    );
    const program = await execute(process.execPath, ['program.mjs'], { cwd: folder, timeout: 60_000 });
    expect(JSON.parse(program.stdout)).to.deep.equal([
      [0, 0, 'function'],
      [1, 0, 'function'],
    ]);
  });

  it('declares types that a strict program compiles against', async function () {
    this.timeout(120_000);
    writeFileSync(
      path.join(folder, 'typed.ts'),
      `import { defineScenario, run, type RunResult } from 'upcall';
       export const scenario = defineScenario({
         name: 'typed',
         words: { counter: 0 },
         guest(vcpu) {
           vcpu.words.counter.add(1);
           // @ts-expect-error: there is no such word
           vcpu.words.missing.add(1);
         },
       });
       export const result: Promise<RunResult> = run(scenario);`,
    );
    const tsc = path.join(ROOT, 'node_modules/typescript/bin/tsc');
    const options = [
      '--strict',
      '--noEmit',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      'node',
    ];
    const roots = ['--typeRoots', path.join(ROOT, 'node_modules/@types')];
    await execute(process.execPath, [tsc, ...options, ...roots, 'typed.ts'], { cwd: folder });
  });
});
