import pino from 'pino';
import { expect, test } from 'vitest';
import { sendCommand } from '../../../src/actions/command.ts';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { command, holds, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { createEvents, startLoad, switchAndCompare } from '../../support/events-table.ts';

/** How a pass goes on, and when it begins anew. */

async function fetchPass(client: Client): Promise<{ pass: number; checked: number; rows: number }> {
  const { rows } = await client.query<{ pass: number; checked: number; rows: number }>(
    `select v.pass, (select count(*) filter (where checked_at is not null)::int from partitioner.verified) as checked,
       (select coalesce(sum(rows), 0)::int from partitioner.verified) as rows from partitioner.verification v`,
  );
  return rows[0]!;
}

test.each([
  ['leaf', 5_000],
  ['table', 5_000],
] as const)('unit %s: a daemon that follows goes on where the verification stood', { timeout: 120_000 }, async (unitKind, rows) => {
  await using database = await createDatabase();
  const client = await database.client();
  await createEvents(client, rows);
  const plan = { unitKind };
  // About 300 bytes a row: the ranges of 500 rows that there are at least take seconds together.
  const slow = startDaemon(database.settings, 'app.events', plan, { verifyBytesPerSecond: 200_000 });
  await until(
    client,
    'rows that were compared',
    async () => await holds(client, `exists (select from partitioner.verified where rows > 0)`),
  );
  expect((await fetchPass(client)).rows).toBeLessThan(rows);
  await slow.stop();
  const before = await fetchPass(client);
  const load = await startLoad(database, rows);
  await using daemon = startDaemon(database.settings, 'app.events', plan);
  await untilPhase(client, 'ready');
  const after = await fetchPass(client);
  expect([before.pass, after.pass]).toEqual([1, 1]);
  // Each row once, but for what the writer has added and moved meanwhile.
  expect(after.rows).toBeGreaterThan(rows * 0.8);
  expect(after.rows).toBeLessThan(rows * 1.2);
  await load.stop();
  await switchAndCompare(client);
  await daemon.ended;
});

/** Has the log of a migration hold numbers of millions of changes, that nobody has to wait for. */
async function outgrow(database: TestDatabase, client: Client, id: number): Promise<void> {
  const keeper = await database.client('keeper');
  await keeper.query('begin; lock table partitioner.verification in access exclusive mode');
  const isLogged = (count: number): Promise<boolean> =>
    holds(client, `(select count(*) >= ${String(count)} from partitioner.changed_${String(id)})`);
  await client.query('update app.events set kind = kind + 1 where id = 5');
  await until(client, 'a change in the log', () => isLogged(1));
  await client.query(`select setval(pg_get_serial_sequence('partitioner.changed_${String(id)}', 'n'), 10000000)`);
  await client.query('update app.events set kind = kind + 1 where id <= 300');
  await until(client, 'the changes in the log', () => isLogged(301));
  await keeper.query('commit');
}

test('when more keys change than are compared again, everything is compared anew', { timeout: 120_000 }, async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createEvents(client, 3_000);
  await using daemon = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(client, 'ready');
  await outgrow(database, client, id);
  await until(client, 'another pass', async () => (await fetchPass(client)).pass === 2);
  await untilPhase(client, 'ready');
  await until(client, 'the pass done', async () =>
    holds(
      client,
      `(select count(*) filter (where checked_at is not null) = (select count(*) from partitioner.leaf) from partitioner.verified)`,
    ),
  );
  expect(await holds(client, '(select not tainted from partitioner.verification)')).toBe(true);
  await switchAndCompare(client);
  await daemon.ended;
});

test('while it is paused, what is compared anew waits for nobody: commands are taken', { timeout: 120_000 }, async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createEvents(client, 3_000);
  const said: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => void said.push(line) });
  await using daemon = startDaemon(database.settings, 'app.events', {}, { log });
  const { id } = await untilPhase(client, 'ready');
  await command(client, id, 'pause');
  expect(await command(client, id, 'verify')).toMatchObject({ pass: 2 });
  await outgrow(database, client, id);
  await until(client, 'it begins anew', () => Promise.resolve(said.some((line) => line.includes('the verification begins anew'))));
  expect(await sendCommand(client, id, 'verify', {}, { waitMs: 15_000 })).toMatchObject({ ok: true, pass: 4 });
  await command(client, id, 'resume');
  await until(client, 'every row compared', async () => (await fetchPass(client)).rows === 3_000);
  await switchAndCompare(client);
  await daemon.ended;
});

test('verify compares while a cutover is refused, and pause holds it', { timeout: 120_000 }, async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createEvents(client, 3_000);
  await using daemon = startDaemon(database.settings, 'app.events', {}, { verifyBytesPerSecond: 400_000 });
  const { id } = await untilPhase(client, 'ready');
  await command(client, id, 'pause');
  const outcome = await command(client, id, 'verify');
  expect(outcome).toMatchObject({ ok: true, pass: 2 });
  await expect(command(client, id, 'cutover')).rejects.toThrow('WRONG_PHASE');
  expect((await fetchPass(client)).rows).toBe(0);
  await command(client, id, 'resume');
  await until(client, 'every row compared', async () => (await fetchPass(client)).rows === 3_000);
  await switchAndCompare(client);
  await daemon.ended;
});

test('a row that came and went while the stream was held is no difference', { timeout: 120_000 }, async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createEvents(client, 2_000);
  await using daemon = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(client, 'ready');
  const keeper = await database.client('keeper');
  await keeper.query('begin; select from partitioner.position for update');
  await client.query('update app.events set kind = 7 where id = 5');
  await until(client, 'the stream is held', () =>
    holds(client, `exists (select from pg_stat_activity where application_name = 'partitioner applier' and wait_event_type = 'Lock')`),
  );
  await client.query(`insert into app.events (id, at) overriding system value values (900001, '2026-02-02')`);
  await command(client, id, 'verify');
  const suspects = `partitioner.suspect_${String(id)}`;
  await until(client, 'a suspect', () => holds(client, `exists (select from ${suspects} where k0 = 900001 and state = 'suspected')`));
  // Both changes come in one batch, which leaves nothing of them.
  await client.query('delete from app.events where id = 900001');
  await keeper.query('commit');
  await until(client, 'no suspect left', () => holds(client, `not exists (select from ${suspects} where state <> 'different')`));
  expect(await holds(client, '(select not tainted and differences = 0 from partitioner.verification)')).toBe(true);
  await switchAndCompare(client);
  await daemon.ended;
});
