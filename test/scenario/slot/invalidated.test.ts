import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEmbeddedServer, type EmbeddedServer } from '../../../src/demo/embedded-server.ts';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { holds, readMigration, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { createEvents, switchAndCompare } from '../../support/events-table.ts';
import { dropSlot } from '../../support/lost-slot.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

/** Slots that the server itself takes away, and slots that somebody else reads. The settings are those of a cluster: the server is the test's own. */
let server: EmbeddedServer;
beforeAll(async () => {
  server = await startEmbeddedServer({ major: DEFAULT_MAJOR, settings: { fsync: 'off', max_wal_size: '32MB' } });
});
afterAll(() => server.stop('immediate'));

const PLAN = { chunkBytes: 64 * 1024 };
const MISSED = `update app.events set v = 'missed' where id % 10 = 0; delete from app.events where id % 11 = 0;
  insert into app.events (at, v) select timestamptz '2026-03-03 00:00:00+00' + n * interval '1 minute', 'missed' from generate_series(1, 100) n`;

async function isLost(control: Client): Promise<boolean> {
  return holds(control, `(select wal_status = 'lost' from pg_replication_slots where database = current_database())`);
}

test('max_slot_wal_keep_size takes the WAL of a stopped daemon', async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createEvents(control, 5_000);
  const before = startDaemon(database.settings, 'app.events', PLAN);
  await untilPhase(control, 'ready');
  await before.stop();
  await control.query(`alter system set max_slot_wal_keep_size = '1MB'`);
  await control.query('select pg_reload_conf()');
  await control.query(MISSED);
  await until(control, 'the slot is lost', async () => {
    await control.query(`select pg_logical_emit_message(false, 'fill', repeat('x', 1000000)), pg_switch_wal()`);
    await control.query('checkpoint');
    return isLost(control);
  });
  await control.query('alter system reset max_slot_wal_keep_size');
  await control.query('select pg_reload_conf()');
  await using daemon = startDaemon(database.settings, 'app.events', PLAN);
  await until(control, 'it is recovered', () =>
    holds(control, `(select reason like '%max_slot_wal_keep_size%' and finished_at is not null from partitioner.recovery)`),
  );
  await switchAndCompare(control);
  await daemon.ended;
});

test.runIf(DEFAULT_MAJOR >= 18)('idle_replication_slot_timeout takes the slot of a stopped daemon', async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createEvents(control, 5_000);
  const before = startDaemon(database.settings, 'app.events', PLAN);
  await untilPhase(control, 'ready');
  await before.stop();
  await control.query(`alter system set idle_replication_slot_timeout = '1s'`);
  await control.query('select pg_reload_conf()');
  await control.query(MISSED);
  await until(control, 'the slot is lost', async () => {
    await control.query('checkpoint');
    return isLost(control);
  });
  await control.query('alter system reset idle_replication_slot_timeout');
  await control.query('select pg_reload_conf()');
  await using daemon = startDaemon(database.settings, 'app.events', PLAN);
  await until(control, 'it is recovered', () =>
    holds(control, `(select reason like '%invalidated%' and finished_at is not null from partitioner.recovery)`),
  );
  await switchAndCompare(control);
  await daemon.ended;
});

test('a slot that somebody else reads is waited for, with his name; what he took is recovered', async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createEvents(control, 5_000);
  const before = startDaemon(database.settings, 'app.events', PLAN);
  await untilPhase(control, 'ready');
  await before.stop();
  await control.query(MISSED);
  const { rows } = await control.query<{ slot: string; publication: string; lsn: string }>(
    'select slot_name as slot, publication_name as publication, pg_current_wal_lsn()::text as lsn from partitioner.migration',
  );
  const { slot, publication, lsn } = rows[0]!;
  const thief = new LogicalReplicationService(
    { connectionString: database.url, application_name: 'thief' },
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  );
  thief.on('error', () => undefined);
  thief.subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] }), slot).catch(() => undefined);
  await until(control, 'it is read', () => holds(control, `(select active from pg_replication_slots where slot_name = $1)`, [slot]));
  await using daemon = startDaemon(database.settings, 'app.events', PLAN);
  await until(control, 'it waits', async () => (await readMigration(control))?.waiting?.includes('"thief" of postgres'));
  expect((await readMigration(control))!.phase).not.toBe('ready');
  await thief.acknowledge(lsn);
  await until(control, 'it is taken', () =>
    holds(control, `(select confirmed_flush_lsn >= $2::pg_lsn from pg_replication_slots where slot_name = $1)`, [slot, lsn]),
  );
  await thief.stop();
  await until(control, 'it is recovered', () =>
    holds(control, `(select reason like '%ahead%' and finished_at is not null from partitioner.recovery)`),
  );
  await switchAndCompare(control);
  await daemon.ended;
});

test('the publication dropped with the slot', async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createEvents(control, 5_000);
  await using daemon = startDaemon(database.settings, 'app.events', PLAN);
  await untilPhase(control, 'ready');
  await control.query('drop publication partitioner_1');
  await dropSlot(control);
  await control.query(MISSED);
  await until(control, 'it is recovered', () =>
    holds(control, `(select finished_at is not null from partitioner.recovery order by number desc limit 1)`),
  );
  await switchAndCompare(control);
  await daemon.ended;
});
