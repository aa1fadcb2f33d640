import { expect, test } from 'vitest';
import { quoteIdent, quoteLiteral, quoteName } from '../../src/domain/identifier.ts';
import type { Client } from '../../src/pg/client.ts';
import { withClient } from '../../src/pg/client.ts';
import { resolveConnection } from '../../src/pg/connection.ts';
import { openCommandLine } from '../support/cli.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { command, startDaemon, until } from '../support/daemon.ts';
import { differingRows, leftovers } from '../support/oracle.ts';

/** Names that end a string, a statement, a comment, a line, a format, a template or the 63 bytes that a name may have. */
const HOSTILE = [
  `it's "quoted"`,
  `"; drop table victim; --`,
  `new\nline\ttab\r`,
  "back\\slash\\\\'",
  '%s%I%1$s%%',
  '$1 $$ ${x} {{y}}',
  'ü'.repeat(31) + 'x',
  'x'.repeat(63),
  ' lead and trail ',
  'select',
  '/* a comment */',
  `E'\\x41'`,
  '名前😀',
  '.a.b.',
  ':"name" :\'x\'',
] as const;

const LIMITS = { lockTimeoutMs: 1_000, maxLockHoldMs: 20_000, attempts: 100 };

/** The `n`th name of a table that begins with the `first`. */
const nameOf =
  (first: number) =>
  (n: number): string =>
    HOSTILE[(first + n) % HOSTILE.length]!;

interface Hostile {
  readonly schema: string;
  readonly table: string;
  readonly id: string;
  readonly at: string;
  readonly value: string;
  readonly view: string;
  readonly publication: string;
}

/** A table of which everything has a hostile name, and what hangs on it. */
async function createHostile(client: Client, owner: string, first: number): Promise<Hostile> {
  const name = nameOf(first);
  const [schema, table, id, at, value, type, index, check, trigger, routine, view, other, publication, policy, unique] = Array.from(
    { length: HOSTILE.length },
    (_, n) => name(n),
  );
  const [s, t] = [quoteIdent(schema!), quoteName({ schema: schema!, name: table! })];
  const q = (text: string | undefined): string => quoteIdent(text!);
  await client.query(`create schema ${s} authorization ${quoteIdent(owner)}; set role ${quoteIdent(owner)}; set search_path = ${s}`);
  await client.query(
    `
    create type ${q(type)} as enum (${quoteLiteral(name(3))}, 'plain');
    create table ${q(other)} (id int primary key); insert into ${q(other)} values (1);
    create table ${t} (${q(id)} bigserial primary key, ${q(at)} timestamptz not null, ${q(value)} text, ${q(type)} ${q(type)} default ${quoteLiteral(name(3))},
      ${q(other)} int default 1 constraint ${q(trigger)} references ${q(other)},
      ${q(unique)} text collate "C" default ${quoteLiteral(name(5))} storage external, constraint ${q(check)} check (${q(value)} <> ${quoteLiteral(name(6))}));
    create index ${q(index)} on ${t} (${q(at)}, (lower(${q(value)}))) where ${q(value)} is distinct from ${quoteLiteral(name(7))};
    create function ${q(routine)}() returns trigger language plpgsql as ${quoteLiteral(`begin new.${q(value)} := new.${q(value)} || '!'; return new; end`)};
    create trigger ${q(trigger)} before insert on ${t} for each row execute function ${q(routine)}();
    create view ${q(view)} as select ${q(id)}, ${q(value)} as ${q(other)} from ${t} where ${q(value)} is distinct from ${quoteLiteral(name(8))};
    create policy ${q(policy)} on ${t} using (${q(value)} is distinct from ${quoteLiteral(name(9))});
    create publication ${q(publication)} for table ${t};
    comment on table ${t} is ${quoteLiteral(name(10))}; comment on column ${t}.${q(value)} is ${quoteLiteral(name(11))};`.replaceAll(
      ' storage external',
      '',
    ),
  ); // before 16 a column takes none
  await client.query(
    `insert into ${t} (${q(at)}, ${q(value)}) select timestamptz '2026-01-01 00:00:00+00' + n * interval '2 hours', $1 || n from generate_series(1, 600) n`,
    [name(4)],
  );
  await client.query('reset role; reset search_path');
  return { schema: schema!, table: table!, id: id!, at: at!, value: value!, view: view!, publication: publication! };
}

/** Writes until it is stopped; knows what each row of its own must hold. */
function startHostileWriter(
  client: Client,
  { schema, table, id, at, value }: Hostile,
): { readonly rows: Map<string, string>; stop(): Promise<void> } {
  const rows = new Map<string, string>();
  const t = quoteName({ schema, name: table });
  const [i, a, v] = [quoteIdent(id), quoteIdent(at), quoteIdent(value)];
  let stopped = false;
  const loop = async (): Promise<void> => {
    for (let n = 0; !stopped; n++) {
      const text = `${HOSTILE[n % HOSTILE.length]!} of the writer`;
      const made = await client.query<{ id: string; v: string }>(
        `insert into ${t} (${a}, ${v}) values (timestamptz '2026-01-01 00:00:00+00' + $1 * interval '1 day', $2) returning ${i} as id, ${v} as v`,
        [n % 80, text],
      );
      rows.set(made.rows[0]!.id, made.rows[0]!.v);
      const [old] = [...rows.keys()].slice(-7);
      const moved = await client.query<{ v: string }>(
        `update ${t} set ${v} = ${v} || $2, ${a} = ${a} + interval '20 days' where ${i} = $1 returning ${v} as v`,
        [old, '.'],
      );
      rows.set(old!, moved.rows[0]!.v);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  };
  const done = loop();
  done.catch(() => undefined);
  return {
    rows,
    stop: async () => {
      stopped = true;
      await done;
    },
  };
}

async function travel(database: TestDatabase, settings: TestDatabase['settings'], hostile: Hostile): Promise<void> {
  const control = await database.client();
  const source = { schema: hostile.schema, name: hostile.table };
  const written = quoteName(source);
  const writer = startHostileWriter(await database.client('application'), hostile);
  await using daemon = startDaemon(settings, written, {
    range: hostile.at,
    every: 'month',
    chunkBytes: 64 * 1024,
    decisions: { [`publication:${hostile.publication}`]: 'root' },
  });
  let failure: unknown;
  daemon.ended.catch((error: unknown) => (failure = error));
  const phase = (wanted: string): Promise<{ id: number; retired_name: string }> =>
    until(
      control,
      `${wanted} of ${written}`,
      async () => {
        if (failure !== undefined) throw failure as Error;
        const { rows } = await control
          .query<{ id: number; retired_name: string; phase: string; failure: unknown }>(
            'select id, retired_name, phase, failure from partitioner.migration where reverse_of is null and source_schema = $1 and source_name = $2',
            [source.schema, source.name],
          )
          .catch(() => ({ rows: [] }));
        if (rows[0]?.phase === 'failed') throw new Error(JSON.stringify(rows[0].failure));
        return rows[0]?.phase === wanted && rows[0];
      },
      180_000,
    );
  const { id, retired_name: retired } = await phase('ready');
  const rows = async (): Promise<Map<string, string>> => {
    const all = await control.query<{ id: string; v: string }>(
      `select ${quoteIdent(hostile.id)} as id, ${quoteIdent(hostile.value)} as v from ${written}`,
    );
    return new Map(all.rows.map((row) => [row.id, row.v]));
  };
  await command(control, id, 'cutover', { ...LIMITS, wayBack: true });
  expect((await control.query(`select relkind from pg_class where oid = $1::regclass`, [written])).rows).toEqual([{ relkind: 'p' }]);
  expect((await control.query(`select from ${quoteName({ schema: hostile.schema, name: hostile.view })}`)).rowCount).toBeGreaterThan(500);
  await command(control, id, 'rollback', LIMITS);
  expect((await control.query(`select relkind from pg_class where oid = $1::regclass`, [written])).rows).toEqual([{ relkind: 'r' }]);
  await phase('ready');
  await writer.stop();
  await command(control, id, 'cutover', LIMITS);
  await daemon.ended;
  expect(await differingRows(control, source, { schema: source.schema, name: retired })).toEqual([]);
  const now = await rows();
  for (const [key, value] of writer.rows) expect(now.get(key)).toBe(value);
  expect(now.size).toBe(600 + writer.rows.size);
}

test('names that would end a string, a statement or a line go there, back and there again', { timeout: 400_000 }, async () => {
  await using database = await createDatabase();
  await using cli = openCommandLine();
  const control = await database.client();
  // The role that does it has such a name too.
  const role = `"it's %s; \\ ${database.name}`;
  database.onDropped(async (server) => {
    await server.query(`drop role if exists ${quoteIdent(role)}`);
  });
  await control.query(
    `create role ${quoteIdent(role)} login replication; grant connect, create, temporary on database ${database.name} to ${quoteIdent(role)}`,
  );
  await control.query('create table public.victim (id int)');
  const url = new URL(database.url);
  url.username = encodeURIComponent(role);
  const settings = resolveConnection({ databaseUrl: url.href }, {});
  await withClient(settings, { applicationName: 'test' }, async (client) => {
    expect((await client.query('select current_user as role')).rows).toEqual([{ role }]);
  });
  const tables: Hostile[] = [];
  for (const first of [0, 5, 10]) tables.push(await createHostile(control, role, first));
  for (const { schema, table, at, publication } of tables) {
    const name = quoteName({ schema, name: table });
    const flags = ['--range', at, '--decide', `publication:${publication}=root`];
    const checked = await cli.run(['check', name, ...flags, '--json'], { DATABASE_URL: url.href });
    const { findings } = JSON.parse(checked.stdout) as { findings: { severity: string }[] };
    expect(findings.filter(({ severity }) => severity === 'blocker')).toEqual([]);
    expect(checked.code).toBe(0);
    expect(await cli.run(['plan', name, ...flags], { DATABASE_URL: url.href })).toMatchObject({ code: 0, stderr: '' });
  }
  await Promise.all(tables.map((hostile) => travel(database, settings, hostile)));
  expect((await control.query(`select to_regclass('public.victim') is not null as there`)).rows).toEqual([{ there: true }]);
  // A switch takes names away under what still compares: that is no failure.
  expect((await control.query(`select event, detail from partitioner.history where event in ('failed', 'way back closed')`)).rows).toEqual(
    [],
  );
  for (const { schema, table } of tables) {
    const name = quoteName({ schema, name: table });
    expect(await cli.run(['status', name, '--json'], { DATABASE_URL: url.href })).toMatchObject({ code: 0, stderr: '' });
    expect(await cli.run(['finish', name, '--drop-retired'], { DATABASE_URL: url.href })).toMatchObject({ code: 0, stderr: '' });
  }
  expect(await leftovers(control)).toMatchObject({ slots: [], schemas: [], tables: [] });
});
