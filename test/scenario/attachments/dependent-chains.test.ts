import { expect, test } from 'vitest';
import { createPlainEvents } from '../../support/attached-table.ts';
import { checkAs } from '../../support/check.ts';
import { createDatabase } from '../../support/database.ts';
import { isAfter, travel, type Application, type Moment } from '../../support/journey.ts';
import { expectNoneOfRetired } from '../../support/view-definitions.ts';

/** What does not read the table itself, but something that has to be made anew for it. */

test('what reads a materialized view goes on with its twin', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(`
    create materialized view app.daily (day, events, newest) as select (at at time zone 'UTC')::date, count(*)::int, max(id) from app.events group by 1;
    create unique index daily_day on app.daily (day);
    create statistics app.daily_statistics on events, newest from app.daily;
    create materialized view app.weekly as select date_trunc('week', day) as week, sum(events)::int as events, max(newest) as newest from app.daily group by 1;
    create materialized view app.latest as select max(w.newest) as newest, (select max(e.id) from app.events e) as own from app.weekly w;
    create view app.summary as select l.newest, l.own, (select sum(events)::int from app.daily) as events from app.latest l;
    create function app.of_day(wanted date) returns int language sql stable begin atomic select events from app.daily where day = wanted; end;
    create procedure app.note_day(wanted date) language sql begin atomic insert into app.place select 'day', events from app.daily where day = wanted; end;
    create table app.remark (id int);
    insert into app.remark values (1);
    create policy of_daily on app.remark using (exists (select from app.daily where events > 1000000));
    alter table app.remark enable row level security, force row level security;
    create view app.entry as select region, code from app.place;
    create rule entry_insert as on insert to app.entry do instead insert into app.place select new.region, d.events from app.daily d where d.day = '2026-01-02';`);
  const blockers = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  expect(blockers).toEqual([]);
  await travel(database, {
    look: async ({ run }: Application, moment: Moment) => {
      const id = 1_000_000;
      await run(`insert into app.events (id, at) values ($1, '2027-07-07 12:00:00+00')`, [id]);
      await run('refresh materialized view concurrently app.daily');
      await run('refresh materialized view app.weekly');
      await run('refresh materialized view app.latest');
      expect(await run('select newest::int, own::int from app.summary')).toEqual([{ newest: id, own: id }]);
      expect(await run(`select app.of_day('2027-07-07') as events`)).toEqual([{ events: 1 }]);
      await run(`call app.note_day('2027-07-07')`);
      expect(await run(`delete from app.place where region = 'day' returning code`)).toEqual([{ code: 1 }]);
      await run(`insert into app.entry values ('rule', 0)`);
      expect(await run(`delete from app.place where region = 'rule' returning code`)).toEqual([{ code: 32 }]);
      await run('delete from app.events where id = $1', [id]);
      await run('refresh materialized view app.daily');
      expect(await run(`select app.of_day('2027-07-07') as events`)).toEqual([{ events: null }]);
      if (isAfter(moment)) await expectNoneOfRetired({ run } as Application);
    },
    retired: async ({ run }) => {
      const rows = await run(`
        select pg_describe_object(d.classid, d.objid, 0) as object, c.relname from pg_depend d join pg_class c on c.oid = d.refobjid and d.refclassid = 'pg_class'::regclass
        where c.relname like 'partitioner%retired%' and c.relkind = 'm' and d.classid in ('pg_policy'::regclass, 'pg_proc'::regclass)`);
      expect(rows, 'reads what has retired').toEqual([]);
    },
  });
});

test('a materialized view that was refreshed while the migration ran is not older after the switch', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(`
    create materialized view app.newest as select max(id) as id, count(*) as events from app.events;
    create materialized view app.each as select id from app.events where id > 900000;
    create unique index each_id on app.each (id);`);
  await travel(database, {
    look: async ({ run }: Application, moment: Moment) => {
      if (moment === 'ready') {
        await run(`insert into app.events (id, at) values (1000000, '2026-02-03')`);
        await run('refresh materialized view app.newest');
        await run('refresh materialized view concurrently app.each');
      }
      const there = moment === 'before' ? [] : [{ id: '1000000' }];
      expect(await run('select id from app.newest where id = 1000000')).toEqual(there);
      expect(await run('select id from app.each')).toEqual(there);
    },
  });
});

test('foreign keys on a unique constraint that was widened; from a table that is partitioned itself', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client, 'id, at');
  await client.query(`
    alter table app.events add column number int;
    update app.events set number = id;
    alter table app.events add constraint events_number_key unique (number), add constraint events_number_at_key unique (at, number);
    create table app.by_number (number int constraint by_number_fkey references app.events (number) on update cascade, event_at timestamptz);
    create table app.by_both (at timestamptz, number int, constraint by_both_fkey foreign key (number, at) references app.events (number, at));
    create table app.parts (event bigint, event_at timestamptz, part int, constraint parts_fkey foreign key (event, event_at) references app.events (id, at)) partition by list (part);
    create table app.parts_1 partition of app.parts for values in (1);
    create table app.parts_2 partition of app.parts for values in (2);
    insert into app.by_number select number, at from app.events where id < 50;
    insert into app.by_both select at, number from app.events where id < 50;
    insert into app.parts select id, at, 1 + id % 2 from app.events where id < 50;`);
  const decisions: Record<string, string> = {
    'unique:events_number_key': 'widen',
    'foreign-key:app.by_number.by_number_fkey': 'widen:event_at',
  };
  const blockers = (await checkAs(database.settings, 'app.events', { decisions })).filter(({ severity }) => severity === 'blocker');
  const refusesParts = blockers.length > 0;
  if (refusesParts) {
    expect(blockers.map(({ object }) => object)).toEqual(['app.parts.parts_fkey']);
    expect(blockers[0]!.fix).toContain('foreign-key:app.parts.parts_fkey=drop');
    decisions['foreign-key:app.parts.parts_fkey'] = 'drop';
  }
  await travel(database, {
    plan: { decisions },
    look: async ({ run, refused }: Application, moment: Moment) => {
      expect(await refused(`insert into app.by_number values (-1, now())`)).toBe('23503');
      expect(await refused(`insert into app.by_both values (now(), 40)`)).toBe('23503');
      expect(await refused(`insert into app.parts values (-1, now(), 2)`)).toBe(refusesParts && isAfter(moment) ? null : '23503');
      await run('delete from app.parts where event = -1');
      await run('insert into app.by_number select number, at from app.events where id = 60');
      expect(await refused('delete from app.events where id = 60')).toBe('23503');
      await run('update app.events set number = -60 where id = 60');
      expect(await run('delete from app.by_number where number = -60 returning number')).toEqual([{ number: -60 }]);
      await run('update app.events set number = 60 where id = 60');
    },
  });
});
