import { spawn } from 'node:child_process';
import type { CutoverReceipt } from '../actions/cutover-context.ts';
import { MigratorError } from '../errors.ts';

export interface HookFacts {
  /** What it is run for. */
  readonly verb: 'cutover' | 'rollback';
  readonly source: string;
  readonly migration: number;
  readonly phase: string;
  readonly receipt?: CutoverReceipt;
}

/** The kernel takes no longer string in an environment (MAX_ARG_STRLEN is 128 kB); thousands of objects are left out rather. */
const LONGEST_RECEIPT = 100_000;

/** What a hook finds in its environment beside what we were started with. Nothing of our own settings: they may hold a password. */
export function hookEnvironment({ source, migration, phase, receipt }: Omit<HookFacts, 'verb'>): Record<string, string> {
  const environment = { PARTITIONER_TABLE: source, PARTITIONER_MIGRATION: String(migration), PARTITIONER_PHASE: phase };
  if (!receipt) return environment;
  const whole = JSON.stringify(receipt);
  const fits = Buffer.byteLength(whole) <= LONGEST_RECEIPT;
  return { ...environment, PARTITIONER_RECEIPT: fits ? whole : JSON.stringify({ ...receipt, objects: [] }) };
}

/** Runs a command of the user through the shell, its output on our stderr: stdout is for data. Returns why it failed, or null. */
async function runHook(command: string, facts: HookFacts): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn(command, { shell: true, stdio: ['ignore', 2, 2], env: { ...process.env, ...hookEnvironment(facts) } });
    child.on('error', (error) => {
      resolve(error.message);
    });
    child.on('close', (code, signal) => {
      resolve(code === 0 ? null : signal ? `it was ended by ${signal}` : `it ended with exit code ${String(code)}`);
    });
  });
}

/** `--before`: HOOK_REFUSED when it fails. */
export async function runBefore(command: string, facts: HookFacts): Promise<void> {
  const failure = await runHook(command, facts);
  if (failure === null) return;
  throw new MigratorError('HOOK_REFUSED', `the command of --before refuses the ${facts.verb} of ${facts.source}: ${failure}`, {
    detail: 'nothing was switched',
  });
}

/** `--after`: HOOK_FAILED when it fails, as a value, for the switch is committed and its receipt is to be seen. */
export async function runAfter(command: string, facts: HookFacts): Promise<MigratorError | null> {
  const failure = await runHook(command, facts);
  if (failure === null) return null;
  return new MigratorError(
    'HOOK_FAILED',
    `${facts.source} is switched${facts.verb === 'rollback' ? ' back' : ''}, but the command of --after failed: ${failure}`,
    {
      detail: 'the switch is committed, and stays',
      hint: 'do by hand what it was to do; the receipt is above, and in partitioner.migration',
    },
  );
}
