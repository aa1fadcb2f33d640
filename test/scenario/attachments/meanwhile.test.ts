import { expect, test } from 'vitest';
import { sendCommand, type CommandOutcome } from '../../../src/actions/command.ts';
import type { Client } from '../../../src/pg/client.ts';
import { ATTACHED_DECISIONS, createAttachedEvents, createPlainEvents, TRIGGERS } from '../../support/attached-table.ts';
import { splitLeaves } from '../../support/catalog-differences.ts';
import { catalogFacts } from '../../support/catalog-facts.ts';
import { createDatabase } from '../../support/database.ts';
import { startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { application } from '../../support/journey.ts';
import { createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

/** What comes, goes or changes while the migration runs. */

async function cutover(client: Client, id: number): Promise<CommandOutcome | null> {
  return sendCommand(client, id, 'cutover', { lockTimeoutMs: 1_000, maxLockHoldMs: 10_000, attempts: 10 }, { waitMs: 60_000 });
}

test('what was attached, changed or dropped since the migration began is carried as it is at the switch', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const { run, refused } = application(await database.client('application'));
  await createPlainEvents(control);
  await control.query(TRIGGERS);
  await control.query(`
    create view app.changed as select id from app.events;
    create view app.gone as select id from app.events;
    create function app.counted() returns bigint language sql begin atomic select count(*) from app.events; end;`);
  await using daemon = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(control, 'ready');
  await control.query(`
    drop trigger a_stamp on app.events;
    alter trigger b_stamp on app.events rename to c_stamp;
    alter table app.events disable trigger kind_changed;
    create trigger late after insert on app.events for each row execute function app.note('late');
    alter table app.events add constraint events_tenant_fkey foreign key (tenant) references app.tenant;
    create or replace view app.changed as select id, v from app.events where kind < 50;
    drop view app.gone;
    create view app.late as select id, v from app.events;
    create or replace function app.counted() returns bigint language sql begin atomic select count(*) from app.events where kind = 70; end;
    create policy late on app.events using (kind <> 66);
    create publication late for table app.events with (publish_via_partition_root = true);`);
  expect(await cutover(control, id)).toMatchObject({ ok: true });
  await daemon.ended;

  const [made] = await run<{ id: string; stamps: string }>(
    `insert into app.events (at, kind, v) values ('2026-02-03', 70, 'late') returning id, stamps`,
  );
  expect(made!.stamps).toBe('Ab');
  await run('update app.events set kind = 71 where id = $1', [made!.id]);
  expect(await run('select who from app.log where id = $1 order by n', [made!.id])).toEqual(
    ['a_row', 'always', 'late', 'z_row', 'z_row'].map((who) => ({ who })),
  );
  expect(await run('select v from app.late where id = $1', [made!.id])).toEqual([{ v: 'late' }]);
  expect(await run('select v from app.changed where id = $1', [made!.id])).toEqual([]);
  expect(await run('select app.counted() as count')).toEqual([{ count: '0' }]);
  expect(await refused('select from app.gone')).toBe('42P01');
  expect(await refused(`insert into app.events (at, tenant) values ('2026-02-03', 77)`)).toBe('23503');
  expect(
    await run(`select polname, relname from pg_policy join pg_class c on c.oid = polrelid where polrelid = 'app.events'::regclass`),
  ).toEqual([{ polname: 'late', relname: 'events' }]);
  expect(await run(`select tablename from pg_publication_tables where pubname = 'late'`)).toEqual([{ tablename: 'events' }]);
});

test('what comes in the way meanwhile is refused by name at the switch, which then succeeds without it', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createPlainEvents(control);
  await using daemon = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(control, 'ready');
  const attempts: readonly (readonly [string, string, string])[] = [
    ['quiet', 'create rule quiet as on delete to app.events do instead nothing', 'drop rule quiet on app.events'],
    ['app.holder', 'create table app.holder (e app.events)', 'drop table app.holder'],
    ['plain', 'create publication plain for table app.events', 'drop publication plain'],
    ['child_event', 'create table app.child (event bigint constraint child_event references app.events)', 'drop table app.child'],
    ['app.whole', 'create view app.whole as select e from app.events e', 'drop view app.whole'],
  ];
  for (const [name, make, drop] of attempts) {
    await control.query(make);
    const outcome = await cutover(control, id);
    expect(outcome, name).toMatchObject({ ok: false, error: { code: 'PREFLIGHT_REFUSED' } });
    expect(JSON.stringify(outcome)).toContain(name);
    await control.query(drop);
  }
  expect(await cutover(control, id)).toMatchObject({ ok: true });
  await daemon.ended;
});

test('a leaf that the stream has made has all that the others have', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const reader = await createRole(database, 'nologin', []);
  await createAttachedEvents(control, DEFAULT_MAJOR, reader.name);
  await using daemon = startDaemon(database.settings, 'app.events', { decisions: ATTACHED_DECISIONS });
  const { id } = await untilPhase(control, 'ready');
  await control.query(`insert into app.events (at, number, slug, v) values ('2077-07-07', 770077, 'Far', 'far')`);
  await until(control, 'the leaf of 2077', async () => {
    const { rows } = await control.query(`select from pg_class where relname = 'events_p2077_07'`);
    return rows.length > 0;
  });
  expect(await cutover(control, id)).toMatchObject({ ok: true });
  await daemon.ended;
  const { leaves } = splitLeaves(await catalogFacts(control, ['app']), 'app.events');
  const facts = (leaf: string): string[] =>
    [...leaves.get(`app.events_${leaf}`)!].map((fact) => JSON.stringify(fact).replaceAll(leaf, 'leaf')).sort();
  expect(facts('p2077_07').length).toBeGreaterThan(30);
  expect(facts('p2077_07')).toEqual(facts('p2026_02'));
  expect((await control.query(`select v from app.events where at = '2077-07-07'`)).rows).toEqual([{ v: 'far' }]);
});
