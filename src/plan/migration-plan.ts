import type { QualifiedName } from '../domain/identifier.ts';
import type { KeyKind, Step } from '../domain/partition-key.ts';
import type { WireFormat } from '../domain/table.ts';

/** One DDL statement of a plan: `plan` prints it, `start` or `cutover` runs it. */
export interface DdlStep {
  readonly sql: string;
  /** The strongest lock it takes and on what: `ACCESS EXCLUSIVE on app.events`, or `none` for new objects. */
  readonly lock: string;
  readonly why: string;
}

/** A column that is copied and followed (generated columns are not). */
export interface CopiedColumn {
  readonly name: string;
  readonly type: string;
  readonly typeOid: number;
  readonly wire: WireFormat;
}

export interface PlannedLeaf {
  readonly leaf: number;
  readonly name: string;
  /** Inclusive lower bound in the partition key's unit, null for MINVALUE. Decimal text: JSON has no bigint. */
  readonly lower: string | null;
  /** Exclusive upper bound, null for MAXVALUE. */
  readonly upper: string | null;
  readonly unit: number;
  /** Steps that make the empty standalone leaf (no index, CHECK of its bound, REPLICA IDENTITY FULL). */
  readonly create: readonly DdlStep[];
  /** Steps after its load: primary key, indexes, replica identity. Each is skipped when its object exists. */
  readonly finish: readonly FinishStep[];
  /** ATTACH and dropping the CHECK: run by the applier in the transaction that makes the leaf live. */
  readonly attach: readonly DdlStep[];
}

export interface FinishStep extends DdlStep {
  /** Index that the step makes, looked up before it runs (in the source's schema); null when the step is repeatable as it is. */
  readonly makes: string | null;
}

export interface PlannedUnit {
  readonly unit: number;
  /** `leaf`: chunks are key ranges. `table`: chunks are block ranges, copied through staging leaves. `empty`: live from the start. */
  readonly kind: 'leaf' | 'table' | 'empty';
  readonly loadOrder: number;
  readonly rowsEstimated: number;
  readonly bytesEstimated: number;
  readonly chunks: readonly { readonly lower: string | null; readonly upper: string | null }[];
}

/** A column that came while the table was migrated. */
export interface AddedColumn {
  readonly name: string;
  readonly type: string;
  /** What rows have that were there before it, as text: changes that the stream brings from before it have no value. Null is NULL. */
  readonly missing: string | null;
}

/** What holds for the source's rows as they are now, and is left to the switch: the stream may still bring older ones. */
export interface LateDefinition {
  /** Names of CHECKs. */
  readonly checks: readonly string[];
  /** Columns that were set NOT NULL. */
  readonly notNull: readonly string[];
  /** Comments of indexes and their constraints have changed. */
  readonly indexComments: boolean;
  /** Set by the switch: the target has it since, also after a rollback. */
  readonly isCarried?: boolean;
}

/** Everything `start` performs, as data: kept in partitioner.migration.plan. */
export interface MigrationPlan {
  readonly source: QualifiedName;
  readonly sourceOid: number;
  /** Before the cutover; same schema. */
  readonly target: QualifiedName;
  readonly retired: QualifiedName;
  readonly slotName: string;
  readonly publicationName: string;
  /** Of a way back: the migration that it undoes. Its target is the retired table, which lets this stream alone in. */
  readonly wayBackOf?: number;
  /** In the source's column order. */
  readonly columns: readonly CopiedColumn[];
  /** Names of the generated columns: the target computes them. */
  readonly uncopied: readonly string[];
  /** Positions in `columns` of the replica identity's columns (the primary key). */
  readonly key: readonly number[];
  readonly partitionKey: { readonly column: number; readonly name: string; readonly kind: KeyKind; readonly step: Step };
  /** pgoutput's `binary` option and COPY's format: false when a column's type hides one without send/receive. */
  readonly binary: boolean;
  /** The partitioned table, its primary key and indexes (empty, so valid at once), comments, privileges. */
  readonly createTarget: readonly DdlStep[];
  readonly leaves: readonly PlannedLeaf[];
  readonly units: readonly PlannedUnit[];
  /** The last of `columns`. */
  readonly added?: readonly AddedColumn[];
  readonly late?: LateDefinition;
  /** The file of the source's rows: block ranges mean something in it alone. */
  readonly filenode?: string;
}
