import { expect, test } from 'vitest';
import { sendCommand, type CommandOutcome } from '../../../src/actions/command.ts';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { holds, startDaemon, until } from '../../support/daemon.ts';
import { createEvents } from '../../support/events-table.ts';
import { createPlainEvents, TRIGGERS } from '../../support/attached-table.ts';
import { appliedBack, expectFollowed, expectKind, LIMITS, switchBack, switchOver, untilPhaseOf } from '../../support/way-back.ts';

/** What comes, goes or changes while the partitioned table is in charge. */

async function rollback(control: Client): Promise<CommandOutcome | null> {
  return sendCommand(control, 1, 'rollback', LIMITS, { waitMs: 60_000 });
}

test('what was hung on it, changed or taken off since goes back as it is', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createPlainEvents(control);
  await control.query(TRIGGERS);
  await control.query(`
    create view app.changed as select id from app.events;
    create view app.gone as select id from app.events;
    alter table app.events add constraint events_tenant_fkey foreign key (tenant) references app.tenant;
    create policy all_of_it on app.events for select using (true);`);
  await using daemon = startDaemon(database.settings, 'app.events');
  await switchOver(daemon, control);
  await until(control, 'validated', () => holds(control, 'not exists (select from partitioner.after_step where done_at is null)'));
  const applied = await appliedBack(control);
  await control.query(`
    drop trigger a_stamp on app.events;
    create trigger late after insert on app.events for each row execute function app.note('late');
    create or replace view app.changed as select id, v from app.events;
    drop view app.gone;
    create view app.late as select id, v from app.events;
    create materialized view app.counted as select count(*)::int as n from app.events;
    create function app.newest() returns bigint language sql begin atomic select max(id) from app.events; end;
    alter table app.events drop constraint events_tenant_fkey;
    drop policy all_of_it on app.events;
    create policy some_of_it on app.events for select using (kind < 10);
    create table app.events_later partition of app.events for values from ('2040-01-01') to ('2041-01-01');
    insert into app.events (at, v) values ('2040-02-03', 'later');`);
  await until(control, 'followed', async () => (await appliedBack(control)) > applied);
  await switchBack(control);
  await expectKind(control, 'r');
  const { rows } = await control.query(`select
    array(select tgname::text from pg_trigger where tgrelid = 'app.events'::regclass and not tgisinternal and tgenabled = 'O' and tgname in ('a_stamp', 'late') order by 1) as triggers,
    array(select polname::text from pg_policy where polrelid = 'app.events'::regclass) as policies,
    array(select conname::text from pg_constraint where conrelid = 'app.events'::regclass and contype = 'f') as keys,
    array(select c.relname::text from pg_class c where c.relname in ('changed', 'gone', 'late') order by 1) as views,
    (select v from app.late where id = app.newest()) as newest,
    (select n = (select count(*) from app.events) from app.counted) as counted`);
  expect(rows).toEqual([
    { triggers: ['late'], policies: ['some_of_it'], keys: [], views: ['changed', 'late'], newest: 'later', counted: true },
  ]);
  await untilPhaseOf(daemon, control, 'ready');
  // The leaf that came meanwhile is known to the stream.
  await control.query(`update app.events set at = '2040-05-06' where v = 'later'`);
  await expectFollowed(control, 'partitioner_1_target_events');
  await switchOver(daemon, control);
  expect((await control.query(`select tableoid::regclass::text as leaf from app.events where v = 'later'`)).rows).toEqual([
    { leaf: 'app.events_later' },
  ]);
});

const REFUSED: Readonly<Record<string, { readonly change: string; readonly mend: string; readonly message: RegExp }>> = {
  'an index more': {
    change: 'create index more on app.events (kind)',
    mend: 'drop index app.more',
    message: /definition of "app"."events" has changed .*index/,
  },
  'a privilege more': {
    change: 'grant select on app.events to public',
    mend: 'revoke select on app.events from public',
    message: /definition of "app"."events" has changed .*table/,
  },
  'a leaf detached': {
    change: `create table app.template (like app.events); alter table app.events detach partition app.events_p2026_01`,
    mend: `alter table app.events attach partition app.events_p2026_01 for values from ('2026-01-01') to ('2026-02-01')`,
    message: /partition events_p2026_01 was detached or dropped/,
  },
  'a DEFAULT partition': {
    change: 'create table app.rest partition of app.events default',
    mend: 'drop table app.rest',
    message: /bounds that the stream does not know/,
  },
  'a foreign key on what is unique in the new table alone': {
    change: 'create table app.refers (id bigint, at timestamptz, constraint refers_fkey foreign key (id, at) references app.events)',
    mend: 'alter table app.refers drop constraint refers_fkey',
    message: /foreign key app.refers.refers_fkey blocks/,
  },
  'a leaf attached with rows in it': {
    change: `create table app.full_leaf (like app.events including all excluding identity); insert into app.full_leaf (id, at, v) values (900000, '2050-01-02', 'unseen');
      alter table app.events attach partition app.full_leaf for values from ('2050-01-01') to ('2051-01-01')`,
    mend: 'alter table app.events detach partition app.full_leaf',
    message: /full_leaf" and the un-partitioned table differ in 1 keys/,
  },
  'a trigger of a leaf alone': {
    change: `create function app.silent() returns trigger language plpgsql as 'begin return null; end'; create trigger silent after insert on app.events_p2026_02 execute function app.silent()`,
    mend: 'drop trigger silent on app.events_p2026_02',
    message: /events_p2026_02" has what its table has not: silent/,
  },
  'a rule': {
    change: 'create rule nothing as on delete to app.events where old.id < 0 do instead nothing',
    mend: 'drop rule nothing on app.events',
    message: /rule app.events.nothing blocks/,
  },
};

test('what cannot go back refuses the rollback by name, and nothing is changed', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 300);
  await using daemon = startDaemon(database.settings, 'app.events');
  await switchOver(daemon, control);
  for (const [what, { change, mend, message }] of Object.entries(REFUSED)) {
    await control.query(change);
    const outcome = await rollback(control);
    expect(outcome, what).toMatchObject({ ok: false, error: { message: expect.stringMatching(message) } });
    await expectKind(control, 'p');
    await control.query(mend);
  }
  expect((await control.query(`select count(*)::int as slots from pg_replication_slots where database = current_database()`)).rows).toEqual(
    [{ slots: 1 }],
  );
  await switchBack(control);
  await expectKind(control, 'r');
});

test('a leaf that was truncated by its own name is noticed, one that was only rewritten is not', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 300);
  await using daemon = startDaemon(database.settings, 'app.events');
  await switchOver(daemon, control);
  await control.query('vacuum full app.events_p2026_01');
  await switchBack(control);
  await switchOver(daemon, control);
  await control.query('truncate app.events_p2026_02');
  expect(await rollback(control)).toMatchObject({
    ok: false,
    error: { code: 'DIFFERENCE', message: expect.stringContaining('events_p2026_02') },
  });
  await expectKind(control, 'p');
});
