import { expect, test } from 'vitest';
import { quoteIdent } from '../../../src/domain/identifier.ts';
import { createPlainEvents } from '../../support/attached-table.ts';
import { checkAs } from '../../support/check.ts';
import { createDatabase } from '../../support/database.ts';
import { EVENTS } from '../../support/events-table.ts';
import { partitioner } from '../../support/partitioner.ts';
import { createMigrator, createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

interface Case {
  readonly what: string;
  readonly sql: string;
  /** Of each blocker: what it names, in its object or message. */
  readonly named: readonly string[];
  /** What its fix has. */
  readonly fix: RegExp;
  readonly since?: number;
}

const NOOP = `create function app.noop() returns trigger language plpgsql as $$ begin return null; end $$;`;

/** Each is refused before anything is copied, by name and with what to do. */
const CASES: readonly Case[] = [
  {
    what: 'a rule',
    sql: 'create rule quiet as on delete to app.events do instead nothing',
    named: ['quiet'],
    fix: /DROP RULE "quiet" ON "app"\."events"/i,
  },
  {
    what: 'a rule that does something also',
    sql: `create table app.log (id bigint); create rule logged as on insert to app.events do also insert into app.log values (new.id)`,
    named: ['logged'],
    fix: /DROP RULE "logged"/i,
  },
  {
    what: 'a row trigger with transition tables',
    sql: `${NOOP} create trigger with_tables after update on app.events referencing old table as gone new table as fresh for each row execute function app.noop()`,
    named: ['with_tables'],
    fix: /with_tables/,
  },
  {
    what: 'a foreign key of the table to itself',
    sql: 'alter table app.events add column parent bigint constraint to_itself references app.events',
    named: ['to_itself'],
    fix: /foreign-key:app\.events\.to_itself=drop/,
  },
  { what: 'a column of the row type', sql: 'create table app.holder (e app.events)', named: ['app.holder'], fix: /./ },
  { what: 'a column of its array', sql: 'create table app.holder (e app.events[])', named: ['app.holder'], fix: /./ },
  { what: 'a composite of the row type', sql: 'create type app.pair as (a app.events, b int)', named: ['app.pair'], fix: /./ },
  {
    what: 'a domain over the row type',
    sql: 'create domain app.checked as app.events check ((value).id > 0)',
    named: ['app.checked'],
    fix: /./,
  },
  {
    what: 'a table made of the row type',
    sql: 'create view app.whole as select e from app.events e',
    named: ['app.whole'],
    fix: /app\.whole/,
  },
  {
    what: 'a view that needs the primary key to be exactly what it is',
    sql: 'create view app.grouped as select id, v, count(*) as n from app.events group by id',
    named: ['app.grouped'],
    fix: /GROUP BY/,
  },
  { what: 'an inheritance child', sql: 'create table app.child () inherits (app.events)', named: ['app.child'], fix: /NO INHERIT/ },
  {
    what: 'an exclusion constraint',
    sql: 'alter table app.events add constraint apart exclude using gist (tstzrange(at, at) with &&)',
    named: ['apart'],
    fix: /DROP CONSTRAINT "apart"/,
  },
  {
    what: 'a subscription',
    sql: `create subscription taken connection 'host=/nowhere' publication p with (connect = false, slot_name = none);
          insert into pg_subscription_rel (srsubid, srrelid, srsubstate) select oid, 'app.events'::regclass, 'r' from pg_subscription where subname = 'taken'`,
    named: ['taken'],
    fix: /./,
  },
  {
    what: 'a cast of the row type',
    sql: `create function app.to_text(e app.events) returns text language sql immutable as $$ select 'x' $$; create cast (app.events as text) with function app.to_text (app.events)`,
    named: ['app.events AS pg_catalog.text'],
    fix: /./,
  },
  {
    what: 'unique keys and foreign keys without a decision',
    sql: `alter table app.events add constraint once unique (v, kind); update app.events set v = id::text;
          create table app.child (id int primary key, event bigint constraint of_event references app.events)`,
    named: ['once', 'of_event'],
    fix: /(unique:once=widen|foreign-key:app\.child\.of_event=drop)/,
  },
];

test.each(CASES.filter(({ since = 0 }) => DEFAULT_MAJOR >= since))('the check refuses $what', async ({ sql, named, fix }) => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(`update app.events set v = 'row ' || id`);
  await client.query(sql);
  const blockers = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  for (const name of named) {
    const finding = blockers.find(({ object, message }) => object.includes(name) || message.includes(name));
    expect(finding, name).toBeDefined();
    expect(finding!.fix, name).toMatch(fix);
  }
  await client.query('drop subscription if exists taken');
});

test('the check refuses a temporary view of another session', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query('create temporary view passing as select id from app.events');
  const blockers = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  expect(blockers).toHaveLength(1);
  expect(`${blockers[0]!.object} ${blockers[0]!.message}`).toContain('passing');
});

test('the check names what the migrating role may not alter, with what gives it the right', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  const migrator = await createMigrator(database);
  const stranger = await createRole(database, 'nologin', ['create']);
  await client.query(`
    alter schema app owner to ${quoteIdent(migrator.name)};
    alter table app.events owner to ${quoteIdent(migrator.name)};
    create table app.child (id int primary key, event bigint, event_at timestamptz);
    alter table app.events drop constraint events_pkey, add primary key (id, at);
    alter table app.child add constraint foreign_one foreign key (event, event_at) references app.events;
    create view app.foreign_view as select id from app.events;
    create function app.foreign_function() returns bigint language sql begin atomic select max(id) from app.events; end;
    create table app.guarded (id bigint);
    create policy foreign_policy on app.guarded using (exists (select from app.events e where e.id = guarded.id));
    create materialized view app.foreign_rollup as select count(*) from app.events;
    create publication foreign_publication for table app.events with (publish_via_partition_root = true);
    alter table app.child owner to ${quoteIdent(stranger.name)};
    alter table app.guarded owner to ${quoteIdent(stranger.name)};
    grant select, references on app.events to ${quoteIdent(stranger.name)};
    grant usage, create on schema app to ${quoteIdent(stranger.name)};
    alter view app.foreign_view owner to ${quoteIdent(stranger.name)};
    alter function app.foreign_function() owner to ${quoteIdent(stranger.name)};
    alter materialized view app.foreign_rollup owner to ${quoteIdent(stranger.name)};`);
  const blockers = (await checkAs(migrator.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  for (const name of ['foreign_one', 'foreign_view', 'foreign_function', 'foreign_policy', 'foreign_rollup', 'foreign_publication']) {
    const finding = blockers.find(({ object, message }) => object.includes(name) || message.includes(name));
    expect(finding, name).toBeDefined();
    expect(finding!.fix, name).toBeDefined();
  }
  // Given the owner's membership it may.
  await client.query(
    `grant ${quoteIdent(stranger.name)} to ${quoteIdent(migrator.name)}; alter publication foreign_publication owner to ${quoteIdent(migrator.name)}`,
  );
  expect((await checkAs(migrator.settings, 'app.events')).filter(({ severity }) => severity === 'blocker')).toEqual([]);
});

test('the check warns of triggers whose effect changes when a row moves to another leaf', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(`${NOOP} create trigger on_change before update on app.events for each row execute function app.noop()`);
  const warnings = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'warning');
  expect(warnings.find(({ object, message }) => `${object} ${message}`.includes('on_change'))).toBeDefined();
});

test('start refuses too: nothing is copied that could not be switched', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query('create rule quiet as on delete to app.events do instead nothing');
  const run = await partitioner(['start', ...EVENTS], { DATABASE_URL: database.url });
  expect(run).toMatchObject({ code: 2 });
  expect(run.stdout).toContain('quiet');
  const { rows } = await client.query(
    `select relname from pg_class where relkind in ('r', 'p') and (relname like 'events\\_p%' or relname like 'partitioner%target%')`,
  );
  expect(rows).toEqual([]);
});
