import type { BadInput } from './row.ts';

interface Row {
  readonly name: string;
  /** In its own schema `{schema}`, which is on the search path. */
  readonly sql: string;
  readonly id: string;
  readonly message: string;
  readonly fix: string;
  /** Besides `--range at`. */
  readonly flags?: readonly string[];
  readonly table?: string;
  readonly since?: number;
  readonly verb?: 'start';
}

const T = 'create table t (id bigint primary key, at timestamptz not null, v text);';
const LONG = 'x'.repeat(63);

const ROWS: readonly Row[] = [
  {
    name: 'a table that is missing',
    sql: T,
    table: '{schema}.tt',
    id: 'table-exists',
    message: 'there is no table {schema}.tt in this database',
    fix: 'did you mean {schema}.t',
  },
  {
    name: 'a schema that is missing',
    sql: T,
    table: 'nowhere_{schema}.t',
    id: 'table-exists',
    message: 'there is no table nowhere_{schema}.t',
    fix: '',
  },
  {
    name: 'a view',
    sql: 'create view t as select now() as at',
    id: 'table-kind',
    message: '{schema}.t is a view: an ordinary table is needed',
    fix: 'name the table that it reads',
  },
  {
    name: 'a materialized view',
    sql: 'create materialized view t as select now() as at',
    id: 'table-kind',
    message: '{schema}.t is a materialized view',
    fix: 'name the table that it reads',
  },
  {
    name: 'a foreign table',
    sql: 'create foreign data wrapper {schema}_w; create server {schema}_s foreign data wrapper {schema}_w; create foreign table t (at date) server {schema}_s',
    id: 'table-kind',
    message: '{schema}.t is a foreign table: its rows are on another server',
    fix: 'on the server that has the rows',
  },
  {
    name: 'a partitioned table',
    sql: 'create table t (at date) partition by range (at)',
    id: 'table-kind',
    message: '{schema}.t is a partitioned table already',
    fix: 'nothing is left to do',
  },
  {
    name: 'a partition',
    sql: 'create table p (at date primary key) partition by range (at); create table t partition of p default',
    id: 'table-kind',
    message: '{schema}.t is a partition of {schema}.p',
    fix: 'ALTER TABLE {schema}.p DETACH PARTITION',
  },
  { name: 'a sequence', sql: 'create sequence t', id: 'table-kind', message: '{schema}.t is a sequence', fix: 'name a table' },
  {
    name: 'a system catalog',
    sql: '',
    table: 'pg_catalog.pg_class',
    id: 'table-kind',
    message: 'pg_catalog.pg_class is a system catalog',
    fix: 'name a table of your own',
  },
  {
    name: 'an unlogged table',
    sql: T.replace('create', 'create unlogged'),
    id: 'table-persistence',
    message: '{schema}.t is unlogged',
    fix: 'SET LOGGED',
  },
  {
    name: 'a typed table',
    sql: 'create type k as (id bigint, at date); create table t of k (primary key (id), at with options not null)',
    id: 'table-typed',
    message: '{schema}.t is made OF the type {schema}.k',
    fix: 'NOT OF;',
  },
  {
    name: 'an inheritance parent',
    sql: `${T} create table child () inherits (t)`,
    id: 'table-inheritance',
    message: '{schema}.child inherits from {schema}.t',
    fix: 'ALTER TABLE {schema}.child NO INHERIT',
  },
  {
    name: 'an inheritance child',
    sql: 'create table parent (v text); create table t (id int primary key, at date not null) inherits (parent)',
    id: 'table-inheritance',
    message: '{schema}.t inherits from {schema}.parent',
    fix: 'NO INHERIT {schema}.parent;',
  },
  {
    name: 'no primary key',
    sql: 'create table t (id int, at date not null)',
    id: 'primary-key',
    message: '{schema}.t has no primary key',
    fix: 'ADD PRIMARY KEY USING INDEX',
  },
  {
    name: 'a nullable key in its place',
    sql: 'create table t (id int unique, at date not null)',
    id: 'primary-key',
    message: '{schema}.t has no primary key',
    fix: 'CREATE UNIQUE INDEX CONCURRENTLY',
  },
  {
    name: 'a deferrable primary key',
    sql: 'create table t (id int primary key deferrable, at date not null)',
    id: 'primary-key',
    message: 'the primary key t_pkey is deferrable',
    fix: 'ADD PRIMARY KEY ("id")',
  },
  {
    name: 'a primary key of floats',
    sql: 'create table t (id float8 primary key, at date not null)',
    id: 'primary-key-types',
    message: 'key column id is of type double precision, whose equal values need not be the same bytes',
    fix: 'a primary key of other columns',
  },
  {
    name: 'replica identity nothing',
    sql: `${T} alter table t replica identity nothing`,
    id: 'replica-identity',
    message: '{schema}.t',
    fix: 'REPLICA IDENTITY DEFAULT',
  },
  {
    name: 'an unknown column',
    sql: T,
    flags: ['--range', 'att'],
    id: 'partition-column',
    message: '{schema}.t has no column att',
    fix: 'did you mean --range at?',
  },
  {
    name: 'a column of text',
    sql: T,
    flags: ['--range', 'v'],
    id: 'partition-column',
    message: 'column v is of type text: timestamptz, timestamp, date,',
    fix: 'name a column of one of these types',
  },
  {
    name: 'a generated column',
    sql: 'create table t (id int primary key, at int generated always as (id + 1) stored not null)',
    flags: ['--every', '10'],
    id: 'partition-column',
    message: 'column at is generated',
    fix: 'the column that it is computed from',
  },
  {
    name: 'a step of another type',
    sql: T,
    flags: ['--every', '1000'],
    id: 'partition-step',
    message: '"1000" is no step of a timestamptz column',
    fix: '--every hour, day,',
  },
  {
    name: 'months of a number',
    sql: 'create table t (id int primary key, at bigint not null)',
    flags: ['--every', 'month'],
    id: 'partition-step',
    message: '"month" is no step of int8 values',
    fix: '--every 10000000',
  },
  {
    name: 'an hour of a date',
    sql: T.replace('timestamptz', 'date'),
    flags: ['--every', 'hour'],
    id: 'partition-step',
    message: 'is less than a day',
    fix: '--every day',
  },
  {
    name: 'a first bound that is none',
    sql: T,
    flags: ['--from', 'yesterday'],
    id: 'partition-step',
    message: '--from "yesterday" is no timestamptz',
    fix: '--from',
  },
  {
    name: 'a unique key without the column',
    sql: `${T} create unique index by_v on t (v)`,
    id: 'unique-keys',
    message: 'by_v',
    fix: '--decide unique:by_v=',
  },
  {
    name: 'a decision that is no choice',
    sql: `${T} create unique index by_v on t (v)`,
    flags: ['--decide', 'unique:by_v=forget'],
    id: 'USAGE',
    message: '--decide unique:by_v=forget: there is no such choice',
    fix: 'one of: widen, per-leaf, drop',
  },
  {
    name: 'an exclusion constraint',
    sql: 'create table t (id int primary key, at date not null, r int4range, exclude using gist (r with &&))',
    id: 'exclusion-constraints',
    message: 't_r_excl',
    fix: 'DROP CONSTRAINT',
  },
  {
    name: 'a CHECK that is not inherited',
    sql: 'create table t (id int primary key, at date not null, constraint c check (id > 0) no inherit)',
    id: 'check-constraints',
    message: 'c',
    fix: 'ALTER TABLE',
  },
  {
    name: 'a name of a leaf that is taken',
    sql: `${T} insert into t values (1, '2024-03-05'); create table t_p2024_03 ()`,
    flags: ['--from', '2024-01-01'],
    id: 'names-free',
    message: 'the name {schema}.t_p2024_03, which the migration would make, is taken by a table',
    fix: 'RENAME TO',
  },
  {
    name: 'a name of 63 bytes that is taken',
    sql: `${T.replace(' t ', ` ${LONG} `)} insert into ${LONG} values (1, '2024-03-05'); create view ${LONG.slice(0, 54)}_p2024_03 as select 1`,
    table: `{schema}.${LONG}`,
    flags: ['--from', '2024-01-01'],
    id: 'names-free',
    message: `${LONG.slice(0, 54)}_p2024_03, which the migration would make, is taken by a view`,
    fix: 'RENAME TO',
  },
  {
    name: 'a hostile name that is missing',
    sql: T,
    table: `{schema}."t'); drop table t; --"`,
    id: 'table-exists',
    message: `there is no table {schema}."t'); drop table t; --"`,
    fix: '',
  },
  {
    name: 'a hostile column',
    sql: T,
    flags: ['--range', `at"; drop table t; --%s$1`],
    id: 'partition-column',
    message: 'has no column at"; drop table t; --%s$1',
    fix: 'did you mean --range at?',
  },
  { name: 'a rule', sql: `${T} create rule r as on delete to t do instead nothing`, id: 'rules', message: 'r', fix: 'DROP RULE' },
  { name: 'a column of the row type', sql: `${T} create table other (id int, was t)`, id: 'row-type', message: '', fix: '' },
  // Data.
  {
    name: 'a row that is too large',
    sql: `${T} insert into t values (1, '2024-01-01', repeat('x', 540000000))`,
    id: 'row-size',
    message: 'its largest row prints to about 515 MB, and at most 512 MB can be carried',
    fix: 'split such values into several rows',
  },
  {
    name: 'a NULL in the partition column',
    sql: 'create table t (id int primary key, at date); insert into t values (1, null)',
    id: 'partition-nulls',
    message: 'column at holds a NULL, and a partition key may not',
    fix: 'SET NOT NULL',
  },
  {
    name: 'infinity',
    sql: `${T} insert into t values (1, 'infinity'), (2, '2024-02-03')`,
    id: 'partition-infinity',
    message: "column at holds 'infinity': such a row belongs to no period",
    fix: "IN ('infinity', '-infinity')",
  },
  {
    name: '-infinity',
    sql: `${T.replace('timestamptz', 'date')} insert into t values (1, '-infinity')`,
    id: 'partition-infinity',
    message: "column at holds '-infinity'",
    fix: 'UPDATE',
  },
  {
    name: 'a stray row that makes too many leaves',
    sql: `${T} insert into t values (1, '0044-03-15 BC')`,
    flags: ['--every', 'day'],
    id: 'leaf-count',
    message: 'at most',
    fix: '--from',
  },
  {
    name: 'integers that make too many leaves',
    sql: 'create table t (id bigint primary key, at bigint not null); insert into t values (1, 1), (2, 9223372036854775807)',
    flags: ['--every', '1000'],
    id: 'leaf-count',
    message: 'at most',
    fix: 'a larger --every',
  },
  {
    name: 'the same, of start',
    sql: 'create table t (id bigint primary key, at bigint not null); insert into t values (1, 1), (2, 9223372036854775807)',
    flags: ['--every', '1000'],
    id: 'leaf-count',
    message: 'at most',
    fix: 'a larger --every',
    verb: 'start',
  },
  {
    name: 'no primary key, of start',
    sql: 'create table t (id int, at date not null)',
    id: 'primary-key',
    message: '{schema}.t has no primary key',
    fix: 'ADD PRIMARY KEY',
    verb: 'start',
  },
];

/** Tables that cannot be migrated, each in a schema of its own: exit code 2, and a fix for each. */
export const CATALOG: readonly BadInput[] = ROWS.map(
  ({ name, sql, id, message, fix, flags = [], table = '{schema}.t', since, verb }, i) => {
    const own = (text: string): string => text.replaceAll('{schema}', `bad_${String(i)}`);
    const range = flags.includes('--range') ? [] : ['--range', 'at'];
    return {
      name: `table: ${name}`,
      args: [verb ?? 'check', own(table), ...range, ...flags, ...(verb === undefined ? [] : ['--http', 'off'])],
      sql: own(`create schema {schema}; set search_path = {schema}; ${sql}`),
      code: id === 'USAGE' ? 1 : 2,
      error: id,
      message: own(message),
      hint: own(fix),
      ...(since === undefined ? {} : { since }),
    };
  },
);
