import { expect } from 'vitest';
import type { Client } from '../../src/pg/client.ts';
import type { PlanOptions } from '../../src/plan/options.ts';
import type { TestDatabase } from './database.ts';
import { command, holds, readMigration, startDaemon, until, untilPhase, type TestDaemon } from './daemon.ts';
import type { DdlCase } from './ddl-cases.ts';
import { createEvents } from './events-table.ts';
import { differingRows, leftovers, NO_LEFTOVERS } from './oracle.ts';
import { partitioner } from './partitioner.ts';

/** When it is done: while rows are copied (held for a moment), when all is ready, or while no daemon runs. */
export type Moment = 'backfill' | 'ready' | 'between';

const LIMITS = { lockTimeoutMs: 1_000, maxLockHoldMs: 10_000, attempts: 60 };
const ROWS = 4_000;

/** Inserts, changes, moves and deletes rows that were there before. */
const WRITES = [
  `insert into app.events (at, v) select timestamptz '2026-01-01' + n * interval '9 days', 'later' from generate_series(1, 20) n`,
  `update app.events set kind = 3 where id % 101 = 1`,
  `update app.events set at = at + interval '40 days' where id % 97 = 2`,
  `delete from app.events where id % 103 = 3`,
];

/** Takes `app.events` to the moment, does it, and sees what comes of it. */
export async function meanwhile(
  database: TestDatabase,
  ddl: DdlCase,
  moment: Moment,
  unitKind: PlanOptions['unitKind'] = 'leaf',
): Promise<void> {
  const control = await database.client();
  await createEvents(control, ROWS);
  for (const statement of ddl.before ?? []) await control.query(statement);
  const plan = { unitKind, chunkBytes: 8_192 };
  const daemons: TestDaemon[] = [startDaemon(database.settings, 'app.events', plan)];
  try {
    if (moment === 'ready') await untilPhase(control, 'ready');
    else await until(control, 'a chunk', () => holds(control, 'exists (select from partitioner.chunk where done)'));
    const { id } = (await readMigration(control))!;
    if (moment === 'backfill') await command(control, id, 'pause');
    if (moment === 'between') await daemons[0]!.stop();
    const application = await database.client('application');
    for (const statement of ddl.statements) await perform(application, statement);
    for (const statement of ddl.writes ?? WRITES) await perform(application, statement);
    if (moment === 'between') daemons.push(startDaemon(database.settings, 'app.events', plan));
    // What is stopped may have ended by now.
    if (moment === 'backfill') await command(control, id, 'resume').catch(() => undefined);
    if (ddl.outcome === 'stops') await expectStop(database, control, daemons.at(-1)!, ddl);
    else await expectCarried(control, application, daemons.at(-1)!, ddl);
  } finally {
    for (const daemon of daemons) await daemon.stop();
  }
}

/** What PostgreSQL itself refuses has not happened. */
async function perform(client: Client, statement: string): Promise<void> {
  await client.query(statement).catch((error: unknown) => {
    if (!/unlogged/.test(statement)) throw error;
  });
}

async function expectStop(database: TestDatabase, control: Client, daemon: TestDaemon, ddl: DdlCase): Promise<void> {
  await until(control, 'failed', async () => (await readMigration(control))?.phase === 'failed');
  const { failure } = (await readMigration(control)) as unknown as {
    failure: { code: string; message: string; detail?: string; hint?: string };
  };
  expect(failure.code).toBe('SOURCE_CHANGED');
  expect(`${failure.message}; ${failure.detail ?? ''}`).toMatch(ddl.says!);
  expect(failure.hint).toContain('partitioner abort app.events');
  await expect(daemon.ended).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
  // It serves as before.
  const application = await database.client('application');
  for (const statement of ddl.writes ?? WRITES) await application.query(statement);
  const aborted = await partitioner(['abort', 'app.events'], { DATABASE_URL: database.url });
  expect(aborted).toMatchObject({ code: 0, stderr: '' });
  expect(await leftovers(control)).toEqual(NO_LEFTOVERS);
}

async function expectCarried(control: Client, application: Client, daemon: TestDaemon, ddl: DdlCase): Promise<void> {
  await Promise.race([untilPhase(control, 'ready'), daemon.ended.then(() => Promise.reject(new Error('the daemon has ended')))]);
  for (const statement of ddl.writes ?? WRITES) await application.query(statement);
  const { id, retired_name: retired } = await untilSettled(control);
  await command(control, id, 'cutover', LIMITS);
  await daemon.ended;
  expect(await differingRows(control, { schema: 'app', name: 'events' }, { schema: 'app', name: retired })).toEqual([]);
  expect(await differingRows(control, { schema: 'app', name: retired }, { schema: 'app', name: 'events' })).toEqual([]);
  const { rows } = await control.query(
    `select (select relkind::text from pg_class where oid = 'app.events'::regclass) as kind, (select sum(anomalies)::int from partitioner.position) as anomalies,
       (select count(*)::int from partitioner.after_step where failure is not null) as failed`,
  );
  expect(rows).toEqual([{ kind: 'p', anomalies: 0, failed: 0 }]);
  if (ddl.carried !== undefined) expect(await holds(control, ddl.carried), ddl.carried).toBe(true);
  for (const statement of ddl.writes ?? WRITES) await application.query(statement);
}

/** Ready, and with the definition that the source has: what came last may not be noticed yet. */
async function untilSettled(control: Client): Promise<{ id: number; retired_name: string }> {
  const seen = Date.now();
  return until(control, 'ready and settled', async () => {
    const migration = await readMigration(control);
    if (migration?.phase === 'failed') throw new Error(`failed: ${JSON.stringify(migration.failure)}`);
    return migration?.phase === 'ready' && Date.now() - seen > 2_500 && migration;
  });
}
