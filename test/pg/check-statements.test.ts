import { describe, expect, it } from 'vitest';
import { startEmbeddedServer } from '../../src/demo/embedded-server.ts';
import { connect, type Client } from '../../src/pg/client.ts';
import { resolveConnection } from '../../src/pg/connection.ts';
import { fetchTable } from '../../src/pg/catalog.ts';
import { explainOnTwin } from '../../src/actions/check-statements.ts';
import { parseKeyText, type KeyKind, type Step } from '../../src/domain/partition-key.ts';
import type { StatementFacts } from '../../src/plan/preflight/statements.ts';
import { createDatabase } from '../support/database.ts';
import type { PlanOptions } from '../../src/plan/options.ts';
import { checkAs } from '../support/check.ts';
import { MAJORS } from '../support/server.ts';

const EVENTS = `create schema app;
  create table app.events (id bigint generated always as identity primary key, at timestamptz not null, tenant int, v text unique);
  create index on app.events (at);
  create table app.users (id int primary key, seen timestamptz);`;

const MONTH: Step = { unit: 'month', count: 1 };

/** Plans statements given by hand, as if they had been seen. */
async function planned(client: Client, queries: readonly string[], path = ''): Promise<readonly StatementFacts[]> {
  const table = (await fetchTable(client, { schema: 'app', name: 'events' }))!;
  const key = { name: 'at', kind: 'timestamptz' as KeyKind, step: MONTH, centre: parseKeyText('timestamptz', '2026-11-15 00:00:00+00') };
  return explainOnTwin(
    client,
    table,
    key,
    queries.map((query) => ({ query, calls: 1, meanMs: 1, path })),
  );
}

const OUTCOMES: readonly (readonly [query: string, outcome: string])[] = [
  ['select * from app.events where at >= $1 and at < $2', 'some'],
  ['select * from app.events e where e.at = $1 and e.id = $2', 'some'],
  ['select * from app.events where at > now() - interval $1', 'some'],
  ['select * from app.events where at > timestamptz $1 and v like $2', 'some'],
  ['select * from app.events where $1::timestamptz is null or at >= $1', 'some'],
  ['select * from app.events where at > (select max(seen) from app.users)', 'some'],
  ['select * from app.users u, app.events e where e.at = u.seen and u.id = $1', 'some'],
  ['select * from app.events order by at desc limit $1', 'some'],
  ['select max(at) from app.events', 'some'],
  ['select * from app.events where tenant = $1 order by at desc limit $2', 'all'],
  ['select max(id) from app.events', 'all'],
  ['select id from app.events where id = $1', 'all'],
  ['select * from app.events where id = any($1)', 'all'],
  ['select * from app.events where id in ($1 /*, ... */)', 'all'],
  ["select * from app.events where date_trunc('day', at) = $1", 'all'],
  ['select * from app.events where at::date = $1', 'all'],
  ['select count(*) from app.events where extract($1 from at) = $2', 'all'],
  ['select * from app.users where id in (select tenant from app.events)', 'all'],
  ['update app.events set v = $1 where id = $2', 'all'],
  ['update app.events set v = $1 where id = $2 and at = $3', 'some'],
  ['delete from app.events where at < $1', 'some'],
  ['delete from app.events where tenant = $1', 'all'],
  ['with gone as (delete from app.events where at < $1 returning *) select count(*) from gone', 'some'],
  ['insert into app.events (at, v) values ($1, $2) returning id', 'some'],
  ['insert into app.events (at, v) values ($1, $2) on conflict (id, at) do nothing', 'some'],
  ['insert into app.events (at, v) values ($1, $2) on conflict do nothing', 'some'],
  ['insert into app.events (at, v) values ($1, $2) on conflict on constraint events_pkey do nothing', 'some'],
  ['insert into app.events (at, v) values ($1, $2) on conflict (id) do nothing', 'fails'],
  ['insert into app.events as e (at, v) values ($1, $2) on conflict (v) do update set tenant = excluded.tenant', 'fails'],
  ['PREPARE q AS select * from "app"."events" where id = $1', 'all'],
  ['select nothing from app.events where id = $1', 'unknown'],
  ['select * from app.events; drop table app.users', 'unknown'],
  ['select events from app.users', 'unknown'],
];

function outcomeOf({ outcome }: StatementFacts): string {
  if (outcome.kind !== 'planned')
    return outcome.kind === 'unknown' && !/nothing|multiple commands|"events"/.test(outcome.reason) ? outcome.reason : outcome.kind;
  if (!outcome.reading.uses) return 'elsewhere';
  return outcome.reading.all ? 'all' : 'some';
}

describe.each(MAJORS)('statements planned on an empty twin, PostgreSQL %i', (major) => {
  it('tells what keeps to some leaves, what reads all and what fails', async () => {
    await using database = await createDatabase({ major });
    const client = await database.client();
    await client.query(EVENTS);
    const facts = await planned(
      client,
      OUTCOMES.map(([query]) => query),
    );
    expect(facts.map((one) => [one.query, outcomeOf(one)])).toEqual(OUTCOMES);
  });
});

describe('the twin', () => {
  it('takes no lock on the table that stops a writer, a vacuum or an index build', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query(EVENTS);
    const other = await database.client();
    await other.query('begin; lock table app.events in exclusive mode'); // conflicts with everything but ACCESS SHARE
    const facts = await planned(
      client,
      OUTCOMES.map(([query]) => query),
    );
    expect(facts.map((one) => [one.query, outcomeOf(one)])).toEqual(OUTCOMES);
    await other.query('rollback');
  });

  it('leaves nothing: neither relations nor prepared statements nor settings', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query(EVENTS);
    const state = async (): Promise<unknown> =>
      (
        await client.query(
          `select (select count(*) from pg_class) as relations, (select count(*) from pg_namespace) as schemas, (select count(*) from pg_type) as types,
                  (select count(*) from pg_depend) as dependencies, (select count(*) from pg_prepared_statements) as prepared,
                  (select md5(string_agg(name || setting, ',' order by name)) from pg_settings) as settings`,
        )
      ).rows[0];
    const before = await state();
    await planned(
      client,
      OUTCOMES.map(([query]) => query),
    );
    expect(await state()).toEqual(before);
  });

  it('has what columns, indexes and checks ask for, also under names that need quotes', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query(`create schema app; create function app.f(int) returns int language sql immutable as 'select $1';
      create table app.events (id serial primary key, at timestamptz not null, "A b" int check ("A b" > 0), g int generated always as (1 + 1) stored);
      create unique index "Q" on app.events (at, "A b") where "A b" > 1; create index on app.events (app.f("A b")); create unique index on app.events (lower(g::text));`);
    const facts = await planned(client, [
      'insert into app.events (at, "A b") values ($1, $2) on conflict (at, "A b") where "A b" > 1 do nothing',
      'select "A b" from app.events where "A b" = $1',
      'select app.f("A b") from app.events where at = $1',
    ]);
    // Planning runs immutable functions: those that somebody has written are not run under the role that checks.
    expect(facts.map(outcomeOf)).toEqual(['some', 'all', 'planning would run the function f']);
  });

  it('a bare name is the table that the search path of its role means', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query(`${EVENTS} create schema other; create table other.events (id int, at timestamptz)`);
    const query = 'select * from events where id = $1';
    expect((await planned(client, [query], 'other, app')).length).toBe(0);
    expect((await planned(client, [query], 'app, other')).map(outcomeOf)).toEqual(['all']);
    expect((await planned(client, [query], 'pg_catalog')).map(outcomeOf)).toEqual(['all']);
  });
});

// The extension's library has to be loaded when the server starts: a server of its own.
it.each([14, 18] as const)('what pg_stat_statements has seen, PostgreSQL %i', async (major) => {
  const server = await startEmbeddedServer({
    major,
    settings: { wal_level: 'logical', shared_preload_libraries: 'pg_stat_statements', 'pg_stat_statements.track': 'all' },
  });
  try {
    const client = await connect(server.settings, { applicationName: 'test' });
    await client.query(EVENTS);
    const statements = async (options: Partial<PlanOptions> = {}): Promise<readonly string[]> =>
      (await checkAs(server.settings, 'app.events', options))
        .filter(({ id }) => id === 'statements')
        .map(({ severity, message, fix }) => `${severity}: ${message}${fix === undefined ? '' : ` / ${fix}`}`);
    expect(await statements()).toEqual(['ok: not looked at: the extension pg_stat_statements is not installed in this database']);
    await client.query('create schema stats; create extension pg_stat_statements schema stats');
    expect(await statements()).toEqual(['ok: pg_stat_statements has no statement on it']);
    await client.query("select * from app.events where at > now() - interval '1 day'");
    expect(await statements()).toEqual(['ok: one statement of pg_stat_statements, each keeps to some leaves']);

    await client.query(
      'set search_path = app; /* who */ select v from events\n where id = 5; select v from events where id = 6; reset search_path',
    );
    await client.query("insert into app.events (at, v) values (now(), 'a') on conflict (v) do nothing");
    const upsert = "insert into app.events (id, at) overriding system value values (5, '2024-01-01') on conflict";
    await client.query(`${upsert} (id) do nothing`);
    await client.query('select count(*) from only app.events');
    await client.query('with a as (insert into app.events (at) values (now()) on conflict on constraint events_pkey do nothing) select 1');
    const seen = await statements();
    expect(seen).toHaveLength(5);
    expect(seen).toContainEqual(
      expect.stringMatching(
        /^warning: select v from events where id = \$1 \(2 calls, .* ms each\) has no condition on at .* every one of them/,
      ),
    );
    expect(seen).toContainEqual(
      expect.stringMatching(
        /^warning: insert .* will FAIL after the switch, .* ON CONFLICT \(v\) finds no unique index .* \/ take the clause out/,
      ),
    );
    expect(seen).toContainEqual(expect.stringMatching(/^warning: select count\(\*\) from only app.events .* will find no row/));
    expect(seen).toContainEqual(
      expect.stringMatching(/^warning: with a .* goes by the constraint events_pkey, which keeps its name and becomes \(id, at\)/),
    );

    const decided = await statements({ decisions: { 'unique:events_v_key': 'widen' } });
    expect(decided).toHaveLength(5);
    expect(decided).toContainEqual(expect.stringMatching(/ON CONFLICT \(v\) finds no unique index .* \/ write ON CONFLICT \(v, at\)/));

    // What the fix says runs before the cutover, and is found to run after it.
    const fix = seen.find((text) => text.includes('ON CONFLICT (id) finds'))!;
    expect(fix).toContain('write ON CONFLICT (id, at),');
    await client.query(/CREATE UNIQUE INDEX [^;]*/.exec(fix)![0]);
    await client.query('select stats.pg_stat_statements_reset()');
    await client.query(`${upsert} (id, at) do nothing`);
    expect(await statements({ decisions: { 'unique:events_v_key': 'drop' } })).toEqual([
      'ok: one statement of pg_stat_statements, each keeps to some leaves',
    ]);

    const { rows } = await client.query("select query from stats.pg_stat_statements where query like '%partitioner_twin%'");
    expect(rows).toEqual([]); // looking is not counted

    await client.query('create role owner login replication; grant create, temporary on database postgres to owner');
    await client.query('alter schema app owner to owner; alter table app.events owner to owner');
    const url = new URL(server.url);
    url.username = 'owner';
    const owner = resolveConnection({ databaseUrl: url.href }, {});
    const limited = (await checkAs(owner, 'app.events')).filter(({ id }) => id === 'statements');
    // Also where the view itself is out of the role's sight.
    expect(limited).toEqual([
      expect.objectContaining({ severity: 'warning', message: expect.stringContaining('permission denied') as string }),
    ]);
    await client.query(`grant usage on schema stats to owner`);
    expect(
      (await checkAs(owner, 'app.events')).find(({ id, fix }) => id === 'statements' && fix?.startsWith('GRANT pg_read_all_stats')),
    ).toMatchObject({
      severity: 'warning',
      message: expect.stringContaining('the statements of other roles are hidden') as string,
    });
    await client.end();
  } finally {
    await server.stop('immediate');
  }
});
