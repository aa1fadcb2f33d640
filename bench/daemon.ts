import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchStatus, type Status } from '../src/actions/status.ts';
import { runCommandLine, type CommandLineProcess } from '../src/demo/command-line.ts';
import { MigratorError } from '../src/errors.ts';
import type { Client } from '../src/pg/client.ts';

const POLL_MS = 50;

/** `partitioner start` for a table, partitioned by month over its present months alone. */
export function startDaemon(databaseUrl: string, table: string, flags: readonly string[] = []): CommandLineProcess {
  return runCommandLine(databaseUrl, [
    'start',
    table,
    '--range',
    'created_at',
    '--every',
    'month',
    '--premake',
    '0',
    '--http',
    'off',
    '--json',
    ...flags,
  ]);
}

/** Resolves when `reached` says so of the status; throws when the daemon ends before. */
export async function waitForStatus(
  client: Client,
  daemon: CommandLineProcess,
  table: string,
  reached: (status: Status) => boolean,
): Promise<Status> {
  for (;;) {
    if (!daemon.isRunning())
      throw new Error(`the daemon ended with exit code ${await daemon.exited}: ${daemon.stdout()}${daemon.stderr()}`);
    const status = await fetchStatus(client, table).then(
      ([first]) => first ?? null,
      (error: unknown) => {
        if (error instanceof MigratorError && error.code === 'WRONG_PHASE') return null; // start has not made its schema yet
        throw error;
      },
    );
    if (status?.failure) throw new Error(`the migration failed: ${status.failure.message} ${status.failure.detail ?? ''}`);
    if (status && reached(status)) return status;
    await sleep(POLL_MS);
  }
}

/** Waits until a query returns true in its column `reached`. */
export async function waitForQuery(client: Client, sql: string, values: readonly unknown[], daemon?: CommandLineProcess): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ reached: boolean }>(sql, [...values]);
    if (rows[0]?.reached === true) return;
    if (daemon && !daemon.isRunning())
      throw new Error(`the daemon ended with exit code ${await daemon.exited}: ${daemon.stdout()}${daemon.stderr()}`);
    await sleep(20);
  }
}

/** The most memory that the process has ever had resident, in MB. */
export async function peakMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024);
}

/** Has it drain and end. */
export async function endDaemon(daemon: CommandLineProcess): Promise<number> {
  daemon.terminate();
  return daemon.exited;
}

/** Removes what `start` has made. */
export async function abortMigration(databaseUrl: string, table: string): Promise<void> {
  const aborted = runCommandLine(databaseUrl, ['abort', table]);
  if ((await aborted.exited) !== 0) throw new Error(`abort failed: ${aborted.stderr()}`);
}
