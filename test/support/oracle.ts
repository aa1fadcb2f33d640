import { quoteIdent, quoteName, type QualifiedName } from '../../src/domain/identifier.ts';
import type { Client } from '../../src/pg/client.ts';

/**
 * How many rows of either table the other does not have, by EXCEPT ALL both ways: a row too many counts too.
 * Rows are compared as text, so that types without equality (json, xml, point) take part. Without a list: all columns of `a`, generated ones too.
 */
export async function differences(client: Client, a: QualifiedName, b: QualifiedName, columns?: readonly string[]): Promise<number> {
  const names = columns ?? (await listColumns(client, a));
  const rows = (table: QualifiedName): string =>
    `select row(${names.map((name) => `t.${quoteIdent(name)}`).join(', ')})::text as line from ${quoteName(table)} t`;
  const { rows: counted } = await client.query<{ differences: number }>(
    `select ((select count(*) from (${rows(a)} except all ${rows(b)}) x) + (select count(*) from (${rows(b)} except all ${rows(a)}) y))::int as differences`,
  );
  return counted[0]!.differences;
}

/** Some of the rows that differ, for a message. `side` is the table that has the row. */
export async function differingRows(
  client: Client,
  a: QualifiedName,
  b: QualifiedName,
  columns?: readonly string[],
  limit = 10,
): Promise<{ side: string; line: string }[]> {
  const names = columns ?? (await listColumns(client, a));
  const rows = (table: QualifiedName): string =>
    `select row(${names.map((name) => `t.${quoteIdent(name)}`).join(', ')})::text as line from ${quoteName(table)} t`;
  const { rows: found } = await client.query<{ side: string; line: string }>(
    `(select 'a' as side, x.line from (${rows(a)} except all ${rows(b)}) x limit ${String(limit)})
     union all (select 'b', y.line from (${rows(b)} except all ${rows(a)}) y limit ${String(limit)})`,
  );
  return found;
}

async function listColumns(client: Client, { schema, name }: QualifiedName): Promise<string[]> {
  const { rows } = await client.query<{ attname: string }>(
    `select attname from pg_attribute where attrelid = (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2)
       and attnum > 0 and not attisdropped order by attnum`,
    [schema, name],
  );
  if (rows.length === 0) throw new Error(`no such table: ${schema}.${name}`);
  return rows.map((row) => row.attname);
}

export interface Leftovers {
  readonly slots: string[];
  readonly publications: string[];
  readonly schemas: string[];
  readonly tables: string[];
  readonly sessions: string[];
}

/** Everything that a migration makes besides its target; after `finish` and `abort` all lists are empty. */
export async function leftovers(client: Client): Promise<Leftovers> {
  const { rows } = await client.query<Leftovers>(`
    select
      array(select slot_name::text from pg_replication_slots where database = current_database() order by 1) as slots,
      array(select pubname::text from pg_publication where pubname like 'partitioner%' order by 1) as publications,
      array(select nspname::text from pg_namespace where nspname = 'partitioner') as schemas,
      array(select relnamespace::regnamespace::text || '.' || relname from pg_class where relname like 'partitioner\\_%' and relkind in ('r', 'p') order by 1) as tables,
      array(select application_name from pg_stat_activity where datname = current_database() and application_name like 'partitioner%' order by 1) as sessions`);
  return rows[0]!;
}

export const NO_LEFTOVERS: Leftovers = { slots: [], publications: [], schemas: [], tables: [], sessions: [] };
