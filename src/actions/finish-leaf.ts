import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import { parseLsn } from '../domain/lsn.ts';
import type { LeafRange } from '../domain/leaf-map.ts';
import { invariant } from '../errors.ts';
import { inTransaction, type Client } from '../pg/client.ts';
import { readSettledPosition, store } from '../pg/control-store.ts';
import type { FinishStep } from '../plan/migration-plan.ts';
import type { ResyncSql } from '../plan/resync-sql.ts';
import { loadSql } from '../sql/load.ts';

/**
 * Rule 3: deletes every touched key from the unit's leaves, which have no index yet (one hash join). What is left was
 * copied exactly once. The caller has waited until the applied position passed the unit's last snapshot.
 */
export async function purgeUnit(
  client: Client,
  migrationId: number,
  unit: number,
  from: QualifiedName,
  resync: ResyncSql,
): Promise<number> {
  return inTransaction(
    client,
    async () => {
      const { lsn } = await readSettledPosition(client, migrationId);
      const [row] = (await store(client, 'backfill/unit-snapshot-lsn', [migrationId, unit])) as { lsn: string | null }[];
      invariant(row?.lsn == null || parseLsn(row.lsn) <= lsn, `unit ${unit} is purged before the stream has passed its last chunk`);
      const purged = await client.query(resync.purge(from), [unit]);
      await store(client, 'store/set-unit-state', [migrationId, unit, 'loading', 'index']);
      return purged.rowCount ?? 0;
    },
    'begin isolation level repeatable read',
  );
}

/**
 * Builds what a loaded leaf lacks: primary key, indexes, replica identity, then freezes and analyzes it. Every step may be repeated.
 *
 * @param unpaused resolves when the next step may begin: a build that runs is not held.
 */
export async function finishLeaf(
  client: Client,
  schema: string,
  leaf: LeafRange,
  steps: readonly FinishStep[],
  unpaused: () => Promise<void>,
): Promise<void> {
  for (const step of steps) {
    const isMade = async (): Promise<boolean> => {
      if (step.makes === null) return false;
      const { rows } = await client.query<{ is_valid: boolean }>(loadSql('backfill/index-state'), [schema, step.makes]);
      return rows[0]?.is_valid === true;
    };
    if (await isMade()) continue;
    await unpaused();
    try {
      await client.query(step.sql);
    } catch (error) {
      // A daemon that was killed leaves its statement running on the server: it may have been built while we waited for the same name.
      if (!(await isMade().catch(() => false))) throw error;
    }
  }
  await unpaused();
  await client.query(`vacuum (freeze, analyze) ${quoteName({ schema, name: leaf.name })}`);
}
