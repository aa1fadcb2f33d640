import type { QualifiedName } from '../domain/identifier.ts';
import type { KeyRange, Look } from '../plan/preflight/partition-column.ts';
import { bindIdentifiers, loadSql } from '../sql/load.ts';
import { inTransaction, sqlState, type Client } from './client.ts';
import { fetchKeyStatistics } from './preflight-facts.ts';

const QUERY_CANCELED = '57014';

/** Looks into the rows for at most `seconds`: with an index on the column it takes a moment, without one it is a pass over the table. */
export async function lookForNull(client: Client, source: QualifiedName, key: string, seconds: number): Promise<Look> {
  const rows = await bounded<{ found: boolean }>(client, bindIdentifiers(loadSql('backfill/null-key'), { source, key }), seconds);
  if (rows === null) return 'unknown';
  return rows[0]!.found ? 'found' : 'none';
}

/** The range of the partition key's values; of the statistics when reading the rows takes longer than `seconds`. */
export async function lookForRange(client: Client, table: QualifiedName & { readonly oid: number }, key: string, seconds: number): Promise<KeyRange> {
  const rows = await bounded<{ lowest: string | null; highest: string | null }>(
    client,
    bindIdentifiers(loadSql('preflight/key-bounds'), { source: { schema: table.schema, name: table.name }, key }),
    seconds,
  );
  if (rows !== null) return { ...rows[0]!, from: 'rows', hasInfinity: false };
  const statistics = await inTransaction(client, () => fetchKeyStatistics(client, table.oid, key), 'begin transaction read only');
  if (statistics === null) return { lowest: null, highest: null, from: 'nothing', hasInfinity: false };
  return { ...statistics, from: 'statistics' };
}

/** Null when the time was over. Without parallel workers: a look must not take the machine. */
async function bounded<Row extends object>(client: Client, sql: string, seconds: number): Promise<Row[] | null> {
  try {
    return await inTransaction(
      client,
      async () => {
        await client.query(`set local statement_timeout = ${Math.max(1, Math.round(seconds * 1000))}`);
        await client.query('set local max_parallel_workers_per_gather = 0');
        return (await client.query<Row>(sql)).rows;
      },
      'begin transaction read only',
    );
  } catch (error) {
    if (sqlState(error) === QUERY_CANCELED) return null;
    throw error;
  }
}
