import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import { keyKindOf, type KeyKind } from '../../domain/key-kind.ts';
import type { ColumnFacts } from './columns.ts';
import { blocker, passed, unread, warning, type Finding } from './finding.ts';

export function decidePartitionColumn(column: ColumnFacts, table: QualifiedName): Finding {
  const name = `${table.schema}.${table.name}.${column.name}`;
  if (column.generated !== '') {
    return blocker(
      'partition-column',
      name,
      `column ${column.name} is generated: a generated column cannot be a partition key`,
      'Name the column that it is computed from with --range.',
    );
  }
  if (keyKindOf(column.typeOid) === null) {
    return blocker(
      'partition-column',
      name,
      `column ${column.name} is of type ${column.type}: timestamptz, timestamp, date, smallint, integer or bigint is needed`,
      'name a column of one of these types with --range',
    );
  }
  return passed('partition-column', name, `column ${column.name} is of type ${column.type}`);
}

export function decidePartitionColumnMissing(wanted: string, table: QualifiedName, nearest: readonly string[]): Finding {
  const name = `${table.schema}.${table.name}`;
  return blocker(
    'partition-column',
    `${name}.${wanted}`,
    `${name} has no column ${wanted}`,
    nearest.length > 0 ? `did you mean --range ${nearest.join(' or --range ')}?` : 'name one of its columns with --range',
  );
}

/** What a look into the rows found; `unknown` when it was ended after `seconds`. */
export type Look = 'found' | 'none' | 'unknown';

export function decideNulls(column: ColumnFacts, look: Look, seconds: number, table: QualifiedName): Finding {
  const object = `${table.schema}.${table.name}.${column.name}`;
  const key = quoteIdent(column.name);
  const check = `${key} IS NOT NULL`;
  const setNotNull = [
    `ALTER TABLE ${quoteName(table)} ADD CONSTRAINT partition_key_not_null CHECK (${check}) NOT VALID;`,
    `ALTER TABLE ${quoteName(table)} VALIDATE CONSTRAINT partition_key_not_null;`,
    `ALTER TABLE ${quoteName(table)} ALTER COLUMN ${key} SET NOT NULL, DROP CONSTRAINT partition_key_not_null;`,
  ].join('\n');
  const update = `UPDATE ${quoteName(table)} SET ${key} = … WHERE ${key} IS NULL;\n${setNotNull}`;
  if (column.notNull) return passed('partition-nulls', object, `column ${column.name} is NOT NULL`);
  if (look === 'found')
    return blocker('partition-nulls', object, `column ${column.name} holds a NULL, and a partition key may not`, update);
  if (look === 'unknown' && (column.nullFraction ?? 0) > 0) {
    return blocker(
      'partition-nulls',
      object,
      `column ${column.name} holds NULLs: ${(column.nullFraction! * 100).toPrecision(2)} % of the rows, the statistics say (no index shows it, and a look at the rows took longer than ${seconds} s)`,
      `${update}\nif it is mended already: ANALYZE ${quoteName(table)};`,
    );
  }
  return warning(
    'partition-nulls',
    object,
    look === 'none'
      ? `column ${column.name} holds no NULL, and nothing keeps one out: a NULL that is written during the migration stops it, and the new table has the column NOT NULL`
      : `column ${column.name} may hold a NULL: no index shows it, and a look at the rows took longer than ${seconds} s; start looks again`,
    setNotNull,
  );
}

/** Lowest and highest value of the partition column, as text; null when the table is empty. */
export interface KeyRange {
  readonly lowest: string | null;
  readonly highest: string | null;
  /** `rows` were read, or the statistics where reading took too long, or there is nothing to tell. */
  readonly from: 'rows' | 'statistics' | 'nothing';
  /** Of the statistics: whether an infinity is among the common values. */
  readonly hasInfinity: boolean;
}

/** Whole numbers know no infinity. */
export function decideInfinity(column: ColumnFacts, kind: KeyKind, range: KeyRange, table: QualifiedName): Finding {
  const object = `${table.schema}.${table.name}.${column.name}`;
  if (kind.startsWith('int')) return passed('partition-infinity', object, `column ${column.name} is a number`);
  const found = [range.lowest, range.highest].filter((value) => value === 'infinity' || value === '-infinity');
  if (found.length > 0 || range.hasInfinity) {
    const which = found.length > 0 ? [...new Set(found)].map((value) => `'${value}'`).join(' and ') : 'infinity';
    return blocker(
      'partition-infinity',
      object,
      `column ${column.name} holds ${which}: such a row belongs to no period`,
      `UPDATE ${quoteName(table)} SET ${quoteIdent(column.name)} = … WHERE ${quoteIdent(column.name)} IN ('infinity', '-infinity');`,
    );
  }
  return range.from === 'rows'
    ? passed('partition-infinity', object, `column ${column.name} holds no infinity`)
    : unread(
        'partition-infinity',
        object,
        'no index leads with the column, and a pass over the rows took too long; a row that holds one stops the migration',
      );
}
