import { quoteIdent, quoteLiteral, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { Index, SourceTable } from '../domain/table.ts';
import { invariant, MigratorError } from '../errors.ts';
import { endOfParentheses } from './attachments/definition.ts';

/** The indexes that leaves get: the valid ones (an invalid one is what a failed CREATE INDEX CONCURRENTLY left) that were not dropped. */
export function carriedIndexes(table: SourceTable): readonly Index[] {
  return table.indexes.filter(({ isValid, uniqueness }) => isValid && uniqueness !== 'drop');
}

/** Those that the partitioned table has too, with their positions among the carried ones: the others are the leaves' alone. */
export function targetIndexes(table: SourceTable): readonly { readonly index: Index; readonly position: number }[] {
  return carriedIndexes(table)
    .map((index, position) => ({ index, position }))
    .filter(({ index }) => index.uniqueness !== 'per-leaf');
}

/** The primary key of a partitioned table must hold the partition key: it is put behind the others where it is missing. */
export function primaryKeyColumns(index: Index, partitionKey: string): readonly string[] {
  const columns = plainColumns(index);
  return columns.includes(partitionKey) ? columns : [...columns, partitionKey];
}

/**
 * The statement that makes a source's index on the target or on a leaf: the same access method, keys, collations, opclasses,
 * INCLUDE, options, tablespace and condition, so that ATTACH PARTITION takes the leaf's for the target's. What is a constraint
 * stays one: a leaf's index without it would not match.
 */
export function createIndexSql(index: Index, name: string, on: QualifiedName, partitionKey: string): string {
  const storage = storageClause(index.options);
  if (!index.constraint) {
    return [
      `create ${index.isUnique ? 'unique ' : ''}index ${quoteIdent(name)} on ${quoteName(on)} ${definitionKeys(index, partitionKey)}`,
      storage,
      index.tablespace === null ? '' : `tablespace ${quoteIdent(index.tablespace)}`,
      index.predicate === null ? '' : `where ${index.predicate}`,
    ]
      .filter((part) => part !== '')
      .join(' ');
  }
  const { type, deferrable, deferred } = index.constraint;
  if (type === 'x' || index.accessMethod !== 'btree') {
    throw new MigratorError('PREFLIGHT_REFUSED', `constraint "${index.name}" is an exclusion constraint, which is not carried over`, {
      hint: `drop it, or leave the table as it is: alter table … drop constraint ${quoteIdent(index.name)}`,
    });
  }
  const columns =
    type === 'p'
      ? primaryKeyColumns(index, partitionKey)
      : [...plainColumns(index), ...(index.uniqueness === 'widen' ? [partitionKey] : [])];
  const included = index.includedColumns.filter((column) => !columns.includes(column));
  return [
    `alter table ${quoteName(on)} add constraint ${quoteIdent(name)}`,
    type === 'p' ? 'primary key' : `unique${index.nullsNotDistinct ? ' nulls not distinct' : ''}`,
    `(${columns.map(quoteIdent).join(', ')})`,
    included.length === 0 ? '' : `include (${included.map(quoteIdent).join(', ')})`,
    storage,
    index.tablespace === null ? '' : `using index tablespace ${quoteIdent(index.tablespace)}`,
    deferrable ? `deferrable${deferred ? ' initially deferred' : ''}` : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
}

/** With the partition key behind the others, where that was decided. */
function definitionKeys({ definitionKeys: keys, uniqueness }: Index, partitionKey: string): string {
  if (uniqueness !== 'widen') return keys;
  const end = endOfParentheses(keys, 1);
  invariant(end > 0, 'the definition of an index has no list of columns', keys);
  return `${keys.slice(0, end - 1)}, ${quoteIdent(partitionKey)}${keys.slice(end - 1)}`;
}

/** `with (fillfactor='70')` of pg_class.reloptions, '' when there are none. */
export function storageClause(options: readonly string[]): string {
  if (options.length === 0) return '';
  const parts = options.map((option) => {
    const at = option.indexOf('=');
    return `${option.slice(0, at)}=${quoteLiteral(option.slice(at + 1))}`;
  });
  return `with (${parts.join(', ')})`;
}

/** ALTER INDEX … SET STATISTICS of an index on expressions, one statement; null when none is set. */
export function indexStatisticsSql(index: Index, on: QualifiedName): string | null {
  if (index.statistics.length === 0) return null;
  return `alter index ${quoteName(on)} ${index.statistics.map(([column, target]) => `alter column ${column} set statistics ${target}`).join(', ')}`;
}

function plainColumns(index: Index): readonly string[] {
  return index.keyColumns.filter((column) => column !== null);
}
