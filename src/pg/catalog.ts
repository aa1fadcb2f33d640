import { MAX_IDENTIFIER_BYTES, truncateIdent, type QualifiedName } from '../domain/identifier.ts';
import type { CheckConstraint, Column, ExtendedStatistics, Index, OwnedSequence, SourceTable } from '../domain/table.ts';
import { invariant, MigratorError } from '../errors.ts';
import { loadSql } from '../sql/load.ts';
import type { Client } from './client.ts';

/** The definition of a table (or of what else has its name: see kind), null when there is none. */
export async function fetchTable(client: Client, name: QualifiedName): Promise<SourceTable | null> {
  const { rows } = await client.query<TableRow>(loadSql('catalog/table'), [name.schema, name.name]);
  const row = rows[0];
  if (!row) return null;
  const columns = await client.query<ColumnRow>(loadSql('catalog/columns'), [row.oid]);
  const indexes = await client.query<IndexRow>(loadSql('catalog/indexes'), [row.oid]);
  const statistics = await client.query<ExtendedStatistics>(loadSql('catalog/statistics'), [row.oid]);
  const constraints = await client.query<ConstraintRow>(loadSql('catalog/checks'), [row.oid]);
  const binary = columns.rows.every((column) => column.allows_binary);
  return {
    schema: row.schema,
    name: row.name,
    oid: row.oid,
    owner: row.owner,
    sessionRole: row.session_role,
    kind: row.kind,
    persistence: row.persistence,
    accessMethod: row.access_method,
    tablespace: row.tablespace,
    replicaIdentity: row.replica_identity,
    options: row.options,
    columns: columns.rows.map((column) => toColumn(column, binary)),
    binary,
    indexes: indexes.rows.map(toIndex),
    checks: constraints.rows.filter(({ type }) => type === 'c').map(toCheck),
    statistics: statistics.rows,
    rowSecurity: row.row_security,
    rowSecurityForced: row.row_security_forced,
    rowType: row.row_type ?? { grants: null, comment: null },
    notNullComments: constraints.rows.flatMap(({ type, name: constraint, comment }) =>
      type === 'n' && comment !== null ? [{ name: constraint, comment }] : [],
    ),
    grants: row.grants,
    ownerLacks: row.owner_lacks,
    settableRoles: row.settable_roles,
    defaultGrantees: row.default_grantees,
    comment: row.comment,
    rowsEstimated: Number(row.rows_estimated),
    bytes: Number(row.bytes),
    blocks: Number(row.blocks),
  };
}

/** md5 over the catalog rows that say what the table is; '' when it is gone. */
export async function fetchFingerprint(client: Client, oid: number): Promise<string> {
  return (await fetchDefinition(client, oid)).fingerprint;
}

/** The same with the rows themselves, each with its kind before it: `index (events_pkey,…)`. */
export async function fetchDefinition(
  client: Client,
  oid: number,
): Promise<{ readonly fingerprint: string; readonly parts: readonly string[] }> {
  const { rows } = await client.query<{ fingerprint: string; parts: string[] | null }>(loadSql('catalog/fingerprint'), [oid]);
  return { fingerprint: rows[0]!.fingerprint, parts: rows[0]!.parts ?? [] };
}

/**
 * The name that a person means by `app.events`, `"App"."Events"` or `events`: a bare one is looked for along the search path
 * of the role or the database, and stands for one in public when there is none. Says nothing of whether the table exists.
 */
export async function resolveTable(client: Client, text: string): Promise<QualifiedName> {
  const parts = parseNameParts(text);
  const name = parts?.at(-1);
  if (!parts || name === undefined || parts.length > 2) {
    throw new MigratorError('USAGE', `"${text}" is no table's name`, {
      hint: 'write schema.table; names with capitals or other characters in double quotes: \'"App"."Events"\'',
    });
  }
  if (parts.length === 2) return { schema: parts[0]!, name };
  const { rows } = await client.query<{ before: string }>(loadSql('catalog/set-search-path'), [null]);
  try {
    const found = await client.query<{ schema: string }>(loadSql('catalog/visible-table'), [name]);
    return { schema: found.rows[0]?.schema ?? 'public', name };
  } finally {
    await client.query(loadSql('catalog/set-search-path'), [rows[0]!.before]);
  }
}

/** Splits at dots, unquotes, folds what is not quoted to lower case as the server does; null when it is no name. */
function parseNameParts(text: string): string[] | null {
  const part = /\s*(?:"((?:[^"\0]|"")+)"|([\p{L}_][\p{L}\p{N}_$]*))\s*(\.|$)/uy;
  const parts: string[] = [];
  for (;;) {
    const match = part.exec(text);
    if (!match) return null;
    const name = match[1] === undefined ? match[2]!.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : match[1].replaceAll('""', '"');
    parts.push(truncateIdent(name, MAX_IDENTIFIER_BYTES));
    if (match[3] === '') return parts;
  }
}

interface TableRow extends Pick<
  SourceTable,
  'schema' | 'name' | 'oid' | 'owner' | 'kind' | 'persistence' | 'tablespace' | 'options' | 'grants' | 'comment'
> {
  readonly session_role: string;
  readonly row_security: boolean;
  readonly row_security_forced: boolean;
  readonly row_type: SourceTable['rowType'] | null;
  readonly access_method: string;
  readonly replica_identity: SourceTable['replicaIdentity'];
  readonly owner_lacks: string[];
  readonly settable_roles: string[];
  readonly default_grantees: SourceTable['defaultGrantees'];
  readonly rows_estimated: string;
  readonly bytes: string;
  readonly blocks: string;
}

interface ColumnRow extends Pick<
  Column,
  'name' | 'attnum' | 'type' | 'typmod' | 'generated' | 'identity' | 'options' | 'comment' | 'grants'
> {
  readonly type_oid: number;
  readonly not_null: boolean;
  readonly default_expression: string | null;
  readonly has_binary: boolean;
  readonly allows_binary: boolean;
  readonly statistics_target: number | null;
  readonly sequences: OwnedSequence[];
}

function toColumn(row: ColumnRow, binary: boolean): Column {
  const { name, attnum, type, typmod, generated, identity, options, comment, grants } = row;
  const [sequence = null, ...otherSequences] = row.sequences;
  return {
    name,
    attnum,
    type,
    typeOid: row.type_oid,
    typmod,
    notNull: row.not_null,
    defaultExpression: row.default_expression,
    generated,
    identity,
    wire: binary && row.has_binary ? 'binary' : 'text',
    statisticsTarget: row.statistics_target,
    options,
    comment,
    grants,
    sequence,
    otherSequences,
  };
}

interface IndexRow extends Pick<
  Index,
  'schema' | 'name' | 'oid' | 'predicate' | 'options' | 'tablespace' | 'comment' | 'statistics' | 'constraint'
> {
  readonly access_method: string;
  readonly is_unique: boolean;
  readonly is_primary: boolean;
  readonly is_valid: boolean;
  readonly is_clustered: boolean;
  readonly is_replica_identity: boolean;
  readonly key_columns: (string | null)[];
  readonly included_columns: string[];
  readonly nulls_not_distinct: boolean;
  readonly definition_tail: string;
  readonly whole_row: boolean;
}

function toIndex(row: IndexRow): Index {
  const { schema, name, oid, predicate, options, tablespace, comment, statistics, constraint } = row;
  const definitionTail = row.definition_tail;
  invariant(definitionTail.startsWith('USING '), `the definition of index "${name}" is not understood`, definitionTail);
  return {
    schema,
    name,
    oid,
    accessMethod: row.access_method,
    isUnique: row.is_unique,
    isPrimary: row.is_primary,
    isValid: row.is_valid,
    isClustered: row.is_clustered,
    isReplicaIdentity: row.is_replica_identity,
    keyColumns: row.key_columns,
    includedColumns: row.included_columns,
    nullsNotDistinct: row.nulls_not_distinct,
    definitionTail,
    definitionKeys: keysOf(definitionTail, predicate, options),
    options,
    predicate,
    tablespace,
    comment,
    statistics,
    constraint,
    ...(row.whole_row ? { wholeRow: true } : {}),
  };
}

/** Cuts `WHERE …` and `WITH (…)` off an index's definition: both stand at its end, and what they say is known. */
function keysOf(tail: string, predicate: string | null, options: readonly string[]): string {
  const where = ` WHERE ${predicate ?? ''}`;
  const unconditional = predicate !== null && tail.endsWith(where) ? tail.slice(0, -where.length) : tail;
  return options.length === 0 ? unconditional : unconditional.slice(0, unconditional.lastIndexOf(' WITH ('));
}

interface ConstraintRow {
  readonly type: 'c' | 'n';
  readonly name: string;
  readonly definition: string;
  readonly validated: boolean;
  readonly no_inherit: boolean;
  readonly comment: string | null;
}

function toCheck({ name, definition, validated, no_inherit, comment }: ConstraintRow): CheckConstraint {
  return { name, definition, validated, noInherit: no_inherit, comment };
}
