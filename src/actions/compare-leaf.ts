import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import type { Client } from '../pg/client.ts';
import type { OpenWayBack } from '../pg/way-back-store.ts';
import { compareLeafSql } from '../plan/compare-leaf-sql.ts';
import { parseBound, type CatalogLeaf } from '../plan/leaves-back.ts';

const MOST_KEYS = 1_000;
const ROUNDS = 100;

/**
 * Throws DIFFERENCE when the leaf and the retired table have not the same keys in its bound: rows came or went that were not sent. What
 * differs may be behind the stream, so it counts only if it still does when the stream has passed what was committed.
 */
export async function compareLeaf(client: Client, { plan }: OpenWayBack, leaf: CatalogLeaf, caughtUp: () => Promise<void>): Promise<void> {
  const bounds = parseBound(leaf.bound, plan.partitionKey.kind);
  if (!bounds) return; // refused by its bounds
  const sql = compareLeafSql(plan, leaf, bounds, MOST_KEYS);
  for (let round = 0; round < ROUNDS; round++) {
    const differing = await listKeys(client, sql, null);
    if (differing.length === 0) return;
    await caughtUp();
    const still = await listKeys(client, sql, differing);
    if (still.length === 0) continue;
    throw new MigratorError(
      'DIFFERENCE',
      `partition ${quoteName(leaf)} and the un-partitioned table differ in ${still.length === MOST_KEYS ? 'at least ' : ''}${still.length} keys`,
      {
        detail: 'it was attached with rows in it, or truncated by its own name: neither is sent to the way back; nothing was switched',
        hint: 'without these rows there is no way back; partitioner finish ends it',
      },
    );
  }
}

async function listKeys(client: Client, sql: string, among: readonly string[] | null): Promise<string[]> {
  const { rows } = await client.query<{ key: string }>(sql, [among]);
  return rows.map(({ key }) => key);
}
