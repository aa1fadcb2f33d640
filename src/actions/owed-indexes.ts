import type { LeafRange } from '../domain/leaf-map.ts';
import type { SourceTable } from '../domain/table.ts';
import type { Client } from '../pg/client.ts';
import { listExistingNames } from '../pg/key-facts.ts';
import { owedIndexes } from '../plan/follow/indexes.ts';
import { createIndexSql } from '../plan/index-sql.ts';
import { leafIndexNames } from '../plan/leaf.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { targetObjectName } from '../plan/names.ts';
import { loadSql } from '../sql/load.ts';

type Owed = ReturnType<typeof owedIndexes>;

/** The indexes that came to the source while it was migrated, and are not on the target. */
export async function listOwedIndexes(client: Client, id: number, plan: MigrationPlan, table: SourceTable): Promise<Owed> {
  if (plan.wayBackOf !== undefined) return [];
  const names = table.indexes.map((_, position) => targetObjectName(id, 'i', position));
  return owedIndexes(table, id, new Set(await listExistingNames(client, plan.target.schema, names)));
}

/**
 * Builds what is owed: leaf by leaf, which stops the stream's writes to that leaf for as long as it takes, then on the target, which finds those of the
 * leaves. Every leaf is live. Safe to repeat.
 */
export async function buildOwedIndexes(
  client: Client,
  owed: Owed,
  { plan, table, leaves }: { readonly plan: MigrationPlan; readonly table: SourceTable; readonly leaves: readonly LeafRange[] },
): Promise<void> {
  const { schema } = plan.target;
  for (const { index, name } of owed) {
    for (const leaf of leaves) {
      const made = leafIndexNames(table, leaf.name).get(index.name)!;
      const { rows } = await client.query<{ is_valid: boolean }>(loadSql('backfill/index-state'), [schema, made]);
      if (rows[0]?.is_valid !== true) await client.query(createIndexSql(index, made, { schema, name: leaf.name }, plan.partitionKey.name));
    }
    await client.query(createIndexSql(index, name, plan.target, plan.partitionKey.name));
  }
}
