import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import { keyLiteral, type KeyKind } from '../domain/partition-key.ts';
import type { LeafRange } from '../domain/leaf-map.ts';
import type { DdlStep, MigrationPlan } from './migration-plan.ts';

/**
 * The parent that routes the chunks of a whole-table unit into its leaves. The target itself cannot: its partitions are
 * the live leaves, and attaching a leaf to it would build the leaf's indexes before the load.
 */
export function stagingName(plan: MigrationPlan, id: number): QualifiedName {
  return { schema: plan.source.schema, name: `partitioner_${id}_staging` };
}

export function planStaging(plan: MigrationPlan, id: number, leaves: readonly LeafRange[]): DdlStep[] {
  const staging = quoteName(stagingName(plan, id));
  return [
    {
      sql: `create table ${staging} (like ${quoteName(plan.source)} including generated including storage including compression) partition by range (${quoteIdent(plan.partitionKey.name)})`,
      lock: 'none',
      why: 'routes the rows of block ranges into their leaves while these have no index',
    },
    ...leaves.map(({ name, lower, upper }) => ({
      sql: `alter table ${staging} attach partition ${quoteName({ schema: plan.source.schema, name })} for values from (${bound(plan.partitionKey.kind, lower, 'minvalue')}) to (${bound(plan.partitionKey.kind, upper, 'maxvalue')})`,
      lock: 'none',
      why: 'the leaf is empty and ours',
    })),
  ];
}

/** Hands the leaves over from the staging parent to the target. */
export function planUnstage(
  plan: MigrationPlan,
  id: number,
  leaves: readonly LeafRange[],
  attach: (leaf: LeafRange) => readonly DdlStep[],
): DdlStep[] {
  const staging = quoteName(stagingName(plan, id));
  return [
    ...leaves.flatMap((leaf) => [
      {
        sql: `alter table ${staging} detach partition ${quoteName({ schema: plan.source.schema, name: leaf.name })}`,
        lock: 'none',
        why: 'the load is over',
      },
      ...attach(leaf),
    ]),
    { sql: `drop table ${staging}`, lock: 'none', why: 'it routes no more' },
  ];
}

function bound(kind: KeyKind, value: bigint | null, open: string): string {
  return value === null ? open : keyLiteral(kind, value);
}
