import { describe, expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDemoTable, DEMO_TABLE, fillDemoTable } from '../../src/demo/schema.ts';
import { compareWithTruth, takeBaseline, Truth, type Comparison } from '../../src/demo/truth.ts';
import { startWriter } from '../../src/demo/writer.ts';
import type { Client } from '../../src/pg/client.ts';
import type { ConnectionSettings } from '../../src/pg/connection.ts';
import { createDatabase } from '../support/database.ts';

const NAME = { schema: 'app', name: 'events' };
const ROWS = 2000;
const { signal } = new AbortController();

interface Demo {
  readonly client: Client;
  readonly settings: ConnectionSettings;
  readonly truth: Truth;
  /** Writes for as long as `until` takes. */
  readonly write: (
    until: () => Promise<unknown>,
  ) => Promise<{ inserted: number; updated: number; deleted: number; failed: number; failures: readonly string[] }>;
  readonly compare: () => Promise<Comparison>;
}

/** The demo's table with its baseline. */
async function withDemo(use: (demo: Demo) => Promise<void>): Promise<void> {
  await using database = await createDatabase();
  await using other = await createDatabase();
  const [client, baseline] = [await database.client(), await other.client()];
  const truth = new Truth();
  await createDemoTable(client);
  const span = await fillDemoTable([client], { rows: ROWS, signal, onProgress: () => undefined });
  expect(await takeBaseline(client, NAME, baseline, signal)).toBe(ROWS);
  await use({
    client,
    settings: database.settings,
    truth,
    write: async (until) => {
      const writer = await startWriter({ settings: database.settings, connections: 3, rate: 2000, rows: ROWS, span, truth });
      await until().finally(() => writer.stop());
      return writer.stats();
    },
    compare: () => compareWithTruth(client, NAME, baseline, truth),
  });
}

/** What a statement that changes one row must be found as. */
const PLANTED: readonly (readonly [what: string, kind: string, id: number, sql: string])[] = [
  ['a row that is gone', 'missing', 1, `delete from ${DEMO_TABLE} where id = $1`],
  ['the last row that is gone', 'missing', ROWS, `delete from ${DEMO_TABLE} where id = $1`],
  [
    'a row that nobody wrote',
    'extra',
    ROWS + 5,
    `insert into ${DEMO_TABLE} (id, created_at, revision, account_id, kind) values ($1, now(), gen_random_uuid(), 1, 'view')`,
  ],
  [
    'a time that lost its microseconds',
    'different',
    7,
    `update ${DEMO_TABLE} set created_at = date_trunc('milliseconds', created_at) where id = $1`,
  ],
  ['a document that was lost', 'different', 50, `update ${DEMO_TABLE} set document = null where id = $1`],
  ['json that was formatted anew', 'different', 8, `update ${DEMO_TABLE} set raw = raw::jsonb::json where id = $1`],
  ['an empty text in place of NULL', 'different', 3, `update ${DEMO_TABLE} set agent = coalesce(agent, '') || ' ' where id = $1`],
];

describe('the truth of the demo', () => {
  it('is the table after every kind of write', async () => {
    await withDemo(async ({ client, write, compare }) => {
      const stats = await write(() => sleep(2000));
      expect(stats).toMatchObject({ failed: 0, failures: [] });
      expect(Math.min(stats.inserted, stats.updated, stats.deleted)).toBeGreaterThan(0);
      expect(await compare()).toEqual({ rows: ROWS + stats.inserted - stats.deleted, differences: 0, examples: [] });
      const { rows } = await client.query<{ outside: number }>(
        `select count(*)::integer as outside from ${DEMO_TABLE} where pg_column_size(document) > 2000 and pg_column_compression(document) is null`,
      );
      expect(rows[0]!.outside).toBeGreaterThanOrEqual(ROWS / 60);
    });
  });

  it.each(PLANTED)('finds %s', async (_, kind, id, sql) => {
    await withDemo(async ({ client, compare }) => {
      await client.query(sql, [id]);
      expect(await compare()).toMatchObject({ differences: 1, examples: [{ kind, id }] });
    });
  });

  it('finds a doubled row', async () => {
    await withDemo(async ({ client, compare }) => {
      await client.query(`alter table ${DEMO_TABLE} drop constraint events_pkey`);
      await client.query(`create temp table twin as select * from ${DEMO_TABLE} where id = 9`);
      await client.query('alter table twin drop column amount_gross');
      const columns = `(select string_agg(quote_ident(attname), ', ' order by attnum) as list from pg_attribute
        where attrelid = 'twin'::regclass and attnum > 0 and not attisdropped)`;
      const { rows } = await client.query<{ list: string }>(`select list from ${columns} c`);
      await client.query(`insert into ${DEMO_TABLE} (${rows[0]!.list}) select ${rows[0]!.list} from twin`);
      expect(await compare()).toMatchObject({ rows: ROWS + 1, differences: 1, examples: [{ kind: 'doubled', id: 9 }] });
    });
  });

  it('finds a lost insert, a lost update and a row that came back', async () => {
    await withDemo(async ({ client, truth, write, compare }) => {
      await write(() => sleep(1500));
      const written = [...truth.entries()];
      const inserted = written.find(([id, row]) => id > ROWS && row !== null)![0];
      const updated = written.find(([id, row]) => id <= ROWS && row !== null)![0];
      const deleted = written.find(([id, row]) => id <= ROWS && row === null)![0];
      await client.query(`delete from ${DEMO_TABLE} where id = $1`, [inserted]);
      await client.query(`update ${DEMO_TABLE} set counter = counter - 1 where id = $1`, [updated]);
      await client.query(
        `insert into ${DEMO_TABLE} (id, created_at, revision, account_id, kind) values ($1, now(), gen_random_uuid(), 1, 'view')`,
        [deleted],
      );
      const { differences, examples } = await compare();
      expect(differences).toBe(3);
      expect(new Set(examples.map(({ kind, id }) => `${kind} ${id}`))).toEqual(
        new Set([`missing ${inserted}`, `different ${updated}`, `extra ${deleted}`]),
      );
    });
  });

  it('counts a write as failed that did not hit its row, or was refused', async () => {
    await withDemo(async ({ client, write }) => {
      const stats = await write(async () => {
        await sleep(300);
        // Locked first: row by row, the writer's transactions of several rows could deadlock with it.
        await client.query(`begin; lock table ${DEMO_TABLE} in exclusive mode; delete from ${DEMO_TABLE} where id <= ${ROWS}; commit`);
        await sleep(300);
      });
      expect(stats.failed).toBeGreaterThan(0);
      expect(stats.failures[0]).toMatch(/^(update|document|move|delete) of id \d+ hit 0 rows$/);
    });
  });
});
