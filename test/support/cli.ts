import { fork } from 'node:child_process';
import type { Run } from './partitioner.ts';

/** The command line in one process for many runs, one after the other. */
export interface CommandLine extends AsyncDisposable {
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Run>;
}

/** Starts the process. Without variables of the developer's own, which would point at a server of his. */
export function openCommandLine(defaults: Readonly<Record<string, string>> = {}): CommandLine {
  const base = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' };
  const child = fork('test/support/cli-host.ts', { execArgv: ['--import', 'tsx'], env: { ...base, NODE_NO_WARNINGS: '1' } });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let last: Promise<unknown> = Promise.resolve();
  const ask = (args: readonly string[], env: Readonly<Record<string, string>>): Promise<Run> =>
    new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error(`the process of the command line has ended: ${args.join(' ')}`));
      child.once('exit', onExit);
      child.once('message', (message) => {
        child.off('exit', onExit);
        resolve(message as Run);
      });
      child.send({ args, env: { ...base, ...env } });
    });
  return {
    run: (args, env = defaults) => {
      const next = last.then(() => ask(args, env));
      last = next.catch(() => undefined);
      return next;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
