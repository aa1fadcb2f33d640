import { setTimeout as sleep } from 'node:timers/promises';
import { startPartitioner, type Run, type Running } from '../../support/partitioner.ts';

/** What keeps the daemon running, as a service manager does: whenever it ends before its time, the same command again. */
export interface SteadyDaemon {
  /** The process that runs now. */
  readonly pid: number;
  readonly restarts: number;
  signal(name: NodeJS.Signals): void;
  /** How each process ended: its exit code, null when it was killed. */
  readonly ends: readonly Run[];
  /** From now on its end is expected; resolves with how the last one ended. */
  readonly last: () => Promise<Run>;
  /** Ends it, whatever it does. */
  kill(): Promise<void>;
  output(): string;
}

const MOST_RESTARTS = 60;

export function keepDaemon(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  program?: readonly string[],
  firstEnv: Readonly<Record<string, string>> = {},
): SteadyDaemon {
  const ends: Run[] = [];
  let last = false;
  const isLast = (): boolean => last;
  const outputs: string[] = [];
  let current = startPartitioner(args, { ...env, ...firstEnv }, program);
  const watch = async (): Promise<Run> => {
    for (;;) {
      const running: Running = current;
      const run = await running.ended;
      ends.push(run);
      outputs.push(run.stderr.slice(-6_000), run.stdout.slice(-1_000));
      if (isLast() || ends.length > MOST_RESTARTS) return run;
      await sleep(50);
      if (isLast()) return run;
      current = startPartitioner(args, env, program);
    }
  };
  const watched = watch();
  watched.catch(() => undefined);
  return {
    get pid() {
      return current.pid;
    },
    get restarts() {
      return ends.length;
    },
    ends,
    signal: (name) => current.signal(name),
    last: () => {
      last = true;
      return watched;
    },
    kill: async () => {
      last = true;
      current.signal('SIGKILL');
      await watched;
    },
    output: () => [...outputs, current.output().stderr.slice(-6_000)].join('\n---\n'),
  };
}
