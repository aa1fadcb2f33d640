import { expect, test } from 'vitest';
import { endSilent, fetchMigrationClaim, takeOver } from '../../src/actions/claim.ts';
import { openMigration } from '../../src/actions/prepare.ts';
import { fetchTable } from '../../src/pg/catalog.ts';
import { connect, sqlState, withClient } from '../../src/pg/client.ts';
import { DEFAULT_PLAN_OPTIONS } from '../../src/plan/options.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { holds, until } from '../support/daemon.ts';

/** A migration's row with an applied position: what a daemon's transactions record. */
async function open(database: TestDatabase): Promise<number> {
  const client = await database.client();
  await client.query('create table public.t (id int primary key, at date)');
  const table = (await fetchTable(client, { schema: 'public', name: 't' }))!;
  const id = await openMigration(client, table, { ...DEFAULT_PLAN_OPTIONS, range: 'at' });
  await client.query(`insert into partitioner.position (migration, lsn, unsettled) values ($1, '0/1', '{}')`, [id]);
  return id;
}

const MOVE = 'update partitioner.position set inserted = inserted + 1';
const REFUSED = '08P02';

test('whoever takes over ends the sessions of the one before, also in the middle of a transaction, and waits for none of them', async () => {
  await using database = await createDatabase();
  const id = await open(database);
  const first = await database.client();
  const claim = await takeOver(first, id);
  const settings = { ...database.settings, claim };
  const busy = await connect(settings, { applicationName: 'test' });
  const idle = await connect(settings, { applicationName: 'test' });
  await busy.query(`begin; ${MOVE}`);
  const second = await database.client();
  const next = await takeOver(second, id);
  expect(BigInt(next.epoch)).toBe(BigInt(claim.epoch) + 1n);
  await expect(busy.query('commit')).rejects.toThrow();
  await expect(idle.query('select 1')).rejects.toThrow();
  expect(await holds(second, '(select inserted = 0 from partitioner.position)')).toBe(true);
  await withClient({ ...database.settings, claim: next }, { applicationName: 'test' }, (client) => client.query(MOVE));
  expect(await holds(second, '(select inserted = 1 from partitioner.position)')).toBe(true);
});

test('sessions that are not to be found: an epoch that is over commits nothing, in any isolation, and opens no session', async () => {
  await using database = await createDatabase();
  const id = await open(database);
  const first = await database.client();
  const claim = await takeOver(first, id);
  const lost = await connect({ ...database.settings, claim }, { applicationName: 'test' });
  const snapshot = await connect({ ...database.settings, claim }, { applicationName: 'test' });
  // As though they were another role's, which may not be ended.
  for (const client of [first, lost, snapshot]) await client.query('select pg_advisory_unlock_all()');
  await snapshot.query('begin isolation level repeatable read');
  await snapshot.query('select 1 from partitioner.position');
  await lost.query(`begin; ${MOVE}`);
  const second = await database.client();
  const taking = takeOver(second, id);
  // The transaction that is under way ends first, and is whole.
  await until(first, 'the next one waits', () =>
    holds(
      first,
      `exists (select from pg_stat_activity where query like '%partitioner.claim%' and wait_event_type = 'Lock' and datname = current_database())`,
    ),
  );
  await lost.query('commit');
  const next = await taking;
  expect(await lost.query(MOVE).catch(sqlState)).toBe(REFUSED);
  expect(await lost.query('delete from partitioner.chunk').catch(sqlState)).toBe(REFUSED);
  expect(['40001', REFUSED]).toContain(await snapshot.query(MOVE).catch(sqlState));
  await expect(connect({ ...database.settings, claim }, { applicationName: 'test' })).rejects.toThrow('another daemon has taken over');
  expect(await holds(second, '(select inserted = 1 from partitioner.position)')).toBe(true);
  // Who works on another migration, or on none, is not concerned.
  await first.query("set partitioner.claim = ''");
  await first.query(MOVE);
  await second.query(MOVE);
  expect(BigInt(next.epoch)).toBeGreaterThan(BigInt(claim.epoch));
  for (const client of [lost, snapshot]) await client.end();
});

test('a daemon that is silent loses its lock, one that beats does not', async () => {
  await using database = await createDatabase();
  const id = await open(database);
  const first = await database.client();
  const { backendPid } = await fetchMigrationClaim(first, id);
  const second = await database.client();
  const beatAt = (ago: string): Promise<unknown> =>
    second.query(
      `insert into partitioner.daemon values ($1, 1, 'elsewhere', $2, now(), clock_timestamp() - $3::interval) on conflict (migration) do update set seen_at = excluded.seen_at`,
      [id, backendPid, ago],
    );
  await beatAt('2 seconds');
  expect(await endSilent(second, id)).toBe(false);
  expect((await fetchMigrationClaim(second, id)).locked).toBe(false);
  await beatAt('30 seconds');
  expect(await endSilent(second, id)).toBe(true);
  await until(second, 'the lock is free', async () => (await fetchMigrationClaim(second, id)).locked);
  // A row that is left of a daemon that is gone: nobody is ended for it.
  expect(await endSilent(second, id)).toBe(false);
});
