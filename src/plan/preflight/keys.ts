import { quoteIdent, quoteName } from '../../domain/identifier.ts';
import type { Index, SourceTable, UniqueChoice } from '../../domain/table.ts';
import { undecidable } from '../decisions.ts';
import type { ColumnFacts } from './columns.ts';
import { blocker, passed, warning, type Finding } from './finding.ts';

/** Primary key, replica identity and what of its types makes equal keys differ in their bytes. */
export function decidePrimaryKey(table: SourceTable, columns: readonly ColumnFacts[], partitionColumn: string | null): Finding[] {
  const name = nameOf(table);
  const primary = table.indexes.find(({ isPrimary }) => isPrimary);
  if (primary === undefined) {
    const unique = table.indexes.find((index) => mayBecomePrimary(index, columns));
    const fix =
      unique === undefined
        ? `CREATE UNIQUE INDEX CONCURRENTLY ON ${quoteName(table)} (…); then ALTER TABLE ${quoteName(table)} ADD PRIMARY KEY USING INDEX …;`
        : `ALTER TABLE ${quoteName(table)} ADD PRIMARY KEY USING INDEX ${quoteIdent(unique.name)};`;
    return [blocker('primary-key', name, `${name} has no primary key`, fix)];
  }
  if (!primary.isValid) {
    return [
      blocker(
        'primary-key',
        primary.name,
        `the primary key ${primary.name} is not valid`,
        `REINDEX INDEX CONCURRENTLY ${quoteName(primary)};`,
      ),
    ];
  }
  if (primary.constraint?.deferrable === true) {
    return [
      blocker(
        'primary-key',
        primary.name,
        `the primary key ${primary.name} is deferrable: inside a transaction two rows may have the same key, and it cannot be the replica identity`,
        `make it again without DEFERRABLE: ALTER TABLE ${quoteName(table)} DROP CONSTRAINT ${quoteIdent(primary.name)}, ADD PRIMARY KEY (${primary.keyColumns.map((column) => quoteIdent(column ?? '…')).join(', ')});`,
      ),
    ];
  }
  if (primary.accessMethod !== 'btree') {
    return [
      blocker(
        'primary-key',
        primary.name,
        `the primary key ${primary.name} is WITHOUT OVERLAPS (a ${primary.accessMethod} index): equal keys must mean one row`,
        'give the table a primary key of other columns, a bigint GENERATED AS IDENTITY for instance, and keep this one as UNIQUE',
      ),
    ];
  }
  const key = primary.keyColumns.filter((column) => column !== null);
  return [
    passed('primary-key', primary.name, `the primary key ${primary.name} is (${key.join(', ')})`),
    partitionColumn === null || key.includes(partitionColumn)
      ? passed(
          'primary-key-widened',
          primary.name,
          partitionColumn === null ? 'the partition column is not known' : `the primary key has the column ${partitionColumn}`,
        )
      : warning(
          'primary-key-widened',
          primary.name,
          `the primary key (${key.join(', ')}) becomes (${[...key, partitionColumn].join(', ')}): ${key.join(', ')} alone is no longer kept unique`,
          `look for ON CONFLICT (${key.join(', ')}) in the application: write ON CONFLICT (${[...key, partitionColumn].join(', ')}); keys from a sequence or a random UUID stay unique by themselves`,
        ),
    ...decideKeyTypes(key, columns, name),
  ];
}

function mayBecomePrimary(index: Index, columns: readonly ColumnFacts[]): boolean {
  if (!index.isUnique || !index.isValid || index.accessMethod !== 'btree' || index.predicate !== null) return false;
  if (index.constraint?.deferrable === true || index.constraint?.type === 'x') return false;
  return index.keyColumns.every((key) => key !== null && columns.some(({ name, notNull }) => name === key && notNull));
}

/** Types whose equal values have equal bytes. Numeric is compared by value on our side too. */
const BYTEWISE = new Set([
  'smallint', 'integer', 'bigint', 'oid', 'boolean', '"char"', 'name', 'text', 'character varying', 'character', 'uuid', 'bytea', 'date',
  'time without time zone', 'timestamp without time zone', 'timestamp with time zone', 'numeric', 'inet', 'cidr', 'macaddr', 'macaddr8',
  'bit', 'bit varying', 'money', 'pg_lsn', 'xid8', 'regclass', 'regtype', 'regproc', 'regprocedure', 'regrole', 'regnamespace',
]); // prettier-ignore

const REASONS: Readonly<Record<string, string>> = {
  real: '-0 equals 0',
  'double precision': '-0 equals 0',
  interval: '1 day equals 24 hours',
  'time with time zone': 'values are compared by instant first, and sent as time and zone',
  jsonb: '1.0 equals 1.00 inside of it',
  citext: "'a' equals 'A'",
  bpchar: "'a' equals 'a ' without a declared length",
};

function decideKeyTypes(key: readonly string[], columns: readonly ColumnFacts[], table: string): Finding[] {
  const findings = key.flatMap((name) => {
    const column = columns.find((candidate) => candidate.name === name);
    const reason = column === undefined ? null : reasonAgainst(column);
    if (column === undefined || reason === null) return [];
    const through = column.type === column.baseType ? '' : ` (${column.baseType})`;
    return [
      blocker(
        'primary-key-types',
        `${table}.${name}`,
        `key column ${name} is of type ${column.type}${through}, whose equal values need not be the same bytes: ${reason}`,
        `give the table a primary key of other columns, a bigint GENERATED AS IDENTITY or a uuid for instance, and keep ${name} as UNIQUE NOT NULL`,
      ),
    ];
  });
  return findings.length > 0 ? findings : [passed('primary-key-types', table, 'equal keys are equal bytes')];
}

function reasonAgainst(column: ColumnFacts): string | null {
  if (!column.isDeterministic) return 'its collation is not deterministic';
  if (column.isArray) return 'arrays compare element by element';
  if (column.baseKind === 'c') return 'composites compare field by field';
  if (column.baseKind === 'r' || column.baseKind === 'm') return 'ranges of other spelling can be equal';
  if (column.baseKind === 'e') return null;
  if (column.baseType === 'character' && column.typmod === -1) return REASONS.bpchar!;
  if (column.isBuiltin && BYTEWISE.has(column.baseType)) return null;
  return REASONS[column.baseType.replace(/^.*\./, '')] ?? 'nothing is known of its equality';
}

export function decideReplicaIdentity(table: SourceTable): Finding {
  const name = nameOf(table);
  const primary = table.indexes.find(({ isPrimary }) => isPrimary);
  const identity = table.indexes.find(({ isReplicaIdentity }) => isReplicaIdentity);
  const fix = `ALTER TABLE ${quoteName(table)} REPLICA IDENTITY DEFAULT;`;
  if (table.replicaIdentity === 'n')
    return blocker(
      'replica-identity',
      name,
      `the replica identity of ${name} is NOTHING: the WAL does not tell which row a change hit`,
      fix,
    );
  if (table.replicaIdentity === 'i' && identity?.oid !== primary?.oid) {
    return blocker(
      'replica-identity',
      name,
      `the replica identity of ${name} is the index ${identity?.name ?? '(dropped)'}: the primary key or FULL is needed`,
      fix,
    );
  }
  return passed(
    'replica-identity',
    name,
    table.replicaIdentity === 'f' ? 'the replica identity is FULL' : 'the replica identity is the primary key',
  );
}

/** Unique indexes that could not keep values unique over all leaves, exclusion constraints, invalid indexes, the CLUSTER mark. */
export function decideIndexes(table: SourceTable, partitionColumn: string | null): Finding[] {
  const name = nameOf(table);
  const secondary = table.indexes.filter(({ isPrimary }) => !isPrimary);
  const exclusion = secondary.filter(
    ({ constraint, accessMethod }) => constraint?.type === 'x' || (constraint?.type === 'u' && accessMethod !== 'btree'),
  );
  const unique = (partitionColumn === null ? [] : undecidable(table, partitionColumn)).filter((index) => !exclusion.includes(index));
  const invalid = secondary.filter(({ isValid }) => !isValid);
  const clustered = table.indexes.filter(({ isClustered }) => isClustered);
  return [
    ...each(
      unique,
      passed(
        'unique-keys',
        name,
        partitionColumn === null ? 'the partition column is not known' : `each unique index has the column ${partitionColumn}`,
      ),
      (index) => decideUnique(index, partitionColumn ?? ''),
    ),
    ...each(exclusion, passed('exclusion-constraints', name, 'there is no exclusion constraint'), (index) =>
      blocker(
        'exclusion-constraints',
        index.name,
        `exclusion constraint ${index.name} cannot hold over several leaves`,
        dropOf(table, index),
      ),
    ),
    ...each(
      table.indexes.filter(({ wholeRow }) => wholeRow === true),
      passed('indexes-whole-row', name, 'no index names the row as a whole'),
      (index) => blocker('indexes-whole-row', index.name, `index ${index.name} names the row as a whole`, dropOf(table, index)),
    ),
    ...each(invalid, passed('indexes-valid', name, 'each index is valid'), (index) =>
      warning(
        'indexes-valid',
        index.name,
        `index ${index.name} is not valid (it is being built, or its building failed): it is not carried`,
        `REINDEX INDEX CONCURRENTLY ${quoteName(index)}; or DROP INDEX CONCURRENTLY ${quoteName(index)};`,
      ),
    ),
    ...each(clustered, passed('index-clustered', name, 'no index is marked for CLUSTER'), (index) =>
      warning(
        'index-clustered',
        index.name,
        `${name} is marked to be clustered on ${index.name}: the leaves carry the mark, the table cannot`,
        `ALTER TABLE ${quoteName(table)} SET WITHOUT CLUSTER;`,
      ),
    ),
  ];
}

function decideUnique(index: Index, partitionColumn: string): Finding {
  const columns = index.keyColumns.map((column) => column ?? 'expression').join(', ');
  const what = `unique ${index.constraint === null ? 'index' : 'constraint'} ${index.name} (${columns})`;
  if (index.uniqueness === undefined) {
    const option = `--decide unique:${index.name}=`;
    return blocker(
      'unique-keys',
      index.name,
      `${what}: needs your decision: it lacks the partition column ${partitionColumn}, and so cannot hold over all leaves`,
      [
        `${option}widen (unique together with ${partitionColumn}; ON CONFLICT has to name it too)`,
        `${option}per-leaf (unique within each leaf; ON CONFLICT (${columns}) is refused)`,
        `${option}drop (not carried; ON CONFLICT (${columns}) is refused)`,
      ].join('; or '),
    );
  }
  return warning('unique-keys', index.name, `${what}: ${DECIDED[index.uniqueness]}`, 'nothing has to be done: it was decided');
}

const DECIDED: Readonly<Record<UniqueChoice, string>> = {
  widen: 'widened by the partition column: the same value may be there once for each of its values',
  'per-leaf': 'on each leaf alone: the same value may be there once in each leaf',
  drop: 'not carried: nothing keeps its values unique any more',
};

function dropOf(table: SourceTable, index: Index): string {
  return index.constraint === null
    ? `DROP INDEX ${quoteName(index)};`
    : `ALTER TABLE ${quoteName(table)} DROP CONSTRAINT ${quoteIdent(index.constraint.name)};`;
}

function each(indexes: readonly Index[], otherwise: Finding, toFinding: (index: Index) => Finding): Finding[] {
  return indexes.length > 0 ? indexes.map(toFinding) : [otherwise];
}

function nameOf({ schema, name }: SourceTable): string {
  return `${schema}.${name}`;
}
