import pino from 'pino';
import { expect, test } from 'vitest';
import type { Client } from '../../src/pg/client.ts';
import { catalogSnapshot } from '../support/catalog-snapshot.ts';
import { createDatabase } from '../support/database.ts';
import { store } from '../../src/pg/control-store.ts';
import { command, holds, startDaemon, until, untilPhase } from '../support/daemon.ts';
import { createEvents, EVENTS, endProcess } from '../support/events-table.ts';
import { leftovers, NO_LEFTOVERS } from '../support/oracle.ts';
import { partitioner, startPartitioner } from '../support/partitioner.ts';

/** `abort` at any moment leaves the catalog as it was, to the row. */

const ROWS = 30_000;
const IN_BACKFILL = `exists (select from partitioner.chunk where done) and exists (select from partitioner.chunk where not done)`;

const MOMENTS: Readonly<Record<string, (control: Client) => Promise<unknown>>> = {
  'right after the preparation': (control) =>
    until(control, 'the plan', () => holds(control, `(select plan <> '{}' from partitioner.migration)`)),
  'in the middle of the backfill': (control) => until(control, 'a chunk', () => holds(control, IN_BACKFILL)),
  'when it is ready': (control) => untilPhase(control, 'ready'),
};

async function expectTableToWork(client: Client): Promise<void> {
  const { rows } = await client.query<{ id: string }>(`insert into app.events (at, v) values ('2031-01-01', 'after') returning id`);
  expect(rows[0]!.id).toBe(String(ROWS + 1));
  await client.query(`update app.events set at = '2026-03-03' where id = $1`, [rows[0]!.id]);
  await client.query('delete from app.events where id = $1', [rows[0]!.id]);
  const { rows: counted } = await client.query<{ rows: number }>('select count(*)::int as rows from app.events');
  expect(counted[0]!.rows).toBe(ROWS);
}

test.each(Object.entries(MOMENTS))('abort %s, which the daemon performs', async (_, moment) => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const before = await catalogSnapshot(control);
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 8_192 });
  await moment(control);
  expect(await partitioner(['abort', 'app.events'], { DATABASE_URL: database.url })).toMatchObject({ code: 0, stderr: '' });
  await daemon.ended;
  expect(await catalogSnapshot(control)).toEqual(before);
  await expectTableToWork(control);
});

test.each(Object.entries(MOMENTS))('abort %s, when the daemon has been killed', async (_, moment) => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const before = await catalogSnapshot(control);
  const daemon = startPartitioner(['start', ...EVENTS, '--chunk-size', '64kB'], { DATABASE_URL: database.url });
  await moment(control).finally(() => endProcess(daemon));
  expect(await partitioner(['abort', 'app.events'], { DATABASE_URL: database.url })).toMatchObject({ code: 0, stderr: '' });
  expect(await catalogSnapshot(control)).toEqual(before);
  await expectTableToWork(control);
});

test('abort with a second daemon that stands by: nothing is made again', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 1_000);
  const before = await catalogSnapshot(control);
  await using first = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(control, 'ready');
  const said: string[] = [];
  const log = pino({ level: 'info' }, { write: (line) => void said.push(line) });
  await using second = startDaemon(database.settings, 'app.events', {}, { log });
  await until(control, 'it stands by', () => Promise.resolve(said.some((line) => line.includes('standing by'))));
  await command(control, id, 'abort');
  await Promise.all([first.ended, second.ended]);
  expect(await leftovers(control)).toEqual(NO_LEFTOVERS);
  expect(await catalogSnapshot(control)).toEqual(before);
});

test('abort when the daemon has been killed while its slot was being made: a transaction still runs', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const before = await catalogSnapshot(control);
  const application = await database.client('application');
  await application.query('begin; select pg_current_xact_id()');
  const daemon = startPartitioner(['start', ...EVENTS], { DATABASE_URL: database.url });
  const waits = `exists (select from pg_locks where locktype = 'transactionid' and not granted)`;
  await until(control, 'the slot is waited for', () => holds(control, waits)).finally(() => endProcess(daemon));
  expect(await partitioner(['abort', 'app.events'], { DATABASE_URL: database.url })).toMatchObject({ code: 0, stderr: '' });
  await application.query('rollback');
  expect(await catalogSnapshot(control)).toEqual(before);
  await expectTableToWork(control);
});

test('a table that was switched is nothing to abort, whatever the bookkeeping says', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 1_000);
  await using daemon = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(control, 'ready');
  await command(control, id, 'cutover', { lockTimeoutMs: 500, maxLockHoldMs: 5_000, attempts: 60 });
  await daemon.ended;
  await store(control, 'store/set-failure', [id, JSON.stringify({ code: 'SOURCE_CHANGED', message: 'a daemon that looked too late' })]);
  expect(await holds(control, `(select phase = 'switched' from partitioner.migration)`)).toBe(true);

  await control.query(`update partitioner.migration set phase = 'failed'`);
  const refused = await partitioner(['abort', 'app.events', '--json'], { DATABASE_URL: database.url });
  expect([refused.code, JSON.parse(refused.stdout)]).toMatchObject([
    3,
    { error: { code: 'WRONG_PHASE', message: expect.stringContaining('is a partition of app.events: nothing was dropped') } },
  ]);
  expect(await holds(control, '(select count(*) = 1000 from app.events)')).toBe(true);
});
