import type { QualifiedName } from '../domain/identifier.ts';
import type { KeyRange, Look } from '../plan/preflight/partition-column.ts';
import { bindIdentifiers, loadSql } from '../sql/load.ts';
import { inTransaction, sqlState, type Client } from './client.ts';

const QUERY_CANCELED = '57014';

/** Looks into the rows for at most `seconds`: with an index on the column it takes a moment, without one it is a pass over the table. */
export async function lookForNull(client: Client, source: QualifiedName, key: string, seconds: number): Promise<Look> {
  const rows = await bounded<{ found: boolean }>(client, bindIdentifiers(loadSql('backfill/null-key'), { source, key }), seconds);
  if (rows === null) return 'unknown';
  return rows[0]!.found ? 'found' : 'none';
}

/** The range of the partition key's values; that of the statistics when reading the rows takes longer than `seconds`. */
export async function lookForRange(client: Client, { schema, name }: QualifiedName, key: string, seconds: number): Promise<KeyRange> {
  const extent = await bounded<{ min: string | null; max: string | null }>(
    client,
    bindIdentifiers(loadSql('catalog/key-extent'), { source: { schema, name }, key }),
    seconds,
  );
  if (extent !== null) return { lowest: extent[0]!.min, highest: extent[0]!.max, from: 'rows', hasInfinity: false };
  const { rows } = await client.query<{ common_values: string[] | null; histogram: string[] | null }>({
    text: loadSql('catalog/key-facts'),
    values: [schema, name, key],
  });
  if (rows[0] === undefined) return { lowest: null, highest: null, from: 'nothing', hasInfinity: false };
  const common = rows[0].common_values ?? [];
  const histogram = rows[0].histogram ?? [];
  return {
    lowest: histogram[0] ?? null,
    highest: histogram.at(-1) ?? null,
    from: 'statistics',
    hasInfinity: common.includes('infinity') || common.includes('-infinity'),
  };
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
