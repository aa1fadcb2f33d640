import { describe, expect, test } from 'vitest';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { startDaemon, command, until, untilPhase } from '../../support/daemon.ts';
import { startLoad } from '../../support/events-table.ts';
import { differingRows } from '../../support/oracle.ts';
import { partitioner } from '../../support/partitioner.ts';

/** Differences that somebody else makes in the target, with a writer beside: each is found, none is repaired in silence. */

const ROWS = 4_000;

async function createTable(client: Client, isScattered: boolean): Promise<void> {
  await client.query(`
    create schema app;
    create table app.events (id bigint generated always as identity primary key, at timestamptz not null, kind int not null default 0, v text, doc text, amount numeric, tripled int generated always as (kind * 3) stored);`);
  await client.query(
    `insert into app.events (at, v, amount) select timestamptz '2026-01-01 00:00:00+00' + n * interval '180 days' / $1::int, '', 1.0
     from generate_series(1, $1::int) n order by ${isScattered ? 'md5(n::text)' : 'n'}`,
    [ROWS],
  );
  await client.query(`${isScattered ? '' : 'create index on app.events (at);'} analyze app.events`);
}

interface Found {
  readonly differences: number;
  readonly repaired: number;
  readonly pass: number;
  readonly keys: readonly { readonly key: readonly string[]; readonly kind: string; readonly columns: readonly string[] | null }[];
}

describe.each([
  ['leaf by leaf', false],
  ['by ranges of the primary key', true],
])('%s', (_, isScattered) => {
  test('every planted difference is found, refuses the cutover, and is repaired when that is asked for', { timeout: 120_000 }, async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await createTable(client, isScattered);
    // The rows that the test changes are not the writer's.
    const fixed = (await client.query<{ id: string }>(`select id from app.events where at > '2026-03-03' order by at limit 12`)).rows.map(
      ({ id }) => Number(id),
    );
    await client.query(
      `create function app.spare() returns trigger language plpgsql as $$begin if old.id = any($a$${JSON.stringify(fixed).replace('[', '{').replace(']', '}')}$a$::bigint[]) then return null; end if; return case when tg_op = 'DELETE' then old else new end; end$$;
       create trigger spare before update or delete on app.events for each row execute function app.spare()`,
    );
    const load = await startLoad(database, ROWS);
    await using daemon = startDaemon(database.settings, 'app.events', { unitKind: isScattered ? 'table' : 'leaf' });
    const { id } = await untilPhase(client, 'ready');
    const { rows } = await client.query<{ name: string }>(
      `select format('%I.%I', source_schema, target_name) as name from partitioner.migration`,
    );
    const target = rows[0]!.name;
    const [changed, missing, doubled, empty, scale, stray, nulled] = fixed as [number, number, number, number, number, number, number];
    await client.query(`set partitioner.writes = '${String(id)}'`); // as though nobody guarded it
    await client.query(`update ${target} set v = 'x' where id = $1`, [changed]);
    await client.query(`delete from ${target} where id = $1`, [missing]);
    await client.query(
      `insert into ${target} (id, at, kind, v, amount) overriding system value select id, at + interval '40 days', kind, v, amount from app.events where id = $1`,
      [doubled],
    );
    await client.query(`insert into ${target} (id, at, v) overriding system value values (900001, '2026-02-02', 'foreign')`);
    await client.query(`update ${target} set v = null where id = $1`, [empty]);
    await client.query(`update ${target} set amount = 1.00 where id = $1`, [scale]);
    await client.query(`update ${target} set amount = null where id = $1`, [nulled]);
    await misplace(client, target, stray);
    const wanted = [changed, missing, doubled, 900001, empty, scale, nulled, stray].map(String).sort();

    const args = ['verify', 'app.events', '--json'];
    const first = await partitioner(args, { DATABASE_URL: database.url });
    expect(first.code, first.stderr).toBe(6);
    const found = JSON.parse(first.stdout) as Found;
    expect(found.keys.map(({ key }) => key[0]).sort()).toEqual(wanted);
    const kinds = Object.fromEntries(found.keys.map(({ key, kind, columns }) => [key[0], columns === null ? kind : columns.join()]));
    expect(kinds).toMatchObject({
      [changed]: 'v',
      [missing]: 'missing',
      900001: 'extra',
      [empty]: 'v',
      [scale]: 'amount',
      [nulled]: 'amount',
    });
    const status = await partitioner(['status', 'app.events'], { DATABASE_URL: database.url });
    expect(status.stdout).toContain('8 DIFFERENCES');
    const refused = await partitioner(['cutover', 'app.events', '--json'], { DATABASE_URL: database.url });
    expect([refused.code, (JSON.parse(refused.stdout) as { error: { code: string } }).error.code]).toEqual([6, 'DIFFERENCE']);

    const second = await partitioner([...args, '--repair'], { DATABASE_URL: database.url });
    expect(second.code, second.stdout + second.stderr).toBe(0);
    expect(JSON.parse(second.stdout)).toMatchObject({ differences: 0, repaired: 8, keys: [] });
    await load.stop();
    await untilPhase(client, 'ready');
    await client.query('drop trigger spare on app.events');
    await command(client, id, 'cutover', { lockTimeoutMs: 1_000, maxLockHoldMs: 5_000, attempts: 60 });
    const { rows: receipts } = await client.query<{ receipt: { differences: number; rowsCompared: number }; retired: string }>(
      `select receipt, retired_name as retired from partitioner.migration`,
    );
    expect(receipts[0]!.receipt.differences).toBe(0);
    expect(
      await differingRows(client, { schema: 'app', name: 'events' }, { schema: 'app', name: receipts[0]!.retired }, [
        'id',
        'at',
        'kind',
        'v',
        'doc',
        'amount',
        'tripled',
      ]),
    ).toEqual([]);
    await daemon.ended;
  });
});

test(
  'a difference in a key that changes just before the lock is found under it, and nothing is switched',
  { timeout: 120_000 },
  async () => {
    await using database = await createDatabase();
    const client = await database.client();
    await createTable(client, false);
    await using daemon = startDaemon(database.settings, 'app.events');
    const { id } = await untilPhase(client, 'ready');
    const { rows } = await client.query<{ name: string }>(
      `select format('%I.%I', source_schema, target_name) as name from partitioner.migration`,
    );
    // A trigger of ours makes the applier itself write something else: only a comparison can see it.
    const leaf = (await client.query<{ name: string }>(`select tableoid::regclass::text as name from ${rows[0]!.name} where id = 77`))
      .rows[0]!.name;
    await client.query(
      `create function app.spoil() returns trigger language plpgsql as $$begin new.v := 'spoilt'; return new; end$$;
     drop trigger partitioner_guard on ${leaf};
     create trigger partitioner_guard before update on ${leaf} for each row execute function app.spoil()`, // another one would be noticed
    );
    const held = await database.client('held');
    await held.query('begin');
    await held.query(`update app.events set kind = 5 where id = 77`);
    const outcome = command(client, id, 'cutover', { lockTimeoutMs: 300, maxLockHoldMs: 5_000, attempts: 60 }).then(
      () => 'switched',
      (error: unknown) => String(error),
    );
    await until(
      client,
      'an attempt',
      async () => (await client.query(`select from partitioner.migration where phase = 'cutover'`)).rowCount === 1,
    );
    await held.query('commit');
    expect(await outcome).toMatch(/DIFFERENCE.*(under the lock|keys of app.events differ)/);
    const after = await client.query<{ kind: string }>(`select relkind::text as kind from pg_class where oid = 'app.events'::regclass`);
    expect(after.rows[0]!.kind).toBe('r');
    await daemon.stop();
  },
);

/** Moves a row into a leaf where it does not belong, as only a damaged catalog lets one. */
async function misplace(client: Client, target: string, id: number): Promise<void> {
  const { rows } = await client.query<{ other: string; bound: string }>(
    `select i.inhrelid::regclass::text as other, pg_get_expr(c.relpartbound, c.oid) as bound from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = $1::regclass and c.relname like '%2026\\_05'`,
    [target],
  );
  const { other, bound } = rows[0]!;
  await client.query(`
    begin;
    create temp table taken on commit drop as select * from ${target} where id = ${String(id)};
    delete from ${target} where id = ${String(id)};
    alter table ${target} detach partition ${other};
    insert into ${other} (id, at, kind, v, doc, amount) overriding system value select id, at, kind, v, doc, amount from taken;
    alter table ${other} add constraint pretended check (at >= '2026-05-01 00:00:00+00' and at < '2026-06-01 00:00:00+00') not valid;
    update pg_constraint set convalidated = true where conname = 'pretended';
    alter table ${target} attach partition ${other} ${bound};
    alter table ${other} drop constraint pretended;
    commit;`);
}

test.each(['leaf', 'table'] as const)('a row in no leaf that the stream has not brought is found, unit %s', async (unitKind) => {
  await using database = await createDatabase();
  const client = await database.client();
  await createTable(client, unitKind === 'table');
  await using daemon = startDaemon(database.settings, 'app.events', { unitKind });
  await untilPhase(client, 'ready');
  // Hidden from the stream, so that nobody makes its leaf.
  const { rows } = await client.query<{ name: string }>('select pubname as name from pg_publication');
  const publication = `alter publication "${rows[0]!.name}" set (publish = '`;
  await client.query(`${publication}delete')`);
  await client.query(`insert into app.events (at, v) values ('2041-05-06', 'unseen')`);
  await client.query(`${publication}insert, update, delete, truncate')`);

  const run = (...args: string[]): ReturnType<typeof partitioner> => partitioner(args, { DATABASE_URL: database.url });
  const found = await run('verify', 'app.events', '--json');
  expect(found.code, found.stdout + found.stderr).toBe(6);
  expect((JSON.parse(found.stdout) as Found).keys).toMatchObject([{ key: [String(ROWS + 1)], kind: 'missing' }]);
  expect((await run('cutover', 'app.events')).code).toBe(6);
  const repaired = await run('verify', 'app.events', '--json', '--repair');
  expect(repaired.code, repaired.stdout + repaired.stderr).toBe(0);
  expect((await run('cutover', 'app.events', '--when-ready', '--no-way-back')).code).toBe(0);
  expect((await client.query(`select v from app.events where at = '2041-05-06'`)).rows).toEqual([{ v: 'unseen' }]);
  await daemon.ended;
});
