import type { Attachments } from '../domain/attachments.ts';
import type { SourceTable } from '../domain/table.ts';
import type { Decisions } from './decisions.ts';
import type { MigrationPlan } from './migration-plan.ts';

/** What the switch back restores: read in the cutover, kept in partitioner.migration.way_back. */
export interface WayBackFacts {
  /** The un-partitioned table before the cutover. */
  readonly table: SourceTable;
  /** Its definition (fetchDefinition) before the cutover, and those of both tables right after it. */
  readonly tableParts: readonly string[];
  readonly partitionedParts: readonly string[];
  readonly retiredParts: readonly string[];
  /** What hung on the un-partitioned table. */
  readonly attachments: Attachments;
  readonly decisions: Decisions;
  /** The file of each leaf, by its oid: see suspiciousLeaves. */
  readonly leafFiles: Readonly<Record<string, string | null>>;
}

/**
 * The stream of the way back as a plan of its own: source and target exchanged, one leaf that is live from the beginning. Rows are told by
 * the partitioned table's primary key, which is the other one's with the partition key.
 */
export function planWayBack(
  plan: MigrationPlan,
  of: { readonly id: number; readonly sourceOid: number; readonly slotName: string; readonly publicationName: string },
): MigrationPlan {
  const { column } = plan.partitionKey;
  return {
    ...plan,
    sourceOid: of.sourceOid,
    target: plan.retired,
    retired: plan.target,
    slotName: of.slotName,
    publicationName: of.publicationName,
    wayBackOf: of.id,
    key: plan.key.includes(column) ? plan.key : [...plan.key, column],
    createTarget: [],
    leaves: [],
    units: [],
  };
}

/** The kinds of parts that differ between two definitions: `index`, `table` … */
export function changedKinds(before: readonly string[], after: readonly string[]): string[] {
  const differing = [...before.filter((part) => !after.includes(part)), ...after.filter((part) => !before.includes(part))];
  return [...new Set(differing.map((part) => part.slice(0, part.indexOf(' '))))].sort();
}
