import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Major } from '../../src/demo/embedded-server.ts';
import { quoteIdent, quoteName, type QualifiedName } from '../../src/domain/identifier.ts';
import type { Client } from '../../src/pg/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { command, holds, startDaemon, until, untilPhase } from '../support/daemon.ts';
import { createTypes, everyType, textOnlyTypes } from '../support/every-type.ts';
import { differences, differingRows, leftovers, NO_LEFTOVERS } from '../support/oracle.ts';
import { partitioner, startPartitioner, type Running } from '../support/partitioner.ts';
import { createMigrator } from '../support/roles.ts';
import { MAJORS } from '../support/server.ts';

/** The whole way on each major, by a role with the least privileges, with the command line as processes. */

/** Reserved, mixed-case, with quotes, 63 bytes. */
const TABLE: QualifiedName = { schema: 'App "Select"', name: `Order "${'ü'.repeat(27)}x` };
const T = quoteName(TABLE);
const LONG_COLUMN = `${'Long '.repeat(12)}end`;
const ROWS = 6_000;
const BIG_TRANSACTION = 60_000;
/** Always the same number of leaves, whenever it runs. */
const FIRST = `(date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - interval '75 days')`;

async function createTable(client: Client, major: Major): Promise<void> {
  const s = quoteIdent(TABLE.schema);
  await client.query(`create schema ${s}`);
  await client.query(createTypes(TABLE.schema));
  const columns = await everyType(client, TABLE.schema);
  const definitions = columns.map(({ name, type }) => `${quoteIdent(name)} ${type}`);
  await client.query(`
    create table ${T} (
      "gone first" int default 7, id bigint generated always as identity, number bigserial, at timestamptz not null, gone_between text,
      "Select" int not null default 0 check ("Select" >= 0), ${quoteIdent(LONG_COLUMN)} text collate "C" default 'it''s', body text, tags text[] not null default '{}', doc jsonb,
      doubled bigint generated always as ("Select" * 2) stored, ${major >= 18 ? `tripled bigint generated always as ("Select" * 3) virtual,` : ''}
      ${definitions.join(', ')},
      gone_last int, constraint "The Key" primary key (id), constraint "With key" unique (number, at) include ("Select")
    ) with (fillfactor = 80);
    alter table ${T} drop column "gone first", drop column gone_between, drop column gone_last;
    alter table ${T} alter column body set storage external;`);
  const names = ['at', 'Select', LONG_COLUMN, 'body', 'tags', 'doc', ...columns.map(({ name }) => name)].map(quoteIdent).join(', ');
  await client.query(`
    insert into ${T} (${names})
    select ${FIRST} + n * interval '15 minutes' + interval '1 microsecond', n, 'row ' || n, repeat('b', case when n % 40 = 0 then 4000 else 10 end), array['t' || n % 7], jsonb_build_object('n', n),
      ${columns.map(({ value }) => value).join(', ')}
    from generate_series(1, ${String(ROWS)}) n`);
  await client.query(`
    create index by_time on ${T} (at desc) include ("Select");
    create index "Partial Index" on ${T} (lower(${quoteIdent(LONG_COLUMN)}), "Select" desc) where "Select" > 10;
    create index ${quoteIdent('i'.repeat(63))} on ${T} ((doc ->> 'n'));
    create index by_tags on ${T} using gin (tags);
    create index by_brin on ${T} using brin (at);
    create index by_hash on ${T} using hash (body);
    create unique index "Unique expression" on ${T} ((id + 0), at);
    analyze ${T};`);
}

/** Names that must be the same before and after. */
async function objectNames(client: Client): Promise<unknown> {
  const { rows } = await client.query(
    `select 'index' as kind, c.relname::text as name from pg_index join pg_class c on c.oid = indexrelid where indrelid = $1::text::regclass
     union all select 'constraint ' || contype::text, conname::text from pg_constraint where conrelid = $1::text::regclass
     union all select 'sequence', pg_get_serial_sequence($1::text, column_name) from unnest(array['id', 'number']) column_name order by 1, 2`,
    [T],
  );
  return rows;
}

interface Writer {
  /** Ids whose last change went to the new table. */
  readonly late: Set<string>;
  readonly done: Promise<number>;
}

/** One session that writes until it is stopped, with the same prepared statements all the while; any error fails the test. */
function write(client: Client, writer: number, retired: { oid: number }, stop: AbortSignal): Writer {
  const late = new Set<string>();
  const own = (): number => 1 + Math.floor(Math.random() * (ROWS / 4)) * 4 + writer; // no other writer has it
  const at = (): string => `${String(Math.floor(Math.random() * 140))} days`;
  const run = async (name: string, sql: string, values: unknown[]): Promise<void> => {
    const { rows } = await client.query<{ id: string; old?: string; oid: number }>({
      name,
      text: `${sql} returning id, tableoid::oid::int8::int as oid`,
      values,
    });
    for (const { id, oid } of rows) if (oid !== retired.oid) late.add(id);
  };
  const steps: (() => Promise<void>)[] = [
    () =>
      run('insert', `insert into ${T} (at, "Select", body) values (${FIRST} + $1::interval, $2, repeat('n', $3))`, [
        at(),
        writer,
        Math.random() < 0.1 ? 4000 : 20,
      ]),
    () => run('update', `update ${T} set "Select" = "Select" + 1, tags = tags || $2::text where id = $1`, [own(), 'u']),
    () => run('toast', `update ${T} set body = repeat('t', 4000 + $2::int) where id = $1`, [own(), Math.floor(Math.random() * 99)]),
    () => run('move', `update ${T} set at = ${FIRST} + $2::interval where id = $1`, [own(), at()]),
    () => run('delete', `delete from ${T} where id = $1`, [own()]),
    async () => {
      // Subtransactions: what is rolled back to the savepoint leaves nothing, what is released stays.
      await client.query('begin; savepoint a');
      await run('update', `update ${T} set "Select" = "Select" + 1, tags = tags || $2::text where id = $1`, [own(), 'gone']);
      await client.query('rollback to savepoint a; savepoint b');
      await run('update', `update ${T} set "Select" = "Select" + 1, tags = tags || $2::text where id = $1`, [own(), 's']);
      await client.query('release savepoint b; commit');
    },
    async () => {
      await client.query('begin');
      await run('move', `update ${T} set at = ${FIRST} + $2::interval where id = $1`, [own(), at()]);
      await client.query(`prepare transaction 'writer ${String(writer)}'`);
      await client.query(`${Math.random() < 0.8 ? 'commit' : 'rollback'} prepared 'writer ${String(writer)}'`);
    },
  ];
  const loop = async (): Promise<number> => {
    let count = 0;
    for (; !stop.aborted; count++) {
      await steps[count % 20 === 19 ? 6 : Math.floor(Math.random() * 6)]!();
      await sleep(2);
    }
    return count;
  };
  const done = loop();
  done.catch(() => undefined);
  return { late, done };
}

test.each(MAJORS)('PostgreSQL %i: every kind of column, under load, killed in the middle, zero difference', async (major) => {
  await using database = await createDatabase({ major });
  const control = await database.client();
  await createTable(control, major);
  const migrator = await createMigrator(database);
  await control.query(`alter schema ${quoteIdent(TABLE.schema)} owner to ${quoteIdent(migrator.name)}`);
  await control.query(`alter table ${T} owner to ${quoteIdent(migrator.name)}`);
  const { rows: source } = await control.query<{ oid: number }>('select $1::text::regclass::oid::int8::int as oid', [T]);
  const namesBefore = await objectNames(control);
  const env = { DATABASE_URL: migrator.url };
  const start = [
    'start',
    T,
    '--range',
    'at',
    '--every',
    'month',
    '--premake',
    '1',
    '--chunk-size',
    '64kB',
    '--http',
    'off',
    '--log-level',
    'warn',
  ];

  const stop = new AbortController();
  const writers = await Promise.all(
    [1, 2].map(async (writer) => write(await database.client('application'), writer, source[0]!, stop.signal)),
  );
  const doomed = startPartitioner(start, env);
  await until(control, 'a unit that loads', async () => {
    await assertRuns(doomed);
    return holds(control, `exists (select from partitioner.unit where state = 'loading')`);
  });
  const large = await database.client('application');
  const inserted = large.query(
    `insert into ${T} (at, "Select") select ${FIRST} + n * interval '1 minute', n from generate_series(1, ${String(BIG_TRANSACTION)}) n`,
  );
  inserted.catch(() => undefined);
  await until(control, 'a chunk', async () => {
    await assertRuns(doomed);
    return holds(control, 'exists (select from partitioner.chunk where done)');
  });
  doomed.signal('SIGKILL');
  await doomed.ended;
  const daemon = startPartitioner(start, env);
  await inserted;
  await untilDaemon(control, daemon);
  const cutover = await partitioner(
    ['cutover', T, '--when-ready', '--no-way-back', '--json', '--lock-timeout', '500ms', '--max-lock-hold', '5s'],
    env,
  );
  expect(cutover, `${daemon.output().stdout}\n${daemon.output().stderr}`).toMatchObject({ code: 0 });
  const receipt = JSON.parse(cutover.stdout) as Record<string, unknown> & {
    retired: string;
    sequences: { name: string }[];
    objects: { kind: string }[];
  };
  await sleep(500);
  stop.abort();
  const counts = await Promise.all(writers.map(({ done }) => done));
  expect(await daemon.ended).toMatchObject({ code: 0 });

  expect(receipt).toMatchObject({ migration: 1, source: T, target: T, differences: 0 });
  for (const field of ['attempts', 'rowsCompared', 'lockWaitMs', 'lockHeldMs', 'readsBlockedMs'])
    expect(receipt[field], field).toEqual(expect.any(Number));
  expect(receipt['fenceLsn']).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
  expect(Date.parse(String(receipt['committedAt']))).toBeGreaterThanOrEqual(Date.parse(String(receipt['startedAt'])));
  expect(receipt.sequences).toHaveLength(2);
  expect(receipt.objects.length).toBeGreaterThan(9);

  expect(await holds(control, `(select plan -> 'binary' = 'true' from partitioner.migration)`)).toBe(true);

  // The writers wrote to both, with statements that were prepared before.
  for (const [position, { late }] of writers.entries()) {
    expect(counts[position]).toBeGreaterThan(100);
    expect(late.size).toBeGreaterThan(5);
  }
  await compare(control, receipt.retired, new Set(writers.flatMap(({ late }) => [...late])));
  expect(await objectNames(control)).toEqual(namesBefore);
  await expectSequencesToGoOn(control);

  expect(await partitioner(['finish', T, '--drop-retired'], env)).toMatchObject({ code: 0, stderr: '' });
  expect(await leftovers(control)).toEqual(NO_LEFTOVERS);
  expect(await objectNames(control)).toEqual(namesBefore);
});

/** Waits until it has taken the migration over: the dead one's session may outlive it for a moment. */
async function untilDaemon(client: Client, daemon: Running): Promise<void> {
  await until(client, 'the second daemon', async () => {
    await assertRuns(daemon);
    return holds(client, 'exists (select from partitioner.daemon where pid = $1)', [daemon.pid]);
  });
}

/** A daemon that has ended by itself says why. */
async function assertRuns({ ended }: Running): Promise<void> {
  const end = await Promise.race([ended, sleep(0, null)]);
  if (end) throw new Error(`the daemon has ended with code ${String(end.code)}: ${end.stdout}\n${end.stderr}`);
}

/** All columns of all rows, but for those that changed after the switch. */
async function compare(client: Client, retired: string, late: ReadonlySet<string>): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select attname as name from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped order by attnum`,
    [T],
  );
  const columns = rows.map(({ name }) => name);
  const ids = [...late].join(', ');
  await client.query(`create temp view left_side as select * from ${T} where id not in (${ids})`);
  await client.query(`create temp view right_side as select * from ${retired} where id not in (${ids})`);
  const [a, b] = [
    { schema: 'pg_temp', name: 'left_side' },
    { schema: 'pg_temp', name: 'right_side' },
  ];
  expect(await differingRows(client, a, b, columns, 3)).toEqual([]);
  expect(await differences(client, a, b, columns)).toBe(0);
  await client.query('drop view pg_temp.left_side, pg_temp.right_side');
  const { rows: counted } = await client.query<{ rows: number; ids: number; retired: number }>(
    `select count(*)::int as rows, count(distinct id)::int as ids, (select count(*)::int from ${retired}) as retired from ${T}`,
  );
  expect(counted[0]!.rows).toBe(counted[0]!.ids);
  expect(counted[0]!.retired).toBeGreaterThan(BIG_TRANSACTION + ROWS / 2);
}

async function expectSequencesToGoOn(client: Client): Promise<void> {
  for (const column of ['id', 'number']) {
    const { rows: sequence } = await client.query<{ name: string }>('select pg_get_serial_sequence($1::text, $2) as name', [T, column]);
    const { rows: last } = await client.query<{ last: string; max: string }>(
      `select (select last_value from ${sequence[0]!.name})::text as last, (select max(${column}) from ${T})::text as max`,
    );
    expect(Number(last[0]!.last)).toBeGreaterThanOrEqual(Number(last[0]!.max));
    const { rows } = await client.query<Record<string, string>>(`insert into ${T} (at) values (${FIRST}) returning ${column}`);
    expect(rows[0]![column]).toBe(String(BigInt(last[0]!.last) + 1n));
  }
  await expect(client.query(`insert into ${T} (id, at) values (1, now())`)).rejects.toMatchObject({ code: '428C9' }); // still ALWAYS
}

test.each([14, 18] as const)('PostgreSQL %i: types without a binary form, by themselves and inside others', async (major) => {
  for (const alone of [true, false]) {
    await using database = await createDatabase({ major });
    await migrateTextOnly(database, alone);
  }
});

async function migrateTextOnly(database: TestDatabase, alone: boolean): Promise<void> {
  const control = await database.client();
  await control.query('create schema app');
  const types = textOnlyTypes('app');
  await control.query(types.create);
  const columns = alone ? types.columns.slice(0, 1) : types.columns.slice(1);
  const names = columns.map(({ name }) => quoteIdent(name)).join(', ');
  const values = columns.map(({ value }) => value).join(', ');
  await control.query(
    `create table app.t (id int primary key, at timestamp not null, note text, raw bytea, ${columns.map(({ name, type }) => `${quoteIdent(name)} ${type}`).join(', ')})`,
  );
  const rows = (from: number, to: number): string =>
    `insert into app.t (id, at, note, raw, ${names}) select n, timestamp '2026-01-01' + n * interval '3 hours', 'n' || n, decode(md5(n::text), 'hex'), ${values} from generate_series(${String(from)}, ${String(to)}) n`;
  await control.query(rows(1, 500));
  await control.query('create index on app.t (at); analyze app.t');
  await using daemon = startDaemon(database.settings, 'app.t');
  const { id, retired_name: retired } = await untilPhase(control, 'ready');
  await control.query(rows(501, 600));
  const [first] = columns;
  await control.query(
    `update app.t set ${quoteIdent(first!.name)} = x.value from (select n, ${first!.value} as value from generate_series(1000, 1600) n) x where x.n = 1000 + id and id % 3 = 0`,
  );
  await control.query(`update app.t set at = at + interval '1 month', note = null where id % 10 = 0; delete from app.t where id % 9 = 0`);
  await command(control, id, 'cutover', { lockTimeoutMs: 500, maxLockHoldMs: 5_000, attempts: 60 });
  await daemon.ended;
  expect(await holds(control, `(select plan -> 'binary' = 'true' from partitioner.migration)`)).toBe(alone);
  expect(await differences(control, { schema: 'app', name: 't' }, { schema: 'app', name: retired })).toBe(0);
}
