import { tableWord } from '../domain/command-word.ts';
import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import { fetchAttachments } from '../pg/attachments.ts';
import type { Client } from '../pg/client.ts';
import { listLeaves, store, type Migration } from '../pg/control-store.ts';
import { leafNames } from '../plan/attachments/plan-attachments.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { looksAltered } from '../plan/row-layout.ts';
import { planSwap } from '../plan/swap.ts';
import { assertTarget } from './assert-target.ts';
import { planCarried, refuseUncarried, type CarriedNow } from './plan-carried.ts';
import type { SwapDirection } from './swap-direction.ts';
import { beforeWayBack, openWayBack, type PreparedWayBack } from './way-back.ts';

/**
 * From the un-partitioned table to the partitioned one. What hangs on the table is planned as it is now, not as it was when the migration
 * began: a trigger or a view that came meanwhile is carried like the others.
 */
export function cutoverDirection(
  migration: Migration & { readonly plan: MigrationPlan },
  table: SourceTable,
  wayBack: PreparedWayBack | null,
): SwapDirection {
  const { id, plan, source, options } = migration;
  let carried: CarriedNow | null = null;
  let tableParts: readonly string[] = [];
  return {
    verb: 'cutover',
    retires: plan.retired,
    altered: () => looksAltered(plan, 'found under the cutover lock'),
    plan: async (client) => {
      await refuseUnfinished(client, migration);
      await assertTarget(client, migration);
      const leaves = leafNames(
        plan,
        (await listLeaves(client, id)).map(({ name }) => name),
      );
      const now = (carried = await planCarried(client, table, { options, id, leaves }));
      refuseUncarried(now, source, { verb: 'carried', detail: 'it came after the migration had begun; nothing was switched' });
      if (wayBack) tableParts = await beforeWayBack(client, migration);
      return {
        swap: planSwap(table, plan, now, wayBack?.id ?? null),
        materializedViews: now.materializedViews,
        isStill: (locker) => isAsPlanned(locker, migration, now.text, leaves),
      };
    },
    record: async (locker, receipt, { after }) => {
      await store(locker, 'cutover/switch-migration', [id, JSON.stringify(receipt)]);
      await store(locker, 'store/add-history', [id, 'switched', JSON.stringify(receipt)]);
      await store(locker, 'rollback/forget-after-steps', [id]);
      await store(locker, 'cutover/insert-after-steps', [id, JSON.stringify(after)]);
      if (wayBack) {
        const { attachments } = carried!;
        await openWayBack(locker, wayBack, migration, { table, tableParts, attachments, decisions: options.decisions ?? {} });
      }
    },
  };
}

/** After a rollback the foreign keys are validated; a cutover in between would take them over as NOT VALID for good. */
async function refuseUnfinished(client: Client, { id, source }: Migration): Promise<void> {
  const [step] = await store(client, 'cutover/next-after-step', [id]);
  if (!step) return;
  throw new MigratorError(
    'LAG_TOO_HIGH',
    `what was left to do after the rollback of ${quoteName(source)} is not done yet: ${String(step.object)}`,
    {
      hint: `partitioner status ${tableWord(source)} --watch, and again when it is done`,
    },
  );
}

/** Under the lock: nothing was hung on the table since, and the stream made no leaf that the swap does not know. */
async function isAsPlanned(locker: Client, migration: Migration, text: string, leaves: readonly QualifiedName[]): Promise<boolean> {
  const known = new Set(leaves.map(({ name }) => name));
  const isKnown = (await listLeaves(locker, migration.id)).every(({ name }) => known.has(name));
  return isKnown && (await fetchAttachments(locker, migration.sourceOid)).text === text;
}
