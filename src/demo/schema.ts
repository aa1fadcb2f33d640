import type { Client } from '../pg/client.ts';
import { DEMO_COLUMNS, FILLED_COLUMNS } from './columns.ts';

export const DEMO_TABLE = 'app.events';

/** Rows of one INSERT of the fill: some seconds' work, so that progress shows. */
const SLICE_ROWS = 20_000;

/** The time that the rows span, in ISO 8601. */
export interface DemoSpan {
  /** The time of row 1. */
  readonly begin: string;
  readonly end: string;
}

/** `app.events`, empty and without its secondary indexes; owned by the session's role. */
export async function createDemoTable(client: Client): Promise<void> {
  const columns = DEMO_COLUMNS.map(({ name, definition }) => `${name} ${definition}`);
  // A column that was added and dropped again leaves a hole in the attribute numbers, as in most tables of age.
  columns.splice(20, 0, 'legacy integer');
  await client.query('create schema app');
  await client.query(`create type app.event_kind as enum ('view', 'click', 'order', 'refund')`);
  await client.query(`create table ${DEMO_TABLE} (${columns.join(', ')}, primary key (id))`);
  await client.query(`alter table ${DEMO_TABLE} drop column legacy`);
  // Uncompressed and out of line from 2 kB on: the change stream does not resend such a value unless it changes.
  await client.query(`alter table ${DEMO_TABLE} alter column document set storage external`);
  await client.query(`comment on table ${DEMO_TABLE} is 'What happened, for two years'`);
}

/**
 * Fills the table with rows 1 … `rows` over all `clients` at once, then builds its indexes and statistics.
 * Rows come roughly in the order of time, as an application writes them, with up to two days of disorder.
 */
export async function fillDemoTable(
  clients: readonly Client[],
  { rows, signal, onProgress }: { rows: number; signal: AbortSignal; onProgress: (rows: number) => void },
): Promise<DemoSpan> {
  const [client] = clients;
  const { rows: limits } = await client!.query<{ begin: string; end: string }>(
    `select (now() - interval '2 years')::text as begin, now()::text as end`,
  );
  const { begin, end } = limits[0]!;
  const sql = `insert into ${DEMO_TABLE} (id, ${FILLED_COLUMNS.map(({ name }) => name).join(', ')})
    select i, ${FILLED_COLUMNS.map(({ fill }) => fill).join(', ')}
    from (
      select i, $3::timestamptz + ($4::timestamptz - $3::timestamptz - interval '2 days') * (i / $5::double precision)
        + make_interval(secs => i * 2654435761 % 172800000000 / 1000000.0) as at
      from generate_series($1::bigint, $2::bigint) i
    ) given`;
  let next = 1;
  let done = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (next <= rows && !signal.aborted) {
        const first = next;
        const last = Math.min(rows, first + SLICE_ROWS - 1);
        next = last + 1;
        await client.query(sql, [first, last, begin, end, rows]);
        done += last - first + 1;
        onProgress(done);
      }
    }),
  );
  signal.throwIfAborted();
  await client!.query(`select setval('app.events_id_seq', ${rows})`);
  await client!.query(`create index events_created_at_idx on ${DEMO_TABLE} (created_at)`);
  await client!.query(`create index events_account_idx on ${DEMO_TABLE} (account_id, created_at desc) where active`);
  await client!.query(`vacuum (analyze) ${DEMO_TABLE}`);
  // to_json prints ISO 8601 with the offset that Date.parse wants.
  const { rows: spans } = await client!.query<DemoSpan>(
    `select to_json(created_at) #>> '{}' as begin, to_json($1::timestamptz) #>> '{}' as end from ${DEMO_TABLE} where id = 1`,
    [end],
  );
  return spans[0]!;
}
