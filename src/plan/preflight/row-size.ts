import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import { formatBytes } from '../../domain/quantity.ts';
import type { ColumnFacts } from './columns.ts';
import { blocker, passed, unread, type Finding } from './finding.ts';

/**
 * What a row may print to. PostgreSQL can hold no text, no line of COPY and no message of the change stream beyond 1 GB; a row is compared
 * by its text, in which quotes and backslashes are doubled. The daemon holds about six times the largest change in memory.
 */
export const MAX_ROW_BYTES = 512 * 2 ** 20;

/** By this our own look is known among the statements that the server has seen: what follows depends on the columns. */
export const OWN_LOOK = '/* a look of partitioner check */';

const TEXTS = new Set(['text', 'character varying', 'character']);

/**
 * The largest row's text, about, in one pass over the heap alone: the length of a text or bytea is known without fetching its TOASTed value,
 * of other types what they take where they are stored. Null when no column can be long.
 */
export function rowSizeSql(table: QualifiedName, columns: readonly ColumnFacts[]): string | null {
  const sizes = columns.flatMap((column) => {
    if (column.generated === 'v') return [];
    const name = quoteIdent(column.name);
    if (!column.isArray && TEXTS.has(column.baseType)) return [`coalesce(pg_catalog.octet_length(${name}), 0)::bigint`];
    if (!column.isArray && column.baseType === 'bytea') return [`2 * coalesce(pg_catalog.octet_length(${name}), 0)::bigint`];
    return [`coalesce(pg_catalog.pg_column_size(${name}), 0)::bigint`];
  });
  return sizes.length === 0 ? null : `select ${OWN_LOOK} pg_catalog.max(${sizes.join(' + ')})::text as bytes from only ${quoteName(table)}`;
}

/** @param bytes of the largest row; `unknown` when the look was ended after `seconds`. */
export function decideRowSize(bytes: number | 'unknown', seconds: number, table: QualifiedName): Finding {
  const name = `${table.schema}.${table.name}`;
  if (bytes === 'unknown')
    return unread(
      'row-size',
      name,
      `a pass over the rows took longer than ${String(seconds)} s; a row that prints to more than ${formatBytes(MAX_ROW_BYTES)} stops the migration`,
    );
  const message = `its largest row prints to about ${formatBytes(bytes)}`;
  return bytes <= MAX_ROW_BYTES
    ? passed('row-size', name, message)
    : blocker(
        'row-size',
        name,
        `${name}: ${message}, and at most ${formatBytes(MAX_ROW_BYTES)} can be carried (a bytea prints to twice its size)`,
        'split such values into several rows, or move them into a table of their own',
      );
}
