import { expect, test } from 'vitest';
import type { Client } from '../../../src/pg/client.ts';
import { createPlainEvents } from '../../support/attached-table.ts';
import { HAS, setCutoverStage, WAITS } from '../../support/cutover-stage.ts';
import { createDatabase } from '../../support/database.ts';
import { holds, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { startPartitioner } from '../../support/partitioner.ts';
import { createMigrator } from '../../support/roles.ts';

/** Who is in the way, as the command line and the status tell it. */

async function pidOf(client: Client): Promise<number> {
  return (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid;
}

const PATIENT = ['--lock-timeout', '60s', '--attempts', '2'];

test('a session that is idle in its transaction, and one that waits for it: shown while the cutover waits, in the status, in the error', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, run, start } = stage;
  const idle = await database.client('nightly report');
  await idle.query(`begin; update app.events set v = 'held\n by   this one' where id = 7`);
  const pid = await pidOf(idle);
  const holder = new RegExp(
    `pid ${String(pid)} of postgres \\(nightly report, idle in transaction, \\d+ s\\): update app\\.events set v|pid ${String(pid)} of postgres \\(nightly report, idle in transaction, \\d+ s\\): select pg_backend_pid`,
  );

  const waiting = start('cutover', 'app.events', ...PATIENT);
  await until(control, 'the cutover waits', () => holds(control, WAITS, ['ShareRowExclusiveLock']));
  await until(control, 'its stderr tells', () => Promise.resolve(holder.test(waiting.output().stderr)));
  expect((await run('status', 'app.events')).stdout).toMatch(new RegExp(`waiting: cutover attempt 1 of 2, blocked by ${holder.source}`));
  await idle.query('commit');
  expect((await waiting.ended).code).toBe(0);
});

test('the final error names who was in the way, and what ends it; a queue is told as one', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, run } = stage;
  const idle = await database.client('forgotten');
  await idle.query('begin; select count(*) from app.events');
  const queued = await database.client('ddl');
  const altering = queued.query('set lock_timeout = 0; alter table app.events add column later int').catch((error: unknown) => error);
  await until(control, 'the DDL waits', () =>
    holds(control, `exists (select from pg_locks where pid = $1 and not granted)`, [(queued as Client & { processID: number }).processID]),
  );
  const failed = await run('cutover', 'app.events', '--lock-timeout', '300ms', '--attempts', '1');
  expect(failed).toMatchObject({ code: 5, stdout: '' });
  expect(failed.stderr).toContain('no lock on "app"."events" within 1 attempts of 300 ms');
  expect(failed.stderr).toMatch(/last blocked by pid \d+ of postgres \(ddl, active, \d+ s, waits for a lock itself\): .*alter table/);
  await control.query('select pg_cancel_backend($1)', [(queued as Client & { processID: number }).processID]);
  await altering;
  const alone = await run('cutover', 'app.events', '--lock-timeout', '300ms', '--attempts', '1', '--max-lock-hold', '5s');
  expect(alone).toMatchObject({ code: 5 });
  expect(alone.stderr).toMatch(/last blocked by pid \d+ of postgres \(forgotten, idle in transaction, \d+ s\): begin; select count/);
  expect(alone.stderr).toMatch(
    /hint: have the application end its transaction, or SELECT pg_terminate_backend\(\d+\); then run the cutover again/,
  );
  await idle.query('rollback');
  expect(await run('cutover', 'app.events')).toMatchObject({ code: 0 });
});

test('a prepared transaction has no session: warned of before the first attempt, and named by its identifier', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, run } = stage;
  const application = await database.client('application');
  await application.query(`begin; update app.events set v = 'prepared' where id = 7; prepare transaction 'it''s ${database.name}'`);
  await application.query(`begin; update app.tenant set name = 'another' where id = 7; prepare transaction 'other ${database.name}'`);
  const failed = await run('cutover', 'app.events', '--lock-timeout', '300ms', '--attempts', '2');
  expect(failed).toMatchObject({ code: 5, stdout: '' });
  const named = `prepared transaction 'it's ${database.name}' of postgres`;
  expect(failed.stderr).toContain(`warning: what holds a lock on app.events may hold the cutover up: ${named}`);
  expect(failed.stderr).toContain(`last blocked by ${named}`);
  expect(failed.stderr).toContain('no session holds its locks');
  expect(failed.stderr).toContain(`hint: COMMIT PREPARED 'it''s ${database.name}' or ROLLBACK PREPARED`);
  expect(failed.stderr).not.toContain('other ');
  await control.query(`commit prepared 'it''s ${database.name}'`);
  expect(await run('cutover', 'app.events')).toMatchObject({ code: 0, stderr: '' });
  await control.query(`rollback prepared 'other ${database.name}'`);
});

test('an old transaction is warned of before the first attempt, which is made all the same', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, start } = stage;
  const old = await database.client('old reader');
  await old.query('begin; select count(*) from app.events');
  await until(control, 'its age', () =>
    holds(
      control,
      `exists (select from pg_stat_activity where application_name = 'old reader' and xact_start < now() - interval '6 seconds')`,
    ),
  );
  const cutover = start('cutover', 'app.events', '--lock-timeout', '60s', '--max-lock-hold', '60s');
  await until(control, 'it is at the last lock', () => holds(control, HAS, ['ShareRowExclusiveLock']));
  await old.query('commit');
  const switched = await cutover.ended;
  expect(switched.code).toBe(0);
  expect(switched.stderr).toMatch(
    /warning: what holds a lock on app\.events may hold the cutover up: pid \d+ of postgres \(old reader, idle in transaction/,
  );
});

test('what a role without pg_read_all_stats may not see is left out', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createPlainEvents(control);
  const migrator = await createMigrator(database);
  await control.query(`alter table app.events owner to ${migrator.name}; grant usage, create on schema app to ${migrator.name}`);
  await using daemon = startDaemon(migrator.settings, 'app.events');
  await untilPhase(control, 'ready');
  const application = await database.client('application');
  await application.query(`begin; update app.events set v = 'held' where id = 7`);
  const failed = await startPartitioner(['cutover', 'app.events', '--no-way-back', '--attempts', '2'], { DATABASE_URL: migrator.url })
    .ended;
  expect(failed).toMatchObject({ code: 5 });
  expect(failed.stderr).toMatch(/last blocked by pid \d+ of postgres( \(application\))?: <insufficient privilege>/);
  await application.query('rollback');
  expect(await startPartitioner(['cutover', 'app.events', '--no-way-back'], { DATABASE_URL: migrator.url }).ended).toMatchObject({
    code: 0,
  });
  await daemon.ended;
});
