import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { sendCommand, type CommandOutcome, type CommandVerb } from '../../src/actions/command.ts';
import { runDaemon } from '../../src/daemon/daemon.ts';
import type { DaemonOptions } from '../../src/daemon/options.ts';
import type { Client } from '../../src/pg/client.ts';
import type { ConnectionSettings } from '../../src/pg/connection.ts';
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from '../../src/plan/options.ts';

/** The real daemon, in the test's own process. Leaving its scope stops it. */
export interface TestDaemon extends AsyncDisposable {
  /** Resolves when it has ended by itself or was stopped, rejects with what it could not retry. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export function startDaemon(
  settings: ConnectionSettings,
  table: string,
  plan: Partial<PlanOptions> = {},
  options: Partial<DaemonOptions> = {},
): TestDaemon {
  const stop = new AbortController();
  const ended = runDaemon({
    settings,
    table,
    plan: { ...DEFAULT_PLAN_OPTIONS, range: 'at', premake: 1, ...plan },
    jobs: 2,
    http: null,
    ...options,
    signal: stop.signal,
    log: options.log ?? pino({ level: process.env['TEST_VERBOSE'] === undefined ? 'silent' : 'debug' }, process.stderr),
  });
  ended.catch(() => undefined); // whoever waits for something else first must not crash on it
  const end = async (): Promise<void> => {
    stop.abort();
    await ended.catch(() => undefined);
  };
  return { ended, stop: end, [Symbol.asyncDispose]: end };
}

export interface MigrationRow {
  readonly id: number;
  readonly phase: string;
  readonly waiting: string | null;
  readonly failure: { readonly code: string; readonly message: string } | null;
  readonly retired_name: string;
}

/** The only migration of the database; null before there is one. */
export async function readMigration(client: Client): Promise<MigrationRow | null> {
  const { rows } = await client
    .query<MigrationRow>(
      'select id, phase, waiting, failure, retired_name from partitioner.migration where reverse_of is null order by id desc limit 1',
    )
    .catch(() => ({ rows: [] }));
  return rows[0] ?? null;
}

/** Asks until the answer is one; the error carries where the migration stands. */
export async function until<T>(
  client: Client,
  what: string,
  ask: () => Promise<T | null | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  for (const deadline = Date.now() + timeoutMs; ; await sleep(25)) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) return answer;
    if (Date.now() < deadline) continue;
    throw new Error(`${what}: not within ${String(timeoutMs)} ms; the migration: ${JSON.stringify(await readMigration(client))}`);
  }
}

/** Waits for a phase; a migration that fails meanwhile fails the test at once. */
export async function untilPhase(client: Client, phase: string, timeoutMs = 60_000): Promise<MigrationRow> {
  return until(
    client,
    `phase ${phase}`,
    async () => {
      const migration = await readMigration(client);
      if (migration?.phase === 'failed' && phase !== 'failed') throw new Error(`failed: ${JSON.stringify(migration.failure)}`);
      return migration?.phase === phase && migration;
    },
    timeoutMs,
  );
}

/** Whether the SQL expression holds; false while what it reads is not there yet. */
export async function holds(client: Client, expression: string, values: readonly unknown[] = []): Promise<boolean> {
  const { rows } = await client
    .query<{ holds: boolean | null }>(`select (${expression}) as holds`, [...values])
    .catch(() => ({ rows: [] }));
  return rows[0]?.holds === true;
}

/** Sends a command to the daemon and fails the test when it is refused. */
export async function command(client: Client, migration: number, verb: CommandVerb, limits: object = {}): Promise<CommandOutcome> {
  const outcome = await sendCommand(client, migration, verb, limits, { waitMs: 60_000 });
  if (!outcome?.ok) throw new Error(`${verb}: ${JSON.stringify(outcome)}`);
  return outcome;
}
