import { spawn, type ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The command line as a process of its own: the real thing, with its start, its exit code and its memory. */
export interface CommandLineProcess {
  readonly pid: number;
  /** Resolves with the exit code once the process has ended; 128 + n stands for a signal. */
  readonly exited: Promise<number>;
  /** True until then. */
  isRunning(): boolean;
  stdout(): string;
  stderr(): string;
  /** Asks it to drain and end. */
  terminate(): void;
  kill(): void;
}

/** The last so many characters of each output are kept. */
const KEPT_CHARACTERS = 1 << 20;
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** Runs `partitioner …arguments` against a database. The URL goes through the environment: arguments are public on a host. */
export function runCommandLine(databaseUrl: string, commandArguments: readonly string[]): CommandLineProcess {
  // From the sources (tsx) or from the built package: the file beside us, with the loader that runs us.
  const main = fileURLToPath(new URL(`../cli/main${extname(import.meta.url)}`, import.meta.url));
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  const child = spawn(process.execPath, [...process.execArgv, main, ...commandArguments], {
    env: { ...Object.fromEntries(inherited), DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  let running = true;
  const exited = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0)));
  }).finally(() => {
    running = false;
  });
  // Whoever waits for something else first must not crash on it.
  exited.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    exited,
    isRunning: () => running,
    stdout,
    stderr,
    terminate: () => void child.kill('SIGTERM'),
    kill: () => void child.kill('SIGKILL'),
  };
}

function collect(stream: ChildProcess['stdout']): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-KEPT_CHARACTERS);
  });
  return () => text;
}
