import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as a process of its own. */
export interface Running {
  readonly pid: number;
  readonly ended: Promise<Run>;
  /** What it has printed so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  signal(name: NodeJS.Signals): void;
}

const SOURCES = ['--import', 'tsx', 'src/cli/main.ts'];

/** Builds the package as it is published; what it returns is for `startPartitioner`. The sources run with a compiler beside them, which takes memory of its own. */
export async function buildPackage(): Promise<readonly string[]> {
  await promisify(execFile)(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
  return ['dist/cli/main.js'];
}

/** Starts `partitioner …`; without variables of the developer's own, which would point at a server of his. */
export function startPartitioner(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  program: readonly string[] = SOURCES,
): Running {
  const child = spawn(process.execPath, [...program, ...args], {
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  return {
    pid: child.pid!,
    ended: new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    }),
    output: () => ({ stdout, stderr }),
    signal: (name) => void child.kill(name),
  };
}

/** Runs it to its end. */
export function partitioner(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Run> {
  return startPartitioner(args, env).ended;
}
