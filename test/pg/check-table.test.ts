import { describe, expect, it } from 'vitest';
import type { PlanOptions } from '../../src/plan/options.ts';
import { checkAs, found } from '../support/check.ts';
import { createDatabase } from '../support/database.ts';
import { DEFAULT_MAJOR } from '../support/server.ts';

interface Case {
  readonly name: string;
  /** After `create schema app`. */
  readonly sql: string;
  readonly table?: string;
  readonly options?: Partial<PlanOptions>;
  /** `id object` of every blocker, and of no other. */
  readonly blockers: readonly string[];
  readonly warnings?: readonly string[];
  /** The first major that has what the SQL needs. */
  readonly since?: number;
}

const EVENTS = 'create table app.events (id bigint primary key, at timestamptz not null, v text);';
/** Of each table whose primary key lacks the partition column. */
const WIDENED = 'primary-key-widened events_pkey';

const TABLES: readonly Case[] = [
  { name: 'nothing wrong', sql: EVENTS, blockers: [], warnings: [WIDENED] },
  {
    name: 'a key that has the partition column',
    sql: 'create table app.events (id int, at date, primary key (id, at))',
    blockers: [],
    warnings: [],
  },
  { name: 'an unknown table', sql: EVENTS, table: 'app.event', blockers: ['table-exists app.event'], warnings: [] },
  { name: 'a table of another schema', sql: EVENTS, table: 'events', blockers: ['table-exists events'], warnings: [] },
  { name: 'a view', sql: 'create view app.events as select 1', blockers: ['table-kind app.events'] },
  { name: 'a materialized view', sql: 'create materialized view app.events as select 1', blockers: ['table-kind app.events'] },
  {
    name: 'a foreign table',
    sql: 'create foreign data wrapper w; create server s foreign data wrapper w; create foreign table app.events (at date) server s',
    blockers: ['table-kind app.events'],
  },
  { name: 'a partitioned table', sql: 'create table app.events (at date) partition by range (at)', blockers: ['table-kind app.events'] },
  {
    name: 'a partition',
    sql: 'create table app.p (at date primary key) partition by range (at); create table app.events partition of app.p default',
    blockers: ['table-kind app.events'],
  },
  { name: 'a sequence', sql: 'create sequence app.events', blockers: ['table-kind app.events'] },
  { name: 'a system catalog', sql: '', table: 'pg_catalog.pg_class', blockers: ['table-kind pg_catalog.pg_class'] },
  { name: 'an unlogged table', sql: EVENTS.replace('create', 'create unlogged'), blockers: ['table-persistence app.events'] },
  {
    name: 'a typed table',
    sql: 'create type app.t as (id bigint, at date); create table app.events of app.t (primary key (id), at with options not null)',
    blockers: ['table-typed app.events'],
  },
  {
    name: 'an inheritance parent',
    sql: `${EVENTS} create table app.child () inherits (app.events)`,
    blockers: ['table-inheritance app.child'],
  },
  {
    name: 'an inheritance child',
    sql: 'create table app.parent (v text); create table app.events (id int primary key, at date not null) inherits (app.parent)',
    blockers: ['table-inheritance app.parent'],
  },
  { name: 'no primary key', sql: 'create table app.events (id int, at date not null)', blockers: ['primary-key app.events'] },
  {
    name: 'a deferrable primary key',
    sql: 'create table app.events (id int primary key deferrable, at date not null)',
    blockers: ['primary-key events_pkey'],
  },
  ...['real', 'double precision', 'interval', 'timetz', 'int4range', 'int[]', 'jsonb'].map((type) => ({
    name: `a key of ${type}`,
    sql: `create table app.events (id ${type} primary key, at date not null)`,
    blockers: ['primary-key-types app.events.id'],
  })),
  {
    name: 'a key of a domain over float',
    sql: 'create domain app.d as float8; create domain app.dd as app.d; create table app.events (id app.dd primary key, at date not null)',
    blockers: ['primary-key-types app.events.id'],
  },
  {
    name: 'a key of a composite',
    sql: 'create type app.c as (a int); create table app.events (id app.c primary key, at date not null)',
    blockers: ['primary-key-types app.events.id'],
  },
  {
    name: 'a key with a nondeterministic collation',
    sql: `create collation app.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
          create table app.events (id text collate app.ci primary key, at date not null)`,
    blockers: ['primary-key-types app.events.id'],
  },
  {
    name: 'keys of types that are bytewise',
    sql: `create type app.e as enum ('a'); create domain app.d as uuid;
          create table app.events (a int, b numeric, c text, d varchar(9), e char(3), f uuid, g app.e, h app.d, i bytea, j inet, at timestamptz,
                                   primary key (a, b, c, d, e, f, g, h, i, j, at))`,
    blockers: [],
    warnings: [],
  },
  {
    name: 'replica identity nothing',
    sql: `${EVENTS} alter table app.events replica identity nothing`,
    blockers: ['replica-identity app.events'],
  },
  { name: 'replica identity full', sql: `${EVENTS} alter table app.events replica identity full`, blockers: [] },
  {
    name: 'replica identity by another index',
    sql: `${EVENTS} create unique index u on app.events (at); alter table app.events replica identity using index u`,
    blockers: ['replica-identity app.events'],
  },
  { name: 'an unknown column', sql: EVENTS, options: { range: 'ad' }, blockers: ['partition-column app.events.ad'] },
  { name: 'a text column', sql: EVENTS, options: { range: 'v' }, blockers: ['partition-column app.events.v'] },
  {
    name: 'a domain over timestamptz',
    sql: 'create domain app.d as timestamptz; create table app.events (id int primary key, at app.d not null)',
    blockers: ['partition-column app.events.at'],
  },
  {
    name: 'a generated column',
    sql: 'create table app.events (id int primary key, at int generated always as (id + 1) stored not null)',
    options: { every: '10' },
    blockers: ['partition-column app.events.at'],
  },
  { name: 'a step that does not fit', sql: EVENTS, options: { every: '1000' }, blockers: ['partition-step app.events'] },
  { name: 'a --from that does not fit', sql: EVENTS, options: { from: 'yesterday' }, blockers: ['partition-step app.events'] },
  {
    name: 'an hour of a date',
    sql: EVENTS.replace('timestamptz', 'date'),
    options: { every: 'hour' },
    blockers: ['partition-step app.events'],
  },
  {
    name: 'a NULL in the partition column',
    sql: 'create table app.events (id int primary key, at date); insert into app.events values (1, null)',
    blockers: ['partition-nulls app.events.at'],
  },
  {
    name: 'a nullable partition column without NULLs',
    sql: "create table app.events (id int primary key, at date); insert into app.events values (1, '2024-01-01')",
    blockers: [],
    warnings: ['partition-nulls app.events.at', WIDENED],
  },
  {
    name: 'infinity',
    sql: `${EVENTS} insert into app.events values (1, 'infinity'), (2, '2024-02-03')`,
    blockers: ['partition-infinity app.events.at'],
  },
  {
    name: '-infinity',
    sql: `${EVENTS.replace('timestamptz', 'date')} create index on app.events (at); insert into app.events values (1, '-infinity')`,
    blockers: ['partition-infinity app.events.at'],
  },
  {
    name: 'a stray row that makes too many leaves',
    sql: `${EVENTS} insert into app.events values (1, '0044-03-15 BC')`,
    options: { every: 'day' },
    blockers: ['leaf-count app.events', 'lock-table max_locks_per_transaction'],
  },
  {
    name: 'a --from that keeps the stray row apart',
    sql: `${EVENTS} insert into app.events values (1, '0044-03-15 BC')`,
    options: { from: '2024-01-01' },
    blockers: [],
  },
  {
    name: 'unique keys without the partition column',
    sql: `${EVENTS} create unique index u on app.events (v); alter table app.events add constraint c unique (v, id); create unique index fine on app.events (lower(v), at)`,
    blockers: ['unique-keys c', 'unique-keys u'],
  },
  {
    name: 'an exclusion constraint',
    sql: 'create table app.events (id int primary key, at date not null, r int4range, exclude using gist (r with &&))',
    blockers: ['exclusion-constraints events_r_excl'],
  },
  {
    name: 'a CHECK that is NO INHERIT',
    sql: "create table app.events (id int primary key, at date not null, constraint c check (id > 0) no inherit, constraint d check (at > '2000-01-01'))",
    blockers: ['check-constraints c'],
  },
  {
    name: 'an index that is not valid',
    sql: `${EVENTS} create unique index u on app.events (v); update pg_index set indisvalid = false where indexrelid = 'app.u'::regclass`,
    blockers: [],
    warnings: ['indexes-valid u', WIDENED],
  },
  {
    name: 'the mark of CLUSTER',
    sql: `${EVENTS} alter table app.events cluster on events_pkey`,
    blockers: [],
    warnings: ['index-clustered events_pkey', WIDENED],
  },
  {
    name: 'columns of every kind',
    sql: `create type app.c as (a int, b text); create type app.e as enum ('x'); create domain app.d as numeric check (value > 0);
          create table app.events (id bigint generated always as identity primary key, at timestamp(3) not null, n serial, a int[], b app.c[], c app.e, d app.d, e tstzrange,
            f xml, g tsvector, h money, i bit varying, j jsonb, k interval, l point, m pg_lsn, s int generated always as (1) stored, t name, u "char", v regclass, w xid8);
          alter table app.events drop column f`,
    blockers: [],
    warnings: [WIDENED],
  },
  { name: 'an oid column', sql: EVENTS.replace('v text', 'v oid'), blockers: [], warnings: ['large-objects app.events.v', WIDENED] },
  {
    name: 'names that are taken',
    sql: `${EVENTS} insert into app.events values (1, '2024-02-03'); create view app.events_p2024_02 as select 1; create type app.events_p2024_03 as enum ();
          create table app.x (id int); create index events_p2024_04_pkey on app.x (id); create sequence app.partitioner_1_target_events`,
    blockers: [
      'names-free app.events_p2024_02',
      'names-free app.events_p2024_03',
      'names-free app.events_p2024_04_pkey',
      'names-free app.partitioner_1_target_events',
    ],
  },
  {
    name: 'mixed case, reserved words, quotes and 63 bytes',
    sql: `create schema "App Two"; create table "App Two"."Select ""x"" ${'y'.repeat(50)}" ("Order" int primary key, "At" timestamptz not null)`,
    table: `"App Two"."Select ""x"" ${'y'.repeat(50)}"`,
    options: { range: 'At' },
    blockers: [],
  },
];

const DEPENDENTS: readonly Case[] = [
  {
    name: 'foreign keys out, in and to itself',
    sql: `create table app.parent (id int primary key); ${EVENTS} alter table app.events add p int references app.parent, add self bigint references app.events;
          create table app.child (e bigint references app.events)`,
    blockers: ['foreign-keys-in app.child.child_e_fkey', 'foreign-keys-out events_self_fkey'],
  },
  {
    name: 'triggers, a disabled one and a constraint trigger elsewhere that names it',
    sql: `${EVENTS} create table app.other (id int); create function app.f() returns trigger language plpgsql as 'begin return null; end';
          create trigger "One" after insert on app.events for each row execute function app.f();
          create trigger two after truncate on app.events execute function app.f(); alter table app.events disable trigger two;
          create constraint trigger three after insert on app.other from app.events for each row execute function app.f()`,
    blockers: ['triggers app.other.three'],
  },
  {
    name: 'rules here and elsewhere',
    sql: `${EVENTS} create table app.other (id int); create rule r as on delete to app.events do also notify x;
          create rule s as on insert to app.other do also delete from app.events`,
    blockers: ['rules app.events.r'],
  },
  {
    name: 'views',
    sql: `${EVENTS} create view app.v as select * from app.events; create view app.w as select * from app.v; create materialized view app.m as select count(*) from app.events;
          create view app.g as select id, v from app.events group by id`,
    blockers: ['views app.g'],
  },
  {
    name: 'functions',
    sql: `${EVENTS} create function app.a(app.events) returns int language sql as 'select 1'; create function app.b() returns setof app.events language plpgsql as 'begin end';
          create function app.c(x app.events[]) returns int language sql as 'select 1'; create procedure app.text() language sql as 'delete from app.events'`,
    blockers: [],
  },
  {
    name: 'its row type in a column, a composite, a domain, a cast',
    sql: `${EVENTS} create table app.a (x app.events[]); create type app.b as (x app.events); create domain app.c as app.events; create cast (app.events as text) with inout;
          create foreign data wrapper w; create server s foreign data wrapper w; create foreign table app.f (x app.events) server s`,
    blockers: ['other-dependents (app.events AS pg_catalog.text)', 'row-type app.a', 'row-type app.b', 'row-type app.c', 'row-type app.f'],
  },
  { name: 'row security', sql: `${EVENTS} alter table app.events enable row level security`, blockers: [] },
  {
    name: 'row triggers with transition tables',
    sql: `${EVENTS} create function app.f() returns trigger language plpgsql as 'begin return null; end';
          create trigger one after insert on app.events referencing new table as n for each row execute function app.f();
          create trigger two after insert on app.events referencing new table as n for each statement execute function app.f()`,
    blockers: ['triggers one'],
  },
  {
    name: 'a routine that others need, an aggregate over the row type',
    sql: `${EVENTS} create function app.a(app.events) returns int language sql as 'select 1' immutable; create view app.v as select app.a(e) from app.events e;
          create function app.next(int, app.events) returns int language sql as 'select 1'; create aggregate app.sum(app.events) (sfunc = app.next, stype = int)`,
    blockers: ['functions app.a(app.events)', 'functions app.next(integer,app.events)', 'functions app.sum(app.events)'],
  },
  { name: 'a temporary view', sql: `${EVENTS} create temporary view v as select * from app.events`, blockers: ['views pg_temp.v'] },
  {
    name: 'a decision on something that is not there',
    sql: EVENTS,
    options: { decisions: { 'unique:nothing': 'drop' } },
    blockers: ['decisions unique:nothing'],
  },
  { name: 'forced row security', sql: `${EVENTS} alter table app.events force row level security`, blockers: [] },
  {
    name: 'policies here and elsewhere',
    sql: `${EVENTS} create policy p on app.events using (true); create table app.other (id int); create policy q on app.other using (exists (select from app.events))`,
    blockers: [],
  },
  {
    name: 'publications of the table and of all tables',
    sql: `${EVENTS} create table app.other (id int); create publication "One" for table app.events; create publication two for all tables; create publication three for table app.other`,
    blockers: ['publications One', 'publications two'],
  },
  {
    name: 'a column list without the partition key, for inserts and for deletes',
    sql: `${EVENTS} create publication i for table app.events (id) with (publish_via_partition_root = true, publish = 'insert');
          create publication d for table app.events (id) with (publish_via_partition_root = true)`,
    blockers: ['publications d'],
    since: 15,
  },
  {
    name: 'a row trigger that asks for its table, one that sets the partition key',
    sql: `${EVENTS} create function app.f() returns trigger language plpgsql as 'begin perform tg_table_name; return new; end';
          create function app.g() returns trigger language plpgsql as 'begin new.at := current_date; return new; end';
          create trigger f after insert on app.events for each row execute function app.f();
          create trigger f_all after insert on app.events for each statement execute function app.f();
          create trigger g before insert on app.events for each row execute function app.g()`,
    blockers: [],
    warnings: [WIDENED, 'triggers f', 'triggers g'],
  },
  {
    name: 'a publication of the schema',
    sql: `${EVENTS} create publication s for tables in schema app`,
    blockers: ['publications s'],
    since: 15,
  },
  {
    name: 'a subscription',
    sql: `${EVENTS} create subscription s connection 'host=/nowhere' publication p with (connect = false, slot_name = none);
          insert into pg_subscription_rel (srsubid, srrelid, srsubstate) select oid, 'app.events'::regclass, 'i' from pg_subscription where subname = 's'`,
    blockers: ['subscriptions s'],
  },
  {
    name: 'extended statistics',
    sql: `${EVENTS} create statistics app.s on at, v from app.events`,
    blockers: [],
  },
  {
    name: 'sequences that others use',
    sql: `create table app.events (id bigserial primary key, at date not null, n int generated by default as identity);
          create table app.other (a bigint default nextval('app.events_id_seq'), b int default nextval('app.events_n_seq'))`,
    blockers: ['shared-sequences app.events_n_seq'],
    warnings: [WIDENED, 'shared-sequences app.events_id_seq'],
  },
  {
    name: 'an extension that has it',
    sql: `${EVENTS} create index i on app.events (v); alter index app.i depends on extension plpgsql; alter extension plpgsql add table app.events`,
    blockers: ['table-extension app.events', 'table-extension index app.i on extension plpgsql'],
  },
  {
    name: 'event triggers',
    sql: `${EVENTS} create function app.f() returns event_trigger language plpgsql as 'begin end'; create event trigger e on ddl_command_end execute function app.f()`,
    blockers: [],
    warnings: ['event-triggers e', WIDENED],
  },
];

describe.each([
  ['the table', TABLES],
  ['what hangs on it', DEPENDENTS],
])('check of %s', (_title, cases) => {
  it.each(cases.filter(({ since = 0 }) => since <= DEFAULT_MAJOR))(
    '$name',
    async ({ sql, table = 'app.events', options, blockers, warnings }) => {
      await using database = await createDatabase();
      const client = await database.client();
      await client.query('create schema app');
      await client.query(sql);
      const findings = await checkAs(database.settings, table, options);
      expect(found(findings, 'blocker')).toEqual(blockers);
      if (warnings !== undefined) expect(found(findings, 'warning')).toEqual(warnings);
      await client.query('drop subscription if exists s');
    },
  );
});

describe('a mistyped name', () => {
  it.each([
    ['app.evnets', 'did you mean app.events?'],
    ['evnets', 'did you mean app.events?'],
    ['Events', 'did you mean app.events?'],
    ['public.events', 'did you mean app.events?'],
  ])('%s: %s', async (text, fix) => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query(`create schema app; ${EVENTS}`);
    expect(await checkAs(database.settings, text)).toContainEqual(
      expect.objectContaining({ id: 'table-exists', severity: 'blocker', fix }),
    );
  });

  it('a column', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query('create schema app; create table app.events (id int primary key, created_at date not null)');
    expect(await checkAs(database.settings, 'app.events', { range: 'createdat' })).toContainEqual(
      expect.objectContaining({ id: 'partition-column', severity: 'blocker', fix: 'did you mean --range created_at?' }),
    );
  });
});

it('check changes nothing', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await client.query(`create schema app; ${EVENTS}`);
  const state = async (): Promise<unknown> =>
    (
      await client.query(
        `select (select count(*) from pg_class) as relations, (select count(*) from pg_depend) as dependencies, (select count(*) from pg_namespace where nspname = 'partitioner') as schemas,
                (select count(*) from pg_replication_slots where database = current_database()) as slots, pg_snapshot_xmax(pg_current_snapshot()) as next_xid`,
      )
    ).rows[0];
  const before = await state();
  await checkAs(database.settings, 'app.events');
  const after = await state();
  expect({ ...(after as object), next_xid: 0 }).toEqual({ ...(before as object), next_xid: 0 });
});

describe('what only PostgreSQL 18 has', () => {
  it.each([
    ['a NOT NULL that is NO INHERIT', 'at date, constraint n not null at no inherit', ['check-constraints n']],
    ['a CHECK that is not enforced', 'at date not null, constraint c check (id > 0) not enforced', ['check-constraints c']],
    ['a virtual generated column', 'at date not null, v int generated always as (id + 1) virtual', []],
  ])('%s', async (_name, columns, blockers) => {
    await using database = await createDatabase({ major: 18 });
    const client = await database.client();
    await client.query(`create schema app; create table app.events (id int primary key, ${columns})`);
    expect(found(await checkAs(database.settings, 'app.events'), 'blocker')).toEqual(blockers);
  });

  it('a NOT NULL that is not validated', async () => {
    await using database = await createDatabase({ major: 18 });
    const client = await database.client();
    await client.query('create schema app; create table app.events (id int primary key, at date); insert into app.events values (1, null)');
    await client.query('alter table app.events add constraint n not null at not valid');
    const findings = await checkAs(database.settings, 'app.events');
    expect(found(findings, 'blocker')).toContain('check-constraints n');
  });

  it('keys WITHOUT OVERLAPS', async () => {
    await using database = await createDatabase({ major: 18 });
    const client = await database.client();
    await client.query(
      'create schema app; create table app.events (r int4range, v daterange, at date not null, primary key (r, v without overlaps), unique (v, r without overlaps))',
    );
    expect(found(await checkAs(database.settings, 'app.events'), 'blocker')).toEqual([
      'exclusion-constraints events_v_r_key',
      'primary-key events_pkey',
    ]);
  });
});
