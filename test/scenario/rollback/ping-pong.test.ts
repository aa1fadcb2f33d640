import { expect, test } from 'vitest';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { readMigration, startDaemon, until } from '../../support/daemon.ts';
import { createEvents } from '../../support/events-table.ts';
import { startKnownWriter, type KnownWriter } from '../../support/known-writer.ts';
import { expectFollowed, expectKind, switchBack, switchOver, untilPhaseOf } from '../../support/way-back.ts';

const ROUNDS = 5;

test('cutover and rollback five times under a running load: every row is what its writer knows, no key is handed out twice', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 3_000);
  const writers = await Promise.all(['a', 'b', 'c'].map((name) => startKnownWriter(database, name)));
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 256 * 1024 });
  for (let round = 1; round <= ROUNDS; round++) {
    await switchOver(daemon, control);
    await underLoad(control, writers);
    await compare(control, writers, 'p');
    await switchBack(control);
    await underLoad(control, writers);
    await untilPhaseOf(daemon, control, 'ready');
    await compare(control, writers, 'r');
  }
  for (const writer of writers) await writer.stop();
  const { rows } = await control.query(`select (select sum(anomalies) from partitioner.position)::int as anomalies,
    (select count(*)::int from partitioner.history where event = 'switched') as over, (select count(*)::int from partitioner.history where event = 'rolled back') as back,
    (select count(*)::int from partitioner.history where event in ('failed', 'way back closed')) as failures,
    (select count(*)::int from pg_replication_slots where database = current_database()) as slots,
    (select count(*)::int from pg_publication) as publications`);
  expect(rows).toEqual([{ anomalies: 0, over: ROUNDS, back: ROUNDS, failures: 0, slots: 1, publications: 1 }]);
});

async function underLoad(control: Client, writers: readonly KnownWriter[]): Promise<void> {
  const from = writers.map(({ writes }) => writes);
  await until(control, 'writes', () => Promise.resolve(writers.every(({ writes }, i) => writes >= from[i]! + 40)));
}

/** The application's table holds what the writers know, and the other one the same. */
async function compare(control: Client, writers: readonly KnownWriter[], kind: 'r' | 'p'): Promise<void> {
  await Promise.all(writers.map((writer) => writer.pause()));
  await expectKind(control, kind);
  const migration = (await readMigration(control))!;
  await expectFollowed(control, kind === 'p' ? migration.retired_name : `partitioner_${String(migration.id)}_target_events`);
  const { rows } = await control.query<{ id: string }>(
    `select id::text, to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as at, kind, v, md5(doc) as doc from app.events where id > 3000 order by id`,
  );
  const known = writers
    .flatMap((writer) => [...writer.rows].map(([id, row]) => ({ id, ...row })))
    .sort((a, b) => Number(a.id) - Number(b.id));
  expect(rows).toEqual(known);
  const keys = writers.flatMap((writer) => writer.keys);
  expect(new Set(keys.map(({ id }) => id)).size, 'identities').toBe(keys.length);
  expect(new Set(keys.map(({ number }) => number)).size, 'serial numbers').toBe(keys.length);
  for (const { keys: own } of writers) {
    expect(
      own.map(({ id }) => Number(id)),
      'monotone',
    ).toEqual(own.map(({ id }) => Number(id)).toSorted((a, b) => a - b));
    expect(
      own.map(({ number }) => number),
      'monotone',
    ).toEqual(own.map(({ number }) => number).toSorted((a, b) => a - b));
  }
  for (const writer of writers) writer.resume();
}
