import type { QualifiedName } from '../domain/identifier.ts';
import { formatKeyText } from '../domain/key-text.ts';
import { parseKeyText, type KeyKind } from '../domain/partition-key.ts';
import type { KeyStatistics } from '../plan/key-distribution.ts';
import { bindIdentifiers, loadSql } from '../sql/load.ts';
import type { Client } from './client.ts';

/** Least and greatest value of a column, null in an empty table, and the server's time. */
export async function fetchKeyExtent(
  client: Client,
  source: QualifiedName,
  key: string,
): Promise<{ min: string | null; max: string | null; now: string }> {
  const { rows } = await client.query<{ min: string | null; max: string | null; now: string }>(
    bindIdentifiers(loadSql('catalog/key-extent'), { source, key }),
  );
  return rows[0]!;
}

/** What ANALYZE has found out about a partition key; null when it has not run. */
export async function fetchKeyStatistics(client: Client, source: QualifiedName, key: string, kind: KeyKind): Promise<KeyStatistics | null> {
  const { rows } = await client.query<StatisticsRow>(loadSql('catalog/key-statistics'), [source.schema, source.name, key]);
  const row = rows[0];
  if (!row) return null;
  const common = row.common_values ?? [];
  return {
    correlation: row.correlation,
    common: common.map((value, i) => ({ value: parseKeyText(kind, value), frequency: row.common_frequencies?.[i] ?? 0 })),
    histogram: (row.histogram ?? []).map((bound) => parseKeyText(kind, bound)),
  };
}

interface StatisticsRow {
  readonly correlation: number | null;
  readonly common_values: string[] | null;
  readonly common_frequencies: number[] | null;
  readonly histogram: string[] | null;
}

/** Which ranges of the partition key hold rows, by one probe of the index each. */
export async function fetchOccupied(
  client: Client,
  source: QualifiedName,
  key: string,
  kind: KeyKind,
  ranges: readonly { readonly lower: bigint; readonly upper: bigint }[],
): Promise<boolean[]> {
  const sql = bindIdentifiers(loadSql('catalog/occupied-ranges'), { source, key, type: kind });
  const values = [ranges.map(({ lower }) => formatKeyText(kind, lower)), ranges.map(({ upper }) => formatKeyText(kind, upper))];
  const { rows } = await client.query<{ occupied: boolean }>(sql, values);
  return rows.map(({ occupied }) => occupied);
}

/** Which of the names (at most ten) belong to a relation of the schema. */
export async function listExistingNames(client: Client, schema: string, names: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(loadSql('catalog/existing-names'), [schema, names]);
  return rows.map(({ name }) => name);
}
