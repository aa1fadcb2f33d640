import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { fetchStatus } from '../../../src/actions/status.ts';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { command, holds, readMigration, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { createEvents, startLoad, switchAndCompare } from '../../support/events-table.ts';
import { freePort } from '../../support/ports.ts';
import { partitioner } from '../../support/partitioner.ts';

/** What keeps the work beside the application's: limits, by start and by throttle, and what status says of them. */

const ROWS = 20_000;
const PLAN = { chunkBytes: 64 * 1024 };

/** The slot cannot let go of what an open transaction may still need. */
async function fillWal(writer: Client, megabytes: number): Promise<void> {
  for (let n = 0; n < megabytes; n++) await writer.query(`select pg_logical_emit_message(false, 'fill', repeat('x', 1000000))`);
}

test('a limit holds the copy, says why, is kept over a restart and lifted live', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const load = await startLoad(database, ROWS);
  const limits = { 'max-slot-wal': 1 };
  const first = startDaemon(database.settings, 'app.events', PLAN, { limits });
  await until(control, 'it is held', async () => (await readMigration(control))?.waiting?.includes('--max-slot-wal'));
  const [status] = await fetchStatus(control);
  expect(status).toMatchObject({
    phase: 'backfill',
    throttle: { pace: 'hold', limits, reasons: [expect.stringContaining('--max-slot-wal 1 B')] },
  });
  await first.stop();

  // Without a daemon the verb writes it down; the start after it is given the same flags, which say nothing new.
  const env = { DATABASE_URL: database.url };
  const set = await partitioner(['throttle', 'app.events', '--max-sessions', '1000', '--json'], env);
  expect(JSON.parse(set.stdout)).toMatchObject({ limits: { 'max-slot-wal': 1, 'max-sessions': 1000 } });
  await using daemon = startDaemon(database.settings, 'app.events', PLAN, { limits });
  await until(control, 'it is held again', async () => (await fetchStatus(control))[0]?.throttle.pace === 'hold');
  const lifted = await partitioner(['throttle', 'app.events', '--max-slot-wal', 'off', '--copy-rate', '64MB'], env);
  expect(lifted).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/max-slot-wal +off[^]*max-sessions +1000[^]*copy-rate +64 MB a second/),
  });
  await untilPhase(control, 'ready', 120_000);
  expect((await fetchStatus(control))[0]!.throttle).toEqual({
    pace: 'full',
    reasons: [],
    limits: { 'max-sessions': 1000, 'copy-rate': 64 << 20 },
  });
  await load.stop();
  await switchAndCompare(control);
  await daemon.ended;
});

test.each(['leaf', 'table'] as const)(
  'under a ceiling chunks are cut into slices, unit %s, and every row is copied once',
  async (unitKind) => {
    await using database = await createDatabase();
    const control = await database.client();
    await createEvents(control, ROWS);
    const load = await startLoad(database, ROWS);
    // A chunk a leaf, or the whole table.
    await using daemon = startDaemon(
      database.settings,
      'app.events',
      { chunkBytes: 1 << 30, unitKind },
      { limits: { 'copy-rate': 1 << 17 } },
    );
    const chunks = `(select count(*) from partitioner.chunk)`;
    const leaves = unitKind === 'leaf' ? 6 : 1;
    await until(control, 'chunks are cut', () => holds(control, `${chunks} > ${leaves} + 1`));
    await command(control, (await readMigration(control))!.id, 'throttle', {
      'copy-rate': null,
      'max-commit-latency': 600_000,
      'max-replay-lag': 600_000,
    });
    await untilPhase(control, 'ready', 120_000);
    // Every range once, none twice: they follow each other.
    expect(
      await holds(
        control,
        `(select bool_and(done and (upper is not distinct from next or next is null)) from (
          select done, upper, lead(lower) over (partition by unit order by lower nulls first) as next from partitioner.chunk) c)`,
      ),
    ).toBe(true);
    await load.stop();
    await switchAndCompare(control);
    await daemon.ended;
  },
);

test('while the copy is held no index build begins', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 2_000);
  // Cut into chunks, so that none of them empties the leaf.
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 32 * 1024 }, { limits: { 'copy-rate': 200_000 } });
  const leaf = await until(control, 'a leaf', async () => {
    const { rows } = await control
      .query<{ name: string }>(`select name from partitioner.leaf order by lower nulls first limit 1`)
      .catch(() => ({ rows: [] }));
    return rows[0]?.name;
  });
  const holder = await database.client('application');
  await holder.query(`begin; lock table app."${leaf}" in row exclusive mode`);
  const { id } = (await readMigration(control))!;
  await command(control, id, 'throttle', { 'copy-rate': null });
  await until(control, 'its first index waits', () =>
    holds(control, `exists (select from pg_locks where relation = 'app."${leaf}"'::regclass and not granted)`),
  );
  await command(control, id, 'pause');
  await holder.query('rollback');
  const indexes = `(select count(*)::int from pg_index where indrelid = 'app."${leaf}"'::regclass)`;
  await until(control, 'the build that had begun is done', () => holds(control, `${indexes} = 1`));
  await until(control, 'the others are copied', () =>
    holds(control, `not exists (select from partitioner.unit where state = 'loading' and step not in ('index', 'chunks'))`),
  );
  await sleep(500); // time enough for the next one, had it begun
  expect(await holds(control, `${indexes} = 1`)).toBe(true);
  await command(control, id, 'resume');
  await switchAndCompare(control);
  await daemon.ended;
});

test('past the second limit the slot is dropped to save the disk; nothing is followed before resume, which recovers', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 5_000);
  const limits = { 'drop-slot-wal': 24 << 20 };
  const first = startDaemon(database.settings, 'app.events', PLAN, { limits: {} });
  const { id } = await untilPhase(control, 'ready', 120_000);
  const holder = await database.client('application');
  await holder.query('begin; select pg_current_xact_id()');
  await command(control, id, 'throttle', limits);
  await fillWal(control, 40);
  const dropped = (): Promise<boolean> =>
    holds(control, `not exists (select from pg_replication_slots where database = current_database())`);
  await until(control, 'the slot is dropped', dropped);
  await holder.query('rollback');
  await control.query(`update app.events set v = 'missed' where id % 10 = 0; delete from app.events where id % 11 = 0`);
  await until(control, 'it says so', async () => (await readMigration(control))?.waiting?.includes('partitioner resume'));
  expect((await fetchStatus(control))[0]).toMatchObject({ phase: 'catchup', slot: null, recovery: { held: true } });
  const refused = await partitioner(['verify', 'app.events', '--json'], { DATABASE_URL: database.url });
  expect(refused.code).toBe(3);
  await first.stop();

  const http = { host: '127.0.0.1', port: await freePort(), token: 'secret' };
  await using daemon = startDaemon(database.settings, 'app.events', PLAN, { limits: {}, http });
  await until(control, 'a daemon', () => holds(control, `exists (select from partitioner.daemon)`));
  expect(await dropped()).toBe(true);
  await command(control, id, 'throttle', { 'drop-slot-wal': null });
  const headers = { authorization: `Bearer ${http.token}` };
  const resumed = await fetch(`http://127.0.0.1:${String(http.port)}/api/resume`, { method: 'POST', headers });
  expect(await resumed.json()).toEqual({ resumed: true });
  await until(control, 'it is recovered', () => holds(control, `(select finished_at is not null from partitioner.recovery)`));
  await switchAndCompare(control);
  await daemon.ended;
});

test('WAL that comes faster than it is applied is told with both rates, and caught up with', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 5_000);
  await using daemon = startDaemon(database.settings, 'app.events', PLAN);
  await untilPhase(control, 'ready', 120_000);
  const locker = await database.client('application');
  await locker.query('begin; lock table partitioner.position in exclusive mode');
  const writer = await database.client('application');
  await until(control, 'it says so', async () => {
    await writer.query(`update app.events set v = repeat('u', 200) where id % 10 = 0`);
    await fillWal(writer, 10);
    return /changes come faster than they are applied: .*\/s of WAL is written, .*\/s applied/.test(
      (await readMigration(control))?.waiting ?? '',
    );
  });
  expect((await readMigration(control))!.phase).toBe('catchup');
  await locker.query('rollback');
  await until(control, 'it has caught up', async () => {
    const migration = await readMigration(control);
    return migration?.phase === 'ready' && migration.waiting === null;
  });
  await switchAndCompare(control);
  await daemon.ended;
});
