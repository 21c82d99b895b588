/** Runs the compiled command as a user would, and collects what it says. */
import { spawn } from 'node:child_process';
import path from 'node:path';

export const CLI = path.join(__dirname, '../../dist/lib/cli/main.js');

export interface CliResult {
  /** Exit status; null if a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `upcall` with these arguments, its input closed, its output not a terminal. */
export function upcall(...args: readonly string[]): Promise<CliResult> {
  return runCli(args);
}

/** As {@link upcall}, with that much piped in. */
export function runCli(args: readonly string[], { input }: { readonly input?: string } = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    child.stdin?.on('error', () => {}).end(input);
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}
