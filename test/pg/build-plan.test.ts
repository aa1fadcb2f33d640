import { describe, expect, it } from 'vitest';
import { buildPlan } from '../../src/actions/build-plan.ts';
import { infinityOf, parseKeyText, type KeyKind } from '../../src/domain/partition-key.ts';
import { fetchTable } from '../../src/pg/catalog.ts';
import { connect, inTransaction, withClient, type Client } from '../../src/pg/client.ts';
import type { MigrationPlan } from '../../src/plan/migration-plan.ts';
import { planLeaf } from '../../src/plan/leaf.ts';
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from '../../src/plan/options.ts';
import { NOTHING } from '../../src/plan/attachments/carried.ts';
import { planSwap } from '../../src/plan/swap.ts';
import { createDatabase, testDatabase, type TestDatabase } from '../support/database.ts';
import { createMigrator, createRole } from '../support/roles.ts';
import { MAJORS } from '../support/server.ts';
import { describeTable } from './definition.ts';

const T = { schema: 'public', name: 't' };

async function planOf(client: Client, options: Partial<PlanOptions> & { range: string }, name = T): Promise<MigrationPlan> {
  const table = (await fetchTable(client, name))!;
  return inTransaction(
    client,
    () => buildPlan(client, table, { ...DEFAULT_PLAN_OPTIONS, ...options }, 1),
    'begin isolation level repeatable read read only',
  );
}

const bounds = ({ leaves }: MigrationPlan): string[] =>
  leaves.map(({ name, lower, upper }) => `${name} ${lower ?? 'open'} ${upper ?? 'open'}`);
const kinds = ({ units }: MigrationPlan): string => units.map(({ kind }) => kind[0]).join('');

describe('the plan from the data', () => {
  const database = testDatabase();
  const fresh = async (sql: string): Promise<Client> => {
    const client = await database.get().client();
    await client.query(`drop table if exists public.t cascade; ${sql}`);
    return client;
  };

  it('loads leaf by leaf where an index leads with the key, and leaves out what an index probe finds empty', async () => {
    const client = await fresh(`create table public.t (id bigint primary key, x text);
      insert into public.t select g, 'x' from generate_series(1, 4999) g where g not between 2000 and 2999; analyze public.t`);
    const plan = await planOf(client, { range: 'id', every: '1000', premake: 1, chunkBytes: 50_000 });
    expect(bounds(plan)).toEqual([
      't_p0 0 1000',
      't_p1000 1000 2000',
      't_p2000 2000 3000',
      't_p3000 3000 4000',
      't_p4000 4000 5000',
      't_p5000 5000 6000',
    ]);
    expect(kinds(plan)).toBe('llelle');
    expect(plan.units.map(({ loadOrder }) => loadOrder)).toEqual([3, 2, 0, 1, 0, 0]);
    expect(plan.units[0]!.rowsEstimated).toBeGreaterThan(900);
    expect(plan.units[0]!.rowsEstimated).toBeLessThan(1100);
    expect(plan).toMatchObject({
      key: [0],
      partitionKey: { column: 0, name: 'id', kind: 'int8', step: { unit: 'value', count: '1000' } },
      uncopied: [],
    });
  });

  it('loads the whole table by blocks without such an index', async () => {
    const client =
      await fresh(`create table public.t (id bigint primary key, ts timestamptz not null, n int generated always as (1) stored, x text);
      create index on public.t (id, ts); create index on public.t (ts) where x is null;
      insert into public.t (id, ts, x) select g, '2024-01-01 00:00+00'::timestamptz + g * interval '1 day', repeat('x', 500) from generate_series(0, 999) g`);
    const plan = await planOf(client, { range: 'ts', chunkBytes: 100_000 });
    expect(kinds(plan)).toMatch(/^te+$/);
    expect(plan.units[0]!.chunks.length).toBeGreaterThan(3);
    expect(plan.units[0]!.chunks[0]!.lower).toBe('0');
    expect(plan.units[0]!.chunks.at(-1)!.upper).toBeNull();
    expect(plan.columns.map(({ name }) => name)).toEqual(['id', 'ts', 'x']);
    expect(plan.uncopied).toEqual(['n']);
    expect(kinds(await planOf(client, { range: 'ts', unitKind: 'leaf' }))).toMatch(/^l+e+$/);
  });

  it('loads the whole table by blocks when its rows are scattered, and it is no small one', async () => {
    const client =
      await fresh(`create table public.t (id int primary key, x text) with (fillfactor = 10); alter table public.t alter x set storage plain;
      insert into public.t select (g * 7919) % 20011, repeat('x', 7000) from generate_series(1, 20000) g; analyze public.t`);
    expect(kinds(await planOf(client, { range: 'id', every: '10000', premake: 0 }))).toBe('t');
    expect(kinds(await planOf(client, { range: 'id', every: '10000', premake: 0, unitKind: 'leaf' }))).toBe('lll');
  });

  it('puts what lies before --from into one leaf', async () => {
    const client = await fresh(`create table public.t (id int, day date, primary key (id, day)); create index on public.t (day);
      insert into public.t values (1, '1970-01-01'), (2, '2024-02-02')`);
    const plan = await planOf(client, { range: 'day', every: 'year', from: '2024-01-01', premake: 0 });
    expect(plan.leaves.map(({ name }) => name).slice(0, 2)).toEqual(['t_pmin', 't_p2024']);
    expect(kinds(plan)).toMatch(/^lle*$/);
  });

  it.each([
    ['an unknown column', { range: 'nope' }, 'USAGE', 'has no column "nope"'],
    ['a type that is no range', { range: 'x' }, 'USAGE', 'column "x" (text) cannot be the partition key'],
    ['a generated column', { range: 'g' }, 'USAGE', 'column "g" (generated)'],
    ['a --from that is none', { range: 'day', from: 'yesterday' }, 'USAGE', '--from "yesterday"'],
    ['an infinite --from', { range: 'day', from: '-infinity' }, 'USAGE', '--from "-infinity"'],
    ['too many leaves', { range: 'far', every: 'day' }, 'PREFLIGHT_REFUSED', 'more than 5000 leaves'],
    ['infinity in the data', { range: 'endless' }, 'PREFLIGHT_REFUSED', 'holds infinity'],
    ['a name that is taken', { range: 'id', every: '10' }, 'PREFLIGHT_REFUSED', 'relation "t_p0_pkey"'],
  ] as const)('refuses %s', async (_case, options, code, message) => {
    const client =
      await fresh(`create table public.t (id int primary key, x text, g int generated always as (1) stored, day date, far date, endless date);
      create table if not exists public.t_p0_pkey (); insert into public.t values (1, 'x', default, '2024-01-01', '9999-01-01', 'infinity')`);
    const error: Error & { code?: string } = await planOf(client, options).then(
      () => new Error('planned'),
      (thrown: unknown) => thrown as Error,
    );
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });
});

/** Every statement of a plan, in the order in which prepare, finish and cutover run them, on an empty table. */
async function performAll(client: Client, plan: MigrationPlan): Promise<void> {
  const table = (await fetchTable(client, plan.source))!;
  await client.query('create schema if not exists partitioner'); // as `start` has made it
  await inTransaction(client, async () => {
    for (const step of plan.createTarget) await client.query(step.sql);
    for (const leaf of plan.leaves) for (const step of [...leaf.create, ...leaf.finish, ...leaf.attach]) await client.query(step.sql);
    for (const step of planSwap(table, plan, NOTHING).steps) await client.query(step.sql);
  });
}

describe.each(MAJORS)('leaves on PostgreSQL %i', (major) => {
  it('of every kind of key, open or not, are attached without a scan', async () => {
    await using database = await createDatabase({ major });
    const client = await database.client();
    const notices: string[] = [];
    client.on('notice', ({ message }) => notices.push(message ?? ''));
    let attached = 0;
    for (const kind of ['timestamptz', 'timestamp', 'date', 'int2', 'int4', 'int8'] satisfies KeyKind[]) {
      await client.query(
        `drop table if exists public.t, public.partitioner_1_target_t cascade; create table public.t (id int, k ${kind} not null, primary key (id, k))`,
      );
      const table = (await fetchTable(client, T))!;
      const time = kind.startsWith('int') ? null : kind;
      const plan = await planOf(client, { range: 'k', every: time === null ? '10000' : 'year', premake: 1 });
      for (const step of plan.createTarget) await client.query(step.sql);
      const values = (
        time === null ? ['-10000', '-50', '0', '7', '10000'] : ['0044-03-15 BC', '1999-12-31', '2000-01-01', '12024-01-01']
      ).map((text) => parseKeyText(kind, text));
      const ranges = [
        { lower: null, upper: values[0]! },
        ...values.slice(1).map((upper, i) => ({ lower: values[i]!, upper })),
        { lower: infinityOf(kind) ?? values.at(-1)!, upper: null },
      ];
      await client.query('set client_min_messages = debug1');
      for (const [leaf, range] of ranges.entries()) {
        const steps = planLeaf(table, plan.target, plan.partitionKey, { leaf, name: `leaf_${kind}_${leaf}`, unit: leaf, ...range });
        for (const step of [...steps.create, ...steps.finish, ...steps.attach]) await client.query(step.sql);
        attached++;
      }
      await client.query('reset client_min_messages; set client_min_messages = warning');
    }
    expect(notices.filter((message) => message.includes('is implied by existing constraints'))).toHaveLength(attached);
  });
});

describe.each(MAJORS)('constraints on PostgreSQL %i', (major) => {
  it('a key that may be NULL becomes NOT NULL, what is not validated or not enforced stays so', async () => {
    await using database = await createDatabase({ major });
    const client = await database.client();
    await client.query(`create table public.t (id int primary key, k int, a int constraint named not null)`);
    await client.query(`alter table public.t add constraint loose check (a > 0) not valid`);
    if (major >= 18) await client.query(`alter table public.t add constraint unenforced check (a > 1) not enforced`);
    const described = await describeTable(client, T);
    await performAll(client, await planOf(client, { range: 'k', every: '10', premake: 2 }));
    const after = await describeTable(client, T);
    const ofKey = (rows: unknown): unknown => (rows as { name: string }[]).filter(({ name }) => name === 'k');
    expect(ofKey(after['columns'])).toMatchObject([{ notNull: true }]);
    const before = JSON.stringify(described['constraints']).replace('PRIMARY KEY (id)', 'PRIMARY KEY (id, k)');
    const now = (after['constraints'] as { definition: string }[]).filter(({ definition }) => definition !== 'NOT NULL k');
    expect(now).toEqual(JSON.parse(before));
  });
});

describe('roles', () => {
  const privileges = async (client: Client, name: string): Promise<unknown> =>
    (
      await client.query(
        `select relname, relowner::regrole::text as owner, array(select x.grantee::regrole || ' ' || x.privilege_type from aclexplode(relacl) x where x.grantee <> relowner order by 1) as others from pg_class
         where relkind in ('r', 'p', 'S') and relnamespace = '${name}'::regnamespace and relname !~ 'retired' order by relname`,
      )
    ).rows;

  it('an owner with nothing but its table, whose default privileges let others in: the target keeps out whom the source keeps out', async () => {
    await using database = await createDatabase();
    const migrator = await createMigrator(database);
    const reader = await createRole(database, 'nologin', []);
    await withClient(migrator.settings, { applicationName: 'test' }, async (client) => {
      await client.query(`create schema app; create table app.t (id int generated always as identity primary key, ts timestamptz not null);
        alter default privileges grant select on tables to public, ${reader.name}; alter default privileges grant usage on sequences to ${reader.name}`);
      await performAll(client, await planOf(client, { range: 'ts', premake: 0 }, { schema: 'app', name: 't' }));
      expect(await privileges(client, 'app')).toEqual([
        { relname: 't', owner: migrator.name, others: [] },
        { relname: 't_id_seq', owner: migrator.name, others: [] },
        { relname: expect.stringMatching(/^t_p\d{4}_\d\d$/) as string, owner: migrator.name, others: [] },
      ]);
      await client.query(
        `alter default privileges revoke select on tables from public, ${reader.name}; alter default privileges revoke usage on sequences from ${reader.name}`,
      );
      await client.query('drop schema app cascade');
    });
  });

  it('a member of the owner: everything belongs to the owner', async () => {
    await using database = await createDatabase();
    const { owner, client } = await ownedTable(database, 'revoke truncate on app.t from current_user');
    const described = await describeTable(client, { schema: 'app', name: 't' });
    await performAll(client, await planOf(client, { range: 'ts', premake: 1 }, { schema: 'app', name: 't' }));
    const rows = (await privileges(client, 'app')) as { owner: string }[];
    expect(rows).toHaveLength(4);
    expect(new Set(rows.map((row) => row.owner))).toEqual(new Set([owner]));
    const after = await describeTable(client, { schema: 'app', name: 't' });
    expect(after['table']).toEqual(described['table']);
    await client.end();
  });
});

async function ownedTable(database: TestDatabase, more: string): Promise<{ owner: string; client: Client }> {
  const owner = await createRole(database, 'nologin', ['create']);
  const member = await createMigrator(database);
  const admin = await database.client();
  await admin.query(`grant ${owner.name} to ${member.name}; set role ${owner.name};
    create schema app; create table app.t (id int generated by default as identity primary key, ts timestamptz not null); ${more}; reset role`);
  return { owner: owner.name, client: await connect(member.settings, { applicationName: 'test' }) };
}

describe('what hangs on files goes to the leaves', () => {
  it.each([
    ['full', 'replica identity full', 'f'],
    ['the primary key by name', 'replica identity using index t_pkey', 'i'],
  ])('replica identity: %s', async (_case, sql, identity) => {
    await using database = await createDatabase();
    const client = await database.client();
    await client.query(`create table public.t (id int primary key, k int not null); alter table public.t ${sql}`);
    await performAll(client, await planOf(client, { range: 'k', every: '10', premake: 2 }));
    const { rows } = await client.query(
      `select c.relname, relreplident, (select i.indexrelid::regclass::text from pg_index i where i.indrelid = c.oid and i.indisreplident) as index from pg_class c where c.relname in ('t', 't_p0', 't_p20') order by 1`,
    );
    const index = (name: string): string | null => (identity === 'i' ? `public.${name}_pkey` : null);
    expect(rows).toEqual(['t', 't_p0', 't_p20'].map((relname) => ({ relname, relreplident: identity, index: index(relname) })));
  });

  it('tablespaces of table, indexes and constraints', async () => {
    await using database = await createDatabase();
    const client = await database.client();
    const space = `space_${database.name}`;
    await client.query('set allow_in_place_tablespaces = on');
    await client.query(`create tablespace ${space} location ''`);
    database.onDropped(async (server) => {
      await server.query(`drop tablespace ${space}`);
    });
    await client.query(`create table public.t (id int, k int not null, a text, constraint pk primary key (id) with (fillfactor = 50) using index tablespace ${space},
      unique (k, a) with (fillfactor = 60) using index tablespace ${space}) tablespace ${space};
      create index part on public.t (a) include (k) with (fillfactor = 70) tablespace ${space} where a > 'x'; create index plain on public.t (a)`);
    await performAll(client, await planOf(client, { range: 'k', every: '10', premake: 1 }));
    const { rows } = await client.query<{ relname: string }>(
      `select c.relname, c.reloptions from pg_class c join pg_tablespace s on s.oid = c.reltablespace where s.spcname = $1 and c.relnamespace = 'public'::regnamespace and c.relname !~ 'retired' order by 1`,
      [space],
    );
    const names = ['t', 't_p0', 't_p10'].flatMap((table) =>
      table === 't' ? ['t', 'pk', 'part', 't_k_a_key'] : [table, `${table}_pk`, `${table}_part`, `${table}_k_a_key`],
    );
    expect(rows.map(({ relname }) => relname)).toEqual(names.sort());
  });
});
