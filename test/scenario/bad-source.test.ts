import { expect, test } from 'vitest';
import type { Client } from '../../src/pg/client.ts';
import { catalogSnapshot } from '../support/catalog-snapshot.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { command, holds, readMigration, startDaemon, until, untilPhase } from '../support/daemon.ts';
import { createEvents } from '../support/events-table.ts';
import { differingRows, leftovers, NO_LEFTOVERS } from '../support/oracle.ts';
import { partitioner } from '../support/partitioner.ts';

/** What the application may do to the source while it is migrated, and what becomes of it. */

const LIMITS = { lockTimeoutMs: 500, maxLockHoldMs: 5_000, attempts: 10 };

/** The migration has failed with this code; the table is a plain one still; abort leaves the catalog as it was. */
async function expectFailure(database: TestDatabase, control: Client, ended: Promise<void>, code: string): Promise<void> {
  const before = await sourceRows(control);
  await expect(ended).rejects.toMatchObject({ code });
  expect(await readMigration(control)).toMatchObject({ phase: 'failed', failure: { code } });
  expect(await sourceRows(control)).toBe(before);
  const aborted = await partitioner(['abort', 'app.events'], { DATABASE_URL: database.url });
  expect(aborted).toMatchObject({ code: 0, stderr: '' });
  expect(await leftovers(control)).toEqual(NO_LEFTOVERS);
}

async function sourceRows(client: Client): Promise<string> {
  const { rows } = await client.query<{ sum: string }>(
    `select count(*) || ' ' || md5(string_agg(t::text, ',' order by id)) as sum from only app.events t`,
  );
  return rows[0]!.sum;
}

const DEFINITIONS = {
  'a column is dropped': 'alter table app.events drop column doc',
  'a column gets another type': 'alter table app.events alter column kind type bigint',
  'a column is renamed': 'alter table app.events rename column v to w',
  'the partition key gets another type': `alter table app.events alter column at type timestamp using at at time zone 'UTC'`,
};

test.each(Object.entries(DEFINITIONS))('%s when all is ready: the next change fails the migration', async (_, sql) => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 1_000);
  await using daemon = startDaemon(database.settings, 'app.events');
  await untilPhase(control, 'ready');
  await control.query(sql);
  const before = await catalogOfApp(control);
  await control.query('update app.events set kind = 1 where id = 5');
  await expectFailure(database, control, daemon.ended, 'SOURCE_CHANGED');
  expect(await catalogOfApp(control)).toEqual(before);
});

/** The source's own rows of the catalog. */
async function catalogOfApp(client: Client): Promise<unknown> {
  const { pg_class: classes, pg_attribute: attributes } = await catalogSnapshot(client);
  const { rows } = await client.query<{ oid: number }>(`select oid::int8::int as oid from pg_class where oid = 'app.events'::regclass`);
  const own = (row: unknown): boolean =>
    [(row as { oid?: unknown }).oid, (row as { attrelid?: unknown }).attrelid].map(Number).includes(rows[0]!.oid);
  return [classes!.filter(own), attributes!.filter(own)];
}

test('a column is dropped in the middle of the backfill, and nothing is written: the next chunk finds it', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 30_000);
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 8_192 });
  await until(control, 'a chunk', () => holds(control, 'exists (select from partitioner.chunk where done)'));
  await control.query('alter table app.events drop column doc');
  await expectFailure(database, control, daemon.ended, 'SOURCE_CHANGED');
});

test('a column is dropped when all is ready, and nothing is written: it is noticed all the same', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 1_000);
  await using daemon = startDaemon(database.settings, 'app.events');
  await untilPhase(control, 'ready');
  await control.query('alter table app.events drop column doc');
  await expectFailure(database, control, daemon.ended, 'SOURCE_CHANGED');
});

test.each(['leaf', 'table'] as const)('a NULL in the partition key comes with the stream, unit %s', async (unitKind) => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 1_000);
  await control.query('alter table app.events alter column at drop not null');
  await using daemon = startDaemon(database.settings, 'app.events', { unitKind });
  await untilPhase(control, 'ready');
  await control.query(`insert into app.events (at, v) values (null, 'no time')`);
  await expectFailure(database, control, daemon.ended, 'ROW_REFUSED');
});

test('a NULL in the partition key is there before: the check refuses it', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 1_000);
  await control.query('alter table app.events alter column at drop not null');
  await control.query('update app.events set at = null where id = 500');
  const refused = await partitioner(['start', 'app.events', '--range', 'at'], { DATABASE_URL: database.url });
  expect(refused.code).toBe(2);
  expect(refused.stdout).toContain('partition-nulls');
  expect(await leftovers(control)).toEqual(NO_LEFTOVERS);
});

const OUTSIDE = [
  '9999-12-31 23:59:59.999999+00',
  '1900-06-15 00:00:00+00',
  '0044-03-15 00:00:00+00 BC',
  '294276-12-31 00:00:00+00',
  'infinity',
  '-infinity',
];

test.each(['leaf', 'table'] as const)('rows outside of every planned leaf get their leaves, unit %s', async (unitKind) => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 20_000);
  await using daemon = startDaemon(database.settings, 'app.events', { unitKind, chunkBytes: 8_192 });
  await until(control, 'a chunk', () => holds(control, 'exists (select from partitioner.chunk where done)'));
  // New rows, and rows that move there with a TOAST value that the stream does not send; some move on, some come back.
  for (const [position, at] of OUTSIDE.entries()) {
    await control.query(`insert into app.events (at, v) values ($1, 'outside')`, [at]);
    await control.query('update app.events set at = $1 where id = $2', [at, 100 * (position + 1)]);
  }
  const { id, retired_name: retired } = await untilPhase(control, 'ready');
  for (const [position, at] of OUTSIDE.entries())
    await control.query('update app.events set at = $1 where id = $2', [at, 15_000 + 100 * position]);
  await control.query(`update app.events set at = '2026-02-02', kind = kind + 1 where id in (100, 300, 500)`);
  await control.query(`update app.events set at = '1900-06-01' where id in (200, 400)`);
  await command(control, id, 'cutover', LIMITS);
  await daemon.ended;
  expect(await differingRows(control, { schema: 'app', name: 'events' }, { schema: 'app', name: retired })).toEqual([]);
  const { rows } = await control.query<{ bound: string }>(
    `select pg_get_expr(c.relpartbound, c.oid) as bound from pg_inherits join pg_class c on c.oid = inhrelid where inhparent = 'app.events'::regclass`,
  );
  const bounds = rows.map(({ bound }) => bound).join('\n');
  for (const part of [`('infinity') TO (MAXVALUE)`, `1900-06-01 00:00:00+00`, `9999-12-01 00:00:00+00`, ' BC'])
    expect(bounds).toContain(part);
});

test('integers outside of every planned leaf, to the ends of their type', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await control.query('create schema app; create table app.events (id bigint primary key, v text)');
  await control.query(`insert into app.events select n, 'v' from generate_series(1, 5000) n; analyze app.events`);
  await using daemon = startDaemon(database.settings, 'app.events', { range: 'id', every: '1000' });
  const { id, retired_name: retired } = await untilPhase(control, 'ready');
  await control.query(
    `insert into app.events values (9223372036854775807, 'last'), (-9223372036854775808, 'first'), (-1, 'minus'), (1000000, 'far'); update app.events set id = -id where id in (7, 4000)`,
  );
  await command(control, id, 'cutover', LIMITS);
  await daemon.ended;
  expect(await differingRows(control, { schema: 'app', name: 'events' }, { schema: 'app', name: retired })).toEqual([]);
  await control.query(
    "insert into app.events values (-9223372036854775807, 'next to the first'), (9223372036854775806, 'next to the last')",
  );
});
