import { describe, expect, it } from 'vitest';
import { buildPlan } from '../../src/actions/build-plan.ts';
import { quoteIdent, quoteName } from '../../src/domain/identifier.ts';
import type { SourceTable } from '../../src/domain/table.ts';
import { fetchFingerprint, fetchTable } from '../../src/pg/catalog.ts';
import { inTransaction, type Client } from '../../src/pg/client.ts';
import type { MigrationPlan } from '../../src/plan/migration-plan.ts';
import { DEFAULT_PLAN_OPTIONS } from '../../src/plan/options.ts';
import { NOTHING } from '../../src/plan/attachments/carried.ts';
import { planSwap } from '../../src/plan/swap.ts';
import { createDatabase } from '../support/database.ts';
import { differences } from '../support/oracle.ts';
import { createRole } from '../support/roles.ts';
import { MAJORS } from '../support/server.ts';
import { describeStorage, describeTable } from './definition.ts';
import { NASTY, nastyTable } from './nasty-table.ts';

const OPTIONS = { ...DEFAULT_PLAN_OPTIONS, range: 'created At' };

/** What prepare, the backfill and the cutover do with a plan, without a stream: load every leaf, finish it, attach it, switch. */
async function migrate(client: Client, table: SourceTable, plan: MigrationPlan): Promise<{ notices: string[]; built: string[] }> {
  const notices: string[] = [];
  client.on('notice', ({ message }) => notices.push(message ?? ''));
  for (const step of plan.createTarget) await client.query(step.sql);
  const columns = plan.columns.map(({ name }) => quoteIdent(name)).join(', ');
  const before = new Set<string>();
  for (const leaf of plan.leaves) {
    for (const step of leaf.create) await client.query(step.sql);
    const name = quoteName({ schema: plan.source.schema, name: leaf.name });
    await client.query(
      `insert into ${name} (${columns}) select ${columns} from ${quoteName(plan.source)} where "created At" >= ${value(leaf.lower)} and "created At" < ${value(leaf.upper)}`,
    );
    for (let repeated = 0; repeated < 2; repeated++) {
      // A restart repeats what makes no index of its own.
      for (const step of leaf.finish) if (repeated === 0 || step.makes === null) await client.query(step.sql);
    }
    for (const index of await listIndexes(client, name)) before.add(index);
    await client.query('set client_min_messages = debug1');
    await inTransaction(client, async () => {
      for (const step of leaf.attach) await client.query(step.sql);
    });
    await client.query('set client_min_messages = warning');
  }
  const built: string[] = [];
  for (const leaf of plan.leaves) {
    const after = await listIndexes(client, quoteName({ schema: plan.source.schema, name: leaf.name }));
    built.push(...after.filter((index) => !before.has(index)));
  }
  await client.query('create schema partitioner'); // the control schema, which a daemon makes
  await client.query('create schema if not exists partitioner');
  await inTransaction(client, async () => {
    for (const step of planSwap(table, plan, NOTHING).steps) await client.query(step.sql);
  });
  return { notices, built };
}

/** Microseconds since 2000 as the server prints them. */
function value(bound: string | null): string {
  return `('2000-01-01 00:00:00+00'::timestamptz + ${bound!} * interval '1 microsecond')`;
}

async function listIndexes(client: Client, table: string): Promise<string[]> {
  const { rows } = await client.query<{ oid: number }>('select indexrelid as oid from pg_index where indrelid = $1::regclass', [table]);
  return rows.map(({ oid }) => String(oid));
}

describe.each(MAJORS)('PostgreSQL %i', (major) => {
  it('the partitioned table is as the source was: columns, indexes, constraints, names, comments, privileges, sequences, rows', async () => {
    await using database = await createDatabase({ major });
    const owner = (await createRole(database, 'nologin', ['create'])).name;
    const reader = (await createRole(database, 'nologin', [])).name;
    const writer = (await createRole(database, 'nologin', [])).name;
    const client = await database.client();
    await client.query(nastyTable(major, { owner, reader, writer }));
    const described = await describeTable(client, NASTY);
    const storage = await describeStorage(client, NASTY);
    const table = (await fetchTable(client, NASTY))!;
    const fingerprint = await fetchFingerprint(client, table.oid);
    const plan = JSON.parse(
      JSON.stringify(
        await inTransaction(client, () => buildPlan(client, table, OPTIONS, 4), 'begin isolation level repeatable read read only'),
      ),
    ) as MigrationPlan;
    expect(plan.binary).toBe(true);
    const { rows: prepared } = await client.query<{ n: string }>({
      name: 'before',
      text: `select * from ${quoteName(NASTY)} where id = $1`,
      values: [7],
    });
    const { notices, built } = await migrate(client, table, plan);

    expect(await describeTable(client, NASTY)).toEqual(described);
    expect(await differences(client, plan.retired, NASTY)).toBe(0);
    expect(built, 'indexes that ATTACH has built').toEqual([]);
    expect(notices.filter((message) => message.includes('is implied by existing constraints'))).toHaveLength(plan.leaves.length);
    for (const leaf of plan.leaves) expect(await describeStorage(client, { schema: NASTY.schema, name: leaf.name })).toEqual(storage);
    const { rows: again } = await client.query<{ n: string }>({
      name: 'before',
      text: `select * from ${quoteName(NASTY)} where id = $1`,
      values: [7],
    });
    expect(again).toEqual(prepared);
    const { rows: leafGrants } = await client.query(
      `select c.relname, x.grantee::regrole from pg_inherits i join pg_class c on c.oid = i.inhrelid cross join lateral aclexplode(c.relacl) x where i.inhparent = $1::regclass and x.grantee <> c.relowner`,
      [quoteName(NASTY)],
    );
    expect(leafGrants, 'who may read a leaf').toEqual([]);
    expect(fingerprint).not.toBe(await fetchFingerprint(client, table.oid));

    // It works: identity and serial go on where they were, the loose check holds for new rows.
    await client.query(`insert into ${quoteName(NASTY)} ("created At") values ('2024-01-15 12:34:56+00')`);
    const { rows: inserted } = await client.query<{ fresh: boolean }>(
      `select n.id not in (select id from ${quoteName(plan.retired)}) and n."User" > (select max("User") from ${quoteName(plan.retired)}) and n.old_serial > (select max(old_serial) from ${quoteName(plan.retired)}) as fresh
       from ${quoteName(NASTY)} n where n."created At" = '2024-01-15 12:34:56+00'`,
    );
    expect(inserted).toEqual([{ fresh: true }]);
    await expect(client.query(`insert into ${quoteName(NASTY)} ("created At", amount) values ('2024-01-15', 45)`)).rejects.toMatchObject({
      code: '23514',
    });
    await client.query(`drop table ${quoteName(plan.retired)}`);
    await client.query(`insert into ${quoteName(NASTY)} ("created At") values ('2024-01-16')`);
  });
});
