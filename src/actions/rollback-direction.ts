import { tableWord } from '../domain/command-word.ts';
import { quoteName } from '../domain/identifier.ts';
import type { LeafRange } from '../domain/leaf-map.ts';
import type { SourceTable } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import { fetchDefinition, fetchFingerprint, fetchTable } from '../pg/catalog.ts';
import type { Client } from '../pg/client.ts';
import { listLeaves, store, type Migration } from '../pg/control-store.ts';
import type { OpenWayBack } from '../pg/way-back-store.ts';
import { KEY_TABLES, keyTable } from '../plan/apply-sql.ts';
import { planLeavesBack, suspiciousLeaves } from '../plan/leaves-back.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { planSwapBack } from '../plan/swap-back.ts';
import { changedKinds } from '../plan/way-back.ts';
import { compareLeaf } from './compare-leaf.ts';
import { listCatalogLeaves, planCarriedBack, readTextBack } from './plan-carried-back.ts';
import { refuseUncarried } from './plan-carried.ts';
import type { SwapDirection } from './swap-direction.ts';

/** From the partitioned table back to the un-partitioned one, which the stream of the way back has kept exact. */
export function rollbackDirection(
  parent: Migration & { readonly plan: MigrationPlan },
  wayBack: OpenWayBack,
  /** Resolves when the retired table has everything that was committed before the call. */
  caughtUp: () => Promise<void>,
): SwapDirection {
  const { source, plan } = parent;
  const { facts, sourceOid } = wayBack;
  let added: readonly LeafRange[] = [];
  return {
    verb: 'rollback',
    retires: plan.target,
    altered: () => alteredSince(quoteName(source), ['table']),
    plan: async (client) => {
      const partitioned = await fetchPartitioned(client, parent, wayBack);
      await refuseAltered(client, quoteName(source), sourceOid, facts.partitionedParts);
      await refuseAltered(client, quoteName(plan.retired), facts.table.oid, facts.retiredParts);
      const leaves = await listCatalogLeaves(client, sourceOid);
      const { kind } = plan.partitionKey;
      const foreignKeys = new Set(facts.attachments.foreignKeys.filter(({ isOut }) => isOut).map(({ name }) => name));
      added = planLeavesBack(await listLeaves(client, parent.id), leaves, {
        schema: source.schema,
        kind,
        table: quoteName(source),
        foreignKeys,
      });
      for (const leaf of suspiciousLeaves(facts.leafFiles, leaves)) await compareLeaf(client, wayBack, leaf, caughtUp);
      const carried = await planCarriedBack(client, partitioned, wayBack, parent, leaves);
      refuseUncarried(carried, source, { verb: 'taken back', detail: 'nothing was switched' });
      return {
        swap: planSwapBack(facts.table, plan, carried),
        materializedViews: carried.materializedViews,
        isStill: async (locker) => (await readTextBack(locker, wayBack)) === carried.text,
      };
    },
    record: async (locker, receipt, { after }) => {
      // The way back ends where the cutover began, or not at all.
      if ((await fetchFingerprint(locker, facts.table.oid)) !== parent.fingerprint) {
        const { parts } = await fetchDefinition(locker, facts.table.oid);
        throw alteredSince(quoteName(source), changedKinds(facts.tableParts, parts));
      }
      await store(locker, 'rollback/switch-back', [parent.id, JSON.stringify(receipt)]);
      await store(locker, 'store/add-history', [parent.id, 'rolled back', JSON.stringify(receipt)]);
      await store(locker, 'rollback/forget-after-steps', [parent.id]);
      await store(locker, 'cutover/insert-after-steps', [parent.id, JSON.stringify(after)]);
      await store(locker, 'rollback/close', [wayBack.id, 'done', null]);
      await startForward(locker, parent.id, added);
    },
  };
}

/** The stream of the cutover's direction begins anew, with every unit live, at a position of this transaction. */
async function startForward(locker: Client, id: number, added: readonly LeafRange[]): Promise<void> {
  for (const { leaf, unit, name, lower, upper } of added) {
    await store(locker, 'store/insert-unit', [id, unit, 'live', 'live', unit, 0, 0]);
    await store(locker, 'store/insert-leaf', [id, leaf, unit, name, lower?.toString() ?? null, upper?.toString() ?? null]);
  }
  for (const kind of KEY_TABLES) await locker.query(`delete from ${quoteName(keyTable(kind, id))}`);
  await store(locker, 'rollback/start-position', [id]);
}

async function fetchPartitioned(client: Client, { source }: Migration, { sourceOid }: OpenWayBack): Promise<SourceTable> {
  const table = await fetchTable(client, source);
  if (table?.oid !== sourceOid) {
    throw new MigratorError('SOURCE_CHANGED', `${quoteName(source)} is no longer the table that took over at the cutover`, {
      detail: 'nothing was switched',
      hint: `partitioner finish ${tableWord(source)}`,
    });
  }
  return table;
}

async function refuseAltered(client: Client, name: string, oid: number, before: readonly string[]): Promise<void> {
  const { parts } = await fetchDefinition(client, oid);
  const kinds = changedKinds(before, parts);
  if (kinds.length > 0) throw alteredSince(name, kinds);
}

function alteredSince(name: string, kinds: readonly string[]): MigratorError {
  return new MigratorError(
    'SOURCE_CHANGED',
    `the definition of ${name} has changed since the cutover (${kinds.join(', ')}): the switch back would lose that`,
    {
      detail: 'nothing was switched; privileges, storage parameters and row security belong to "table"',
      hint: 'take the change back; it can be made again after the rollback, and start makes the target anew with it',
    },
  );
}
