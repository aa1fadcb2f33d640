import { expect, test } from 'vitest';
import { sendCommand } from '../../src/actions/command.ts';
import { createDatabase } from '../support/database.ts';
import { command, holds, readMigration, startDaemon, until, untilPhase } from '../support/daemon.ts';
import { differences } from '../support/oracle.ts';

/** Who waits for a lock on a table. */
const WAITS = `select exists (select from pg_locks l join pg_stat_activity a using (pid) where l.relation = $1::regclass and not l.granted and a.application_name = $2)`;

/**
 * TRUNCATE is not MVCC-safe (https://www.postgresql.org/docs/current/mvcc-caveats.html): to a snapshot from before it the table is empty after it.
 * A unit goes live with the keys that changed while it was loaded as one snapshot has them: read after the TRUNCATE, their rows would be gone
 * from the target, and what changed them between the two would hit no row.
 */
test('a TRUNCATE does not come between the snapshot of going live and its reading', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await control.query(`
    create schema app;
    create table app.t (id bigint primary key, at timestamptz not null, v text);
    insert into app.t select n, timestamptz '2026-01-01' + n * interval '1 hour', 'before' from generate_series(1, 2000) n;
    create index on app.t (at);
    analyze app.t`);
  const running = await database.client('application');
  await running.query('begin; select pg_current_xact_id()');
  await using daemon = startDaemon(database.settings, 'app.t', { range: 'at', every: 'month', unitKind: 'leaf', chunkBytes: 8_192 });
  await until(control, 'the slot waits for a transaction', () =>
    holds(control, `exists (select from pg_locks where locktype = 'transactionid' and not granted)`),
  );
  await control.query('update partitioner.migration set paused = true');
  await running.query('rollback');
  await until(control, 'the plan', () => holds(control, `(select plan <> '{}' and phase = 'backfill' from partitioner.migration)`));

  // Held off from its indexes, the leaf stays loading while keys of it change.
  const leafHolder = await database.client('application');
  const { rows } = await control.query<{ leaf: string }>(
    'select name as leaf from partitioner.leaf order by lower nulls first offset 1 limit 1',
  );
  const leaf = rows[0]!.leaf;
  await leafHolder.query(`begin; lock table app."${leaf}" in row exclusive mode`);
  const { id } = (await readMigration(control))!;
  await command(control, id, 'resume');
  await until(control, 'the unit is copied and purged', () =>
    holds(
      control,
      `exists (select from partitioner.unit u join partitioner.leaf l using (migration, unit) where l.name = $1 and u.step = 'index')`,
      [leaf],
    ),
  );
  await until(control, 'the others are live', () =>
    holds(
      control,
      `not exists (select from partitioner.unit join partitioner.leaf l using (migration, unit) where state <> 'live' and l.name <> $1)`,
      [leaf],
    ),
  );
  const application = await database.client('application');
  await application.query(`update app.t set v = 'while it loads' where at between '2026-02-01' and '2026-02-05'`);
  await until(control, 'they are touched', () => holds(control, `(select count(*) > 50 from partitioner.touched_${String(id)})`));

  // It goes live up to here: its snapshot is taken, and what changed is not read yet.
  const historyHolder = await database.client('application');
  await historyHolder.query('begin; lock table partitioner.history in share mode');
  await leafHolder.query('rollback');
  await until(control, 'the unit goes live', () => holds(control, `(${WAITS})`, ['partitioner.history', 'partitioner applier']));
  await application.query(`update app.t set v = 'after the snapshot' where at between '2026-02-01' and '2026-02-05'`);
  const truncated = application.query('truncate app.t');
  await Promise.race([truncated, until(control, 'the TRUNCATE waits', () => holds(control, `(${WAITS})`, ['app.t', 'application']))]);
  await historyHolder.query('rollback');
  await truncated;
  await application.query(`insert into app.t values (1, '2026-01-05', 'after it'), (3000, '2026-02-05', 'after it')`);

  const end = await control.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
  await until(control, 'all of it is applied', () =>
    holds(control, '(select lsn >= $1::pg_lsn from partitioner.position)', [end.rows[0]!.lsn]),
  );
  expect(await holds(control, '(select anomalies = 0 from partitioner.position)')).toBe(true);
  const limits = { lockTimeoutMs: 500, maxLockHoldMs: 5_000, attempts: 60 };
  const { retired_name: retired } = await until(control, 'the cutover', async () => {
    const ready = await untilPhase(control, 'ready'); // which may be a second old
    const outcome = await sendCommand(control, id, 'cutover', limits, { waitMs: 60_000 });
    if (outcome?.ok !== true && outcome?.error.code !== 'WRONG_PHASE') throw new Error(JSON.stringify(outcome));
    return outcome.ok && ready;
  });
  expect(await differences(control, { schema: 'app', name: 't' }, { schema: 'app', name: retired })).toBe(0);
  await daemon.ended;
});
