import type { QualifiedName } from './identifier.ts';
import type { Grant } from './table.ts';

/*
 * What hangs on a table without being a part of it, as the catalog has it. Definitions are PostgreSQL's own text, printed with an
 * empty search path: every name in them is qualified, so that the same text names the partitioned table once it has the name.
 */

export interface ForeignKey {
  readonly name: string;
  /** The referencing table. */
  readonly table: QualifiedName;
  readonly tableKind: string;
  readonly references: QualifiedName;
  readonly isOut: boolean;
  readonly isIn: boolean;
  /** pg_get_constraintdef without NOT VALID. */
  readonly definition: string;
  readonly validated: boolean;
  readonly enforced: boolean;
  /** PERIOD, of 18 and newer. */
  readonly hasPeriod: boolean;
  readonly columns: readonly string[];
  readonly referencedColumns: readonly string[];
  /** All columns of the referencing table. */
  readonly tableColumns: readonly string[];
  readonly comment: string | null;
  readonly mayAlter: boolean;
  /** LOCK TABLE of the referencing and of the referenced table. */
  readonly mayLock: boolean;
  readonly mayLockReferenced: boolean;
  /** Whether our role may reference the referenced table. */
  readonly mayReference: boolean;
}

export interface Trigger {
  readonly name: string;
  readonly table: QualifiedName;
  /** False: a constraint trigger of another table that names this one (FROM). */
  readonly isOwn: boolean;
  readonly definition: string;
  /** pg_trigger.tgenabled: O origin, D disabled, R replica, A always. */
  readonly enabled: 'O' | 'D' | 'R' | 'A';
  readonly isRow: boolean;
  readonly isBefore: boolean;
  readonly isOnUpdate: boolean;
  readonly hasTransitionTables: boolean;
  readonly routine: string;
  readonly mayExecute: boolean;
  /** The routine's body, to look for assignments in. */
  readonly source: string;
  readonly extension: string | null;
  readonly comment: string | null;
  /** Of the constraint that a constraint trigger has. */
  readonly constraintComment: string | null;
}

export interface View extends QualifiedName {
  readonly oid: string;
  readonly definition: string;
  readonly options: readonly string[];
  readonly persistence: string;
  /** Rows can be written through it. */
  readonly isWritable: boolean;
  readonly owner: string;
  readonly mayAlter: boolean;
  /** CREATE in its schema. */
  readonly mayCreate: boolean;
  /** It groups by the primary key and shows other columns: valid only as long as the key is exactly that. */
  readonly needsKey: boolean;
  readonly extension: string | null;
}

export interface MaterializedView extends QualifiedName {
  readonly oid: string;
  /** How many materialized views are between it and the table, plus one. */
  readonly depth: number;
  readonly definition: string;
  /** relispopulated: false after WITH NO DATA. */
  readonly populated: boolean;
  /** Another one after each REFRESH; after one that is CONCURRENTLY within a second or so. */
  readonly contents: string;
  readonly owner: string;
  readonly mayAlter: boolean;
  /** TEMPORARY on the database. */
  readonly ownerMayTemp: boolean;
  readonly needsKey: boolean;
  readonly extension: string | null;
  /** Columns whose storage is not their type's. */
  readonly storage: readonly { readonly name: string; readonly storage: string }[];
  readonly compression: readonly { readonly name: string; readonly compression: string }[];
}

export interface Routine {
  readonly name: string;
  /** `app.recent(integer)`, as SQL writes it. */
  readonly identity: string;
  /** pg_proc.prokind: f function, p procedure, a aggregate, w window function. */
  readonly kind: string;
  /** pg_get_functiondef; null for aggregates and window functions. */
  readonly definition: string | null;
  /** BEGIN ATOMIC or RETURN. */
  readonly hasSqlBody: boolean;
  readonly usesRowType: boolean;
  /** Its body groups by the primary key and shows other columns. */
  readonly needsKey: boolean;
  readonly isInSignature: boolean;
  readonly dependents: readonly string[];
  readonly owner: string;
  readonly mayAlter: boolean;
  readonly mayCreate: boolean;
  readonly grants: readonly Grant[];
  /** Roles that default privileges would let in besides, when it is made anew. */
  readonly defaultGrantees: readonly string[];
  readonly comment: string | null;
  readonly extension: string | null;
}

export interface Policy {
  readonly name: string;
  readonly table: QualifiedName;
  readonly isOwn: boolean;
  readonly command: 'all' | 'select' | 'insert' | 'update' | 'delete';
  readonly permissive: boolean;
  /** null is PUBLIC. */
  readonly roles: readonly (string | null)[];
  readonly using: string | null;
  readonly withCheck: string | null;
  readonly comment: string | null;
  readonly mayLock: boolean;
  readonly mayAlter: boolean;
}

export interface Rule {
  readonly name: string;
  readonly table: QualifiedName;
  readonly tableKind: string;
  /** Of the relation that it is on. */
  readonly owner: string;
  readonly isOwn: boolean;
  readonly definition: string;
  readonly enabled: 'O' | 'D' | 'R' | 'A';
  readonly comment: string | null;
  readonly mayLock: boolean;
  readonly mayAlter: boolean;
}

export interface Publication {
  readonly name: string;
  /** FOR TABLE; else the table is in it with its schema or with all tables. */
  readonly isExplicit: boolean;
  readonly isAllTables: boolean;
  /** publish_via_partition_root */
  readonly viaRoot: boolean;
  readonly columns: readonly string[] | null;
  readonly rowFilter: string | null;
  /** It has a partitioned table besides, which publishing through the root would touch too. */
  readonly hasPartitioned: boolean;
  /** It publishes updates or deletes, which are told by the replica identity. */
  readonly needsIdentity: boolean;
  readonly owner: string;
  readonly mayAlter: boolean;
}

export interface RowSecurity {
  readonly enabled: boolean;
  readonly forced: boolean;
  /** Rows are hidden from the role that migrates. */
  readonly hidesFromUs: boolean;
}

export interface Attachments {
  readonly foreignKeys: readonly ForeignKey[];
  readonly triggers: readonly Trigger[];
  readonly views: readonly View[];
  readonly materializedViews: readonly MaterializedView[];
  readonly routines: readonly Routine[];
  /** Routines whose text has the table's name: a hint. */
  readonly mentions: readonly { readonly identity: string; readonly language: string }[];
  readonly policies: readonly Policy[];
  readonly rowSecurity: RowSecurity;
  readonly rules: readonly Rule[];
  readonly publications: readonly Publication[];
}
