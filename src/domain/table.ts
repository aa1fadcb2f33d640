import type { QualifiedName } from './identifier.ts';

/**
 * How a value travels from the WAL and from COPY: `binary` is the type's send/receive form,
 * `text` its output form, for types that lack one (or hold one that does).
 */
export type WireFormat = 'binary' | 'text';

/** A column as the catalog describes it (pg_attribute and what hangs on it). Dropped columns are left out. */
export interface Column {
  readonly name: string;
  readonly attnum: number;
  /** format_type(atttypid, atttypmod): `character varying(40)`. */
  readonly type: string;
  readonly typeOid: number;
  /** pg_attribute.atttypmod, -1 when the type has none. */
  readonly typmod: number;
  readonly notNull: boolean;
  /** pg_get_expr of the default, or of a generated column's expression. */
  readonly defaultExpression: string | null;
  /** '' none, 's' stored, 'v' virtual (18 and newer). */
  readonly generated: '' | 's' | 'v';
  /** '' none, 'a' always, 'd' by default. */
  readonly identity: '' | 'a' | 'd';
  readonly wire: WireFormat;
  /** pg_attribute.attstattarget when set, else null. */
  readonly statisticsTarget: number | null;
  /** pg_attribute.attoptions, e.g. `n_distinct=-0.5`. */
  readonly options: readonly string[];
  readonly comment: string | null;
  /** aclexplode of attacl. */
  readonly grants: readonly Grant[];
  /** Sequence owned by the column (serial) or behind its identity. */
  readonly sequence: OwnedSequence | null;
  /** Further sequences that ALTER SEQUENCE … OWNED BY has given to the column. */
  readonly otherSequences: readonly OwnedSequence[];
}

export interface OwnedSequence extends QualifiedName {
  readonly oid: number;
  /** 'a' owned (serial), 'i' internal (identity): pg_depend.deptype. */
  readonly dependency: 'a' | 'i';
  /** `start with 1 increment by 1 minvalue 1 maxvalue 2147483647 cache 1 no cycle`. */
  readonly definition: string;
  /** Without the owner's own. */
  readonly grants: readonly Grant[];
  readonly comment: string | null;
}

export interface Grant {
  /** Role name, or null for PUBLIC. */
  readonly grantee: string | null;
  readonly grantor: string;
  readonly privilege: string;
  readonly grantable: boolean;
}

/** Widened by the partition key, kept on each leaf alone, or not carried. */
export type UniqueChoice = 'widen' | 'per-leaf' | 'drop';

/** An index, with the constraint it serves when there is one. */
export interface Index extends QualifiedName {
  readonly oid: number;
  readonly accessMethod: string;
  readonly isUnique: boolean;
  readonly isPrimary: boolean;
  readonly isValid: boolean;
  readonly isClustered: boolean;
  readonly isReplicaIdentity: boolean;
  /** Plain columns of the key, in order; null stands for an expression. INCLUDE columns are not among them. */
  readonly keyColumns: readonly (string | null)[];
  readonly includedColumns: readonly string[];
  readonly nullsNotDistinct: boolean;
  /** What pg_get_indexdef prints from `USING` on, without TABLESPACE: access method, keys with collation and opclass, INCLUDE, WITH, WHERE. */
  readonly definitionTail: string;
  /** The tail in its parts, because TABLESPACE stands before WHERE: up to INCLUDE and NULLS NOT DISTINCT … */
  readonly definitionKeys: string;
  /** … pg_class.reloptions: `fillfactor=70` … */
  readonly options: readonly string[];
  /** … and the condition of a partial index. */
  readonly predicate: string | null;
  readonly tablespace: string | null;
  readonly comment: string | null;
  /** ALTER INDEX … ALTER COLUMN n SET STATISTICS: [column number, target]. */
  readonly statistics: readonly (readonly [number, number])[];
  /** An expression or the condition names the row as a whole, and so the type of this table. */
  readonly wholeRow?: boolean;
  /** What was decided of a unique index that lacks the partition key; absent where it stays as it is. */
  readonly uniqueness?: UniqueChoice;
  readonly constraint: {
    readonly name: string;
    readonly type: 'p' | 'u' | 'x';
    readonly deferrable: boolean;
    readonly deferred: boolean;
    readonly comment: string | null;
  } | null;
}

/** CREATE STATISTICS. */
export interface ExtendedStatistics extends QualifiedName {
  /** Empty for statistics on one expression alone. */
  readonly kinds: readonly ('ndistinct' | 'dependencies' | 'mcv')[];
  /** `a, b, (lower(c))`. */
  readonly on: string;
  readonly target: number | null;
  readonly comment: string | null;
  readonly owner: string;
  readonly mayAlter: boolean;
}

export interface CheckConstraint {
  readonly name: string;
  /** pg_get_constraintdef: `CHECK ((amount > 0))`, with NOT VALID and NO INHERIT as they are. */
  readonly definition: string;
  readonly validated: boolean;
  readonly noInherit: boolean;
  readonly comment: string | null;
}

/** The source table's definition: everything the target is built from. */
export interface SourceTable extends QualifiedName {
  readonly oid: number;
  readonly owner: string;
  /** The role that reads this and will make the target. */
  readonly sessionRole: string;
  /** pg_class.relkind. */
  readonly kind: string;
  readonly persistence: 'p' | 'u' | 't';
  readonly accessMethod: string;
  readonly tablespace: string | null;
  /** pg_class.relreplident: d default, f full, i index, n nothing. */
  readonly replicaIdentity: 'd' | 'f' | 'i' | 'n';
  /** pg_class.reloptions, and the TOAST table's with the prefix `toast.`. */
  readonly options: readonly string[];
  readonly columns: readonly Column[];
  /** Whether the stream and COPY can carry values in binary form: false when a type hides one without send or receive. Then every column's wire is text. */
  readonly binary: boolean;
  readonly indexes: readonly Index[];
  readonly checks: readonly CheckConstraint[];
  readonly statistics: readonly ExtendedStatistics[];
  /** pg_class.relrowsecurity */
  readonly rowSecurity: boolean;
  /** pg_class.relforcerowsecurity: for the owner too. */
  readonly rowSecurityForced: boolean;
  /** NOT NULL constraints that have a comment (18 and newer). */
  readonly notNullComments: readonly { readonly name: string; readonly comment: string }[];
  /** aclexplode of relacl, or of its default: the owner's own are among them. */
  readonly grants: readonly Grant[];
  /** What GRANT … ON TYPE and COMMENT ON TYPE have set on the row type; privileges are null where nothing has. */
  readonly rowType: { readonly grants: readonly Grant[] | null; readonly comment: string | null };
  /** Roles that ours may act as (SET ROLE), to grant in their name. */
  readonly settableRoles: readonly string[];
  /** Privileges that the owner has revoked from itself. */
  readonly ownerLacks: readonly string[];
  /** Whom ALTER DEFAULT PRIVILEGES (of the session's role or the owner) would let into new tables and sequences; null is PUBLIC. */
  readonly defaultGrantees: readonly { readonly kind: 'table' | 'sequence'; readonly grantee: string | null }[];
  readonly comment: string | null;
  /** pg_class.reltuples and pg_table_size, for estimates. */
  readonly rowsEstimated: number;
  readonly bytes: number;
  readonly blocks: number;
}
