import type { Client } from '../src/pg/client.ts';
import { note } from './report.ts';

/** Rows go into the 26 months that end with the current one: the bounds that `--every month --premake 0` makes. */
export const MONTHS = 26;
const FIRST_MONTH = `date_trunc('month', now(), 'UTC') - interval '${MONTHS - 1} months'`;

/** Of about 220 bytes a row. */
const COLUMNS = `id bigint not null, created_at timestamptz not null, account_id integer not null, kind smallint not null,
  amount numeric(12,2) not null, session uuid not null, title varchar(60) not null, payload text not null`;

/** Values of row `i`, created at `at`. */
const VALUES = `i, at, (i * 7919 % 100000)::integer, (i % 7)::smallint, (i % 1000000) / 100.0, md5(i::text)::uuid, 'Event number ' || i, repeat(md5(i::text), 4)`;

const SLICE_ROWS = 250_000;

export async function createSource(client: Client, table: string, key: string): Promise<void> {
  await client.query('create schema if not exists app');
  await client.query(`create table ${table} (${COLUMNS}, primary key (${key}))`);
}

/** Rows 1 … `rows` in the order of time over all months, written by all `clients` at once. */
export async function fillSource(clients: readonly Client[], table: string, rows: number): Promise<void> {
  let next = 1;
  await Promise.all(
    clients.map(async (client) => {
      while (next <= rows) {
        const first = next;
        next += SLICE_ROWS;
        await client.query(
          `insert into ${table} select ${VALUES} from (
             select i, first_month + (now() - first_month) * (i / $3::double precision) as at
             from generate_series($1::bigint, $2::bigint) i, (select ${FIRST_MONTH} as first_month) m
           ) given`,
          [first, Math.min(rows, first + SLICE_ROWS - 1), rows],
        );
        note(`filled ${Math.min(rows, first + SLICE_ROWS - 1)}`);
      }
    }),
  );
}

/** `create index` for the two secondary indexes of a table. */
export function indexes(table: string): string[] {
  const name = table.replace('.', '_');
  return [`create index ${name}_created_at on ${table} (created_at)`, `create index ${name}_account on ${table} (account_id, created_at)`];
}

/** The partitioned twin, without indexes: a leaf a month. */
export async function createPartitioned(client: Client, table: string): Promise<void> {
  await client.query('create schema if not exists app');
  await client.query(`create table ${table} (${COLUMNS}) partition by range (created_at)`);
  const { rows } = await client.query<{ name: string; lower: string; upper: string }>(
    `select to_char(lower at time zone 'UTC', '"_p"YYYY_MM') as name, lower::text, (lower + interval '1 month')::text as upper
     from generate_series(${FIRST_MONTH}, now(), interval '1 month') lower`,
  );
  for (const { name, lower, upper } of rows)
    await client.query(`create table ${table}${name} partition of ${table} for values from ('${lower}') to ('${upper}')`);
}

/** An INSERT … SELECT of rows `first` to `last`, spread over all leaves. */
export function insertSpread(table: string, first = '$1::bigint', last = '$2::bigint'): string {
  return `insert into ${table} select ${VALUES} from (
    select i, first_month + (now() - first_month) * (abs(i * 2654435761 % 1000003) / 1000003.0) as at
    from generate_series(${first}, ${last}) i, (select ${FIRST_MONTH} as first_month) m
  ) given`;
}
