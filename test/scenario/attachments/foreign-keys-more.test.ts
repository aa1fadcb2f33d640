import { expect, test } from 'vitest';
import { createPlainEvents } from '../../support/attached-table.ts';
import { checkAs } from '../../support/check.ts';
import { createDatabase } from '../../support/database.ts';
import { travel, type Application, type Moment } from '../../support/journey.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

const ORPHAN = '23503';

test('foreign keys to a partitioned table, with the partition key in them, with a default, not enforced', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(`
    create table app.area (id int primary key, name text) partition by range (id);
    create table app.area_1 partition of app.area for values from (0) to (10);
    create table app.area_2 partition of app.area for values from (10) to (1000);
    insert into app.area select n from generate_series(0, 99) n;
    create table app.instant (at timestamptz, kind int, primary key (at, kind));
    insert into app.instant select distinct at, kind from app.events;
    create table app.state (id int primary key);
    insert into app.state values (0), (1), (2);
    alter table app.events add column area int, add column state int default 0;
    update app.events set area = id % 100, state = id % 2 + 1;
    alter table app.events
      add constraint events_area_fkey foreign key (area) references app.area on delete cascade,
      add constraint events_state_fkey foreign key (state) references app.state on delete set default on update set null;
    ${DEFAULT_MAJOR >= 18 ? 'alter table app.events add constraint events_lax_fkey foreign key (other) references app.other not enforced;' : ''}
    create table app.kept (at timestamptz, kind int, foreign key (at, kind) references app.instant);`);
  // The writer moves its rows in time; those of a test stay.
  await client.query(`alter table app.events add constraint events_instant_fkey foreign key (at, code) references app.instant (at, kind)`);
  expect((await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker')).toEqual([]);
  const constraints = async ({ run }: Application): Promise<unknown[]> =>
    run(
      `select conname, convalidated, pg_get_constraintdef(oid) as definition from pg_constraint where contype = 'f' and conrelid = 'app.events'::regclass and conparentid = 0 order by 1`,
    );
  let before: unknown[] = [];
  await travel(database, {
    look: async (app: Application, moment: Moment) => {
      const { run, refused } = app;
      expect(await refused(`insert into app.events (at, area) values ('2026-02-03', 2000)`)).toBe(ORPHAN);
      await run('insert into app.area values (555)');
      await run(`insert into app.events (at, area, v) values ('2026-02-03', 555, 'of the area'), ('2026-03-03', 555, 'of the area')`);
      await run('delete from app.area where id = 555');
      expect(await run(`select from app.events where v = 'of the area'`)).toEqual([]);
      expect(await refused(`insert into app.events (at, code) values ('2026-02-03 04:05:06', 1)`)).toBe(ORPHAN);
      await run('insert into app.state values (7), (8)');
      const made = await run<{ id: string }>(`insert into app.events (at, state) values ('2026-02-03', 7), ('2026-03-03', 8) returning id`);
      const ids = made.map(({ id }) => id);
      await run('delete from app.state where id = 7');
      await run('update app.state set id = 9 where id = 8');
      expect(await run('select state from app.events where id = any ($1) order by id', [ids])).toEqual([{ state: 0 }, { state: null }]);
      await run('delete from app.events where id = any ($1)', [ids]);
      await run('delete from app.state where id = 9');
      if (DEFAULT_MAJOR >= 18)
        expect(await run(`insert into app.events (at, other) values ('2026-02-03', 12345) returning other`)).toEqual([{ other: 12345 }]);
      await run('delete from app.events where other = 12345');
      if (moment === 'before') before = await constraints(app);
      if (moment !== 'switched') expect(await constraints(app)).toEqual(before);
    },
  });
});

test('a routine that is made anew is open to nobody whom it was closed to', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(`
    alter default privileges in schema app grant execute on functions to pg_monitor;
    alter default privileges grant execute on functions to pg_signal_backend;
    create function app.label(event app.events) returns text language sql immutable cost 7 parallel safe set search_path = pg_catalog as $$ select event.v $$;
    revoke all on function app.label(app.events) from pg_monitor, pg_signal_backend, public, current_user;
    grant execute on function app.label(app.events) to pg_read_all_stats with grant option;`);
  const facts = async ({ client: session }: Application): Promise<unknown[]> =>
    (
      await session.query(
        `select pg_get_functiondef(oid) as definition, array(select x::text from aclexplode(proacl) x order by 1) as acl, obj_description(oid, 'pg_proc') as comment from pg_proc where proname = 'label'`,
      )
    ).rows;
  let before: unknown[] = [];
  await travel(database, {
    look: async (app: Application, moment: Moment) => {
      if (moment === 'before') before = await facts(app);
      expect(await facts(app)).toEqual(before);
    },
  });
});
