import { expect, test } from 'vitest';
import { sqlState, type Client } from '../../../src/pg/client.ts';
import { createPlainEvents } from '../../support/attached-table.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { command, startDaemon, untilPhase } from '../../support/daemon.ts';

/** Statements that reach the table while it is switched by way of something else, and so hold a lock already or were read before. */

/** Each statement over and over in a session of its own, until the switch is done: how often it was done, and how it was refused. */
async function switchUnder(
  database: TestDatabase,
  control: Client,
  statements: readonly string[],
): Promise<{ done: number; refused: string[] }[]> {
  await using daemon = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(control, 'ready');
  let stopped = false;
  const calls = statements.map(async (statement) => {
    const client = await database.client('application');
    const refused: string[] = [];
    let done = 0;
    while (!stopped) {
      try {
        await client.query(statement);
        done++;
      } catch (error) {
        refused.push(sqlState(error) ?? String(error));
      }
    }
    return { done, refused };
  });
  await command(control, id, 'cutover', { lockTimeoutMs: 1_000, maxLockHoldMs: 10_000, attempts: 60 }).finally(() => (stopped = true));
  await daemon.ended;
  return await Promise.all(calls);
}

test('calls of routines with an SQL body that wait for the switch are not lost', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createPlainEvents(control);
  await control.query(`
    create procedure app.add(value text) language sql begin atomic insert into app.events (at, v) values (now(), value); end;
    create function app.added(value text) returns bigint language sql begin atomic insert into app.events (at, v) values (now(), value) returning id; end;`);
  const results = await switchUnder(database, control, ["call app.add('new')", "select app.added('new')", "call app.add('new')"]);
  const { rows } = await control.query<{ count: number }>(`select count(*)::int from app.events where v = 'new'`);
  expect(rows[0]!.count).toBe(results.reduce((sum, { done }) => sum + done, 0));
  // What cannot be done any more is refused as something to be tried again.
  for (const { refused } of results) for (const state of refused) expect(state).toBe('40001');
});

test('views, foreign keys both ways and policies elsewhere, in use without a pause', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createPlainEvents(control, 'id, at');
  await control.query(`
    alter table app.events add constraint events_tenant_fkey foreign key (tenant) references app.tenant on update cascade;
    create view app.recent as select id, at, v, tenant from app.events;
    create table app.note_of (event bigint, event_at timestamptz, foreign key (event, event_at) references app.events);
    create table app.remark (id int generated always as identity, event bigint);
    insert into app.remark (event) values (1);
    create policy of_events on app.remark to public using (exists (select from app.events e where e.id = remark.event));
    alter table app.remark enable row level security, force row level security;`);
  const results = await switchUnder(database, control, [
    `insert into app.recent (at, v) values (now(), 'new')`,
    `select count(*) from app.recent where id = 5`,
    `insert into app.note_of select id, at from app.events where id = 6`,
    `update app.tenant set name = name || '!' where id = 1`,
    `select count(*) from app.remark`,
  ]);
  for (const { refused } of results) expect(refused).toEqual([]);
  const { rows } = await control.query<{ count: number; notes: number; attempts: number }>(
    `select (select count(*)::int from app.events where v = 'new') as count, (select count(*)::int from app.note_of) as notes, (select (receipt ->> 'attempts')::int from partitioner.migration) as attempts`,
  );
  expect(rows).toEqual([{ count: results[0]!.done, notes: results[2]!.done, attempts: expect.any(Number) as number }]);
});
