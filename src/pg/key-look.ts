import type { QualifiedName } from '../domain/identifier.ts';
import { infinityOf, minusInfinityOf, type KeyKind } from '../domain/key-kind.ts';
import { formatKeyText } from '../domain/key-text.ts';
import type { KeyRange, Look } from '../plan/preflight/partition-column.ts';
import { bindIdentifiers, loadSql } from '../sql/load.ts';
import { inTransaction, sqlState, type Client } from './client.ts';
import { fetchKeyExtent, fetchKeyStatistics } from './key-facts.ts';

const QUERY_CANCELED = '57014';

/** Looks into the rows for at most `seconds`: with an index on the column it takes a moment, without one it is a pass over the table. */
export async function lookForNull(client: Client, source: QualifiedName, key: string, seconds: number): Promise<Look> {
  const sql = bindIdentifiers(loadSql('backfill/null-key'), { source, key });
  const found = await bounded(client, seconds, async () => (await client.query<{ found: boolean }>(sql)).rows[0]!.found);
  if (found === null) return 'unknown';
  return found ? 'found' : 'none';
}

/** The range of the partition key's values; that of the statistics when reading the rows takes longer than `seconds`. */
export async function lookForRange(
  client: Client,
  { schema, name }: QualifiedName,
  key: { readonly name: string; readonly kind: KeyKind },
  seconds: number,
): Promise<KeyRange> {
  const source = { schema, name };
  const extent = await bounded(client, seconds, () => fetchKeyExtent(client, source, key.name));
  if (extent !== null) return { lowest: extent.min, highest: extent.max, from: 'rows', hasInfinity: false };
  const statistics = await fetchKeyStatistics(client, source, key.name, key.kind);
  if (statistics === null) return { lowest: null, highest: null, from: 'nothing', hasInfinity: false };
  const isInfinite = (value: bigint): boolean => value === infinityOf(key.kind) || value === minusInfinityOf(key.kind);
  const common = statistics.common.map(({ value }) => value);
  const values = [...common, ...statistics.histogram].filter((value) => !isInfinite(value));
  const text = (pick: (a: bigint, b: bigint) => boolean): string | null =>
    values.length === 0
      ? null
      : formatKeyText(
          key.kind,
          values.reduce((a, b) => (pick(a, b) ? a : b)),
        );
  return { lowest: text((a, b) => a < b), highest: text((a, b) => a > b), from: 'statistics', hasInfinity: common.some(isInfinite) };
}

/** Null when the time was over. Without parallel workers: a look must not take the machine. */
export async function bounded<T>(client: Client, seconds: number, look: () => Promise<T>): Promise<T | null> {
  try {
    return await inTransaction(
      client,
      async () => {
        await client.query(`set local statement_timeout = ${Math.max(1, Math.round(seconds * 1000))}`);
        await client.query('set local max_parallel_workers_per_gather = 0');
        return await look();
      },
      'begin transaction read only',
    );
  } catch (error) {
    if (sqlState(error) === QUERY_CANCELED) return null;
    throw error;
  }
}
