import { quoteIdent, quoteName } from '../domain/identifier.ts';
import { parseKeyText } from '../domain/partition-key.ts';
import type { Client } from '../pg/client.ts';
import type { ChunkRange } from '../pg/control-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { intervalPredicate, type KeyInterval } from '../plan/resync-sql.ts';
import { loadSql } from '../sql/load.ts';

/**
 * Where a chunk of key values is cut so that about `rows` rows come before; null when it has no more. Rows of one value stay together.
 * Chunks are disjoint and cover their unit however they are cut, and each has a snapshot of its own: no rule knows of a cut.
 */
export async function cutByRows(
  client: Client,
  plan: MigrationPlan,
  extent: KeyInterval,
  { lower, upper }: ChunkRange,
  rows: number,
): Promise<bigint | null> {
  const key = quoteIdent(plan.partitionKey.name);
  const from = `from only ${quoteName(plan.source)} where ${intervalPredicate(key, plan, [{ lower: lower ?? extent.lower, upper: upper ?? extent.upper }])}`;
  const { rows: found } = await client.query<{ value: string | null }>(
    `select coalesce((select f.value where exists (select ${from} and ${key} < f.value)), (select min(${key}) ${from} and ${key} > f.value))::text as value ` +
      `from (select ${key} as value ${from} order by ${key} offset ${rows} limit 1) f`,
  );
  const value = found[0]?.value ?? null;
  return value === null ? null : parseKeyText(plan.partitionKey.kind, value);
}

/** The same of a chunk of blocks; null when it is hardly longer than that. */
export async function cutByBlocks(
  client: Client,
  { source }: MigrationPlan,
  { lower, upper }: ChunkRange,
  blocks: number,
  worth: number,
): Promise<bigint | null> {
  const begin = lower ?? 0n;
  const end = upper ?? BigInt(await fetchBlocks(client, quoteName(source)));
  return Number(end - begin) > blocks * worth ? begin + BigInt(blocks) : null;
}

async function fetchBlocks(client: Client, source: string): Promise<number> {
  const { rows } = await client.query<{ blocks: string }>(loadSql('backfill/count-blocks'), [source]);
  return Number(rows[0]!.blocks);
}
