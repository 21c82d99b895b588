import { execFile } from 'node:child_process';
import { expect } from 'chai';
import manifest from '../../package.json';
import recorded from '../fixtures/layouts.json';
import { CLI, upcall } from './run-cli';

/** Wrong usage: status 2, nothing on stdout, and one line on stderr. */
async function expectUsageError(args: readonly string[], line: string): Promise<void> {
  const { status, stdout, stderr } = await upcall(...args);
  expect({ status, stdout, stderr }).to.deep.equal({ status: 2, stdout: '', stderr: `upcall: ${line}\n` });
}

describe('upcall', () => {
  it('prints its version', async () => {
    expect(await upcall('--version')).to.deep.equal({ status: 0, stdout: `${manifest.version}\n`, stderr: '' });
  });

  it('prints help when asked, and when called with nothing', async () => {
    for (const args of [['--help'], ['help'], []]) {
      const { status, stdout, stderr } = await upcall(...args);
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(stdout)
        .to.match(/^Usage: upcall/)
        .and.include('layout')
        .and.include('examples');
    }
  });

  it('states the default of an option once', async () => {
    const { stdout } = await upcall('top', '--help');
    expect(stdout).to.match(/default 1s$/m);
  });

  it('answers wrong usage with one line and status 2', async () => {
    await expectUsageError(['bogus'], "unknown command 'bogus'");
    await expectUsageError(['help', 'nosuch'], "unknown command 'nosuch'");
    await expectUsageError(['layuot'], "unknown command 'layuot' (Did you mean layout?)");
    await expectUsageError(['--bogus'], "unknown option '--bogus'");
    await expectUsageError(['layout', '--jsn'], "unknown option '--jsn' (Did you mean --json?)");
    await expectUsageError(['examples', 'x'], "too many arguments for 'examples'. Expected 0 arguments but got 1.");
  });
});

describe('upcall layout', () => {
  it('--json has the shape, and all the numbers, of the recording', async () => {
    const { _meta, ...abis } = recorded;
    const { status, stdout } = await upcall('layout', '--json');
    expect(status).to.equal(0);
    expect(JSON.parse(stdout)).to.deep.equal(abis);
  });

  it('--json narrows down to an ABI and a structure, in the same shape', async () => {
    const { arm64 } = recorded;
    expect(JSON.parse((await upcall('layout', 'arm64', '--json')).stdout)).to.deep.equal({ arm64 });
    expect(JSON.parse((await upcall('layout', 'arm64', 'vcpu_info', '--json')).stdout)).to.deep.equal({
      arm64: { vcpu_info: arm64.vcpu_info },
    });
  });

  it('prints a table of the fields', async () => {
    const { status, stdout } = await upcall('layout', 'x86_32', 'shared_info');
    expect(status).to.equal(0);
    const lines = stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines[0]).to.deep.equal(['x86_32 shared_info: 2344 bytes, aligned to 4']);
    expect(lines[1]).to.deep.equal(['offset', 'size', 'type', 'field']);
    expect(lines[2]).to.deep.equal(['0x0', '0', '2048', 'struct vcpu_info[32]', 'vcpu_info']);
    expect(lines[4]).to.deep.equal(['0x880', '2176', '128', 'uint32[32]', 'evtchn_mask']);
  });

  it('prints the sizes in every ABI when no ABI is named', async () => {
    const { stdout } = await upcall('layout');
    expect(stdout).to.match(/^bytes +x86_64 +x86_32 +arm64 +arm32\n/);
    expect(stdout).to.match(/^shared_info +3136 +2344 +1088 +1088$/m);
    expect(stdout).to.match(/^start_info +1168 +1112 +- +-$/m);
  });

  it('names the choices when the ABI or the structure is unknown', async () => {
    await expectUsageError(['layout', 'mips'], 'unknown ABI mips; choose one of x86_64, x86_32, arm64, arm32');
    for (const struct of ['shared_inf', 'constructor', 'start_info']) {
      const { status, stdout, stderr } = await upcall('layout', 'arm32', struct);
      expect({ status, stdout }).to.deep.equal({ status: 2, stdout: '' });
      expect(stderr).to.match(new RegExp(`^upcall: arm32 has no struct ${struct}; choose one of .*shared_info.*\\n$`));
    }
  });

  it('uses no colours when its output is not a terminal', async () => {
    expect((await upcall('layout', 'x86_64')).stdout).not.to.include('\u001b');
  });

  it('ends quietly when its reader goes away', (done) => {
    const script = `"${process.execPath}" "${CLI}" layout x86_64 --json | head -n 1; echo "status \${PIPESTATUS[0]}"`;
    execFile('bash', ['-c', script], (error, stdout, stderr) => {
      expect(error).to.equal(null);
      expect(stderr).to.equal('');
      expect(stdout).to.equal('{\nstatus 0\n');
      done();
    });
  });
});

describe('upcall examples', () => {
  it('lists every shipped scenario with what it is about', async () => {
    const { status, stdout, stderr } = await upcall('examples');
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    for (const line of stdout.trimEnd().split('\n').filter(Boolean)) expect(line).to.match(/^examples\/\S+\.ts +\S/);
  });
});
