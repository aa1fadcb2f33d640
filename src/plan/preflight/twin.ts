import { keyLiteral, periodOf, type Step } from '../../domain/partition-key.ts';
import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import type { Index, SourceTable } from '../../domain/table.ts';
import { targetIndexes } from '../index-sql.ts';
import { targetObjectName } from '../names.ts';
import { planTarget, type PartitionKey } from '../target.ts';

/** The session's schema for temporary tables. */
const SCHEMA = 'pg_temp';
const LEAVES = 4;

export interface Twin {
  readonly ddl: readonly string[];
  readonly leaves: readonly string[];
}

/**
 * An empty temporary table that is what the table will be after the switch, under the same name, with a few leaves around
 * a value: temporary tables come first in the search path, so a statement that names the table means the twin. What makes no
 * difference to plans is left out; so are unique indexes that the new table does not have.
 */
export function planTwin(table: SourceTable, key: PartitionKey & { readonly step: Step }, centre: bigint): Twin {
  const twin: QualifiedName = { schema: SCHEMA, name: table.name };
  const plain = simplify(table, key.name);
  const leaves = leavesAround(key, centre).map((bounds, i) => ({ ...bounds, name: `partitioner_twin_leaf_${i}` }));
  return {
    ddl: [
      ...planTarget(plain, { id: 0, target: twin }, key).map(({ sql }) => sql),
      ...targetIndexes(plain).map(
        ({ index: { name }, position }) =>
          `alter index ${quoteName({ schema: SCHEMA, name: targetObjectName(0, 'i', position) })} rename to ${quoteIdent(name)}`,
      ),
      ...leaves.map(
        ({ name, lower, upper }) =>
          `create table ${quoteName({ schema: SCHEMA, name })} partition of ${quoteName(twin)} for values from (${lower}) to (${upper})`,
      ),
    ],
    leaves: leaves.map(({ name }) => name),
  };
}

function simplify(table: SourceTable, key: string): SourceTable {
  const isPossible = ({ isUnique, isPrimary, keyColumns, constraint, uniqueness }: Index): boolean =>
    isPrimary || (constraint?.type !== 'x' && (!isUnique || keyColumns.includes(key) || uniqueness === 'widen'));
  return {
    ...table,
    owner: table.sessionRole,
    tablespace: null,
    replicaIdentity: 'd',
    rowSecurity: false,
    rowSecurityForced: false,
    rowType: { grants: null, comment: null },
    statistics: [],
    comment: null,
    grants: [],
    ownerLacks: [],
    defaultGrantees: [],
    notNullComments: [],
    columns: table.columns.map((column) => ({ ...column, identity: '', sequence: null, otherSequences: [], comment: null, grants: [] })),
    checks: table.checks.map((check) => ({ ...check, comment: null })),
    indexes: table.indexes.filter(isPossible).map((index) => ({
      ...index,
      tablespace: null,
      comment: null,
      statistics: [],
      constraint: index.constraint === null ? null : { ...index.constraint, comment: null },
    })),
  };
}

/** Some periods before the value and one after it, as the type has room. */
function leavesAround({ kind, step }: PartitionKey & { readonly step: Step }, centre: bigint): { lower: string; upper: string }[] {
  const leaves: { lower: string; upper: string }[] = [];
  let { lower, upper } = periodOf(kind, step, centre);
  for (let before = 1; before < LEAVES - 1 && lower !== null; before++) {
    const previous = periodOf(kind, step, lower - 1n).lower;
    if (previous === null) break;
    lower = previous;
  }
  while (leaves.length < LEAVES && lower !== null) {
    upper = periodOf(kind, step, lower).upper;
    if (upper === null) break;
    leaves.push({ lower: keyLiteral(kind, lower), upper: keyLiteral(kind, upper) });
    lower = upper;
  }
  return leaves;
}

/** A value of a parameter's type for the planner to prune by, as an SQL expression; null when none comes to mind. */
export function sampleOf(type: string, { kind }: PartitionKey, centre: bigint): string | null {
  const isTime = ['timestamp with time zone', 'timestamp without time zone', 'date'].includes(type);
  const isNumber = ['smallint', 'integer', 'bigint', 'numeric'].includes(type);
  const key = `${keyLiteral(kind, centre)}::pg_catalog.${kind}`;
  if (isTime) return kind.startsWith('int') ? `pg_catalog.now()::${type}` : `(${key})::${type}`;
  if (isNumber) return kind.startsWith('int') ? `(${key})::${type}` : `1::${type}`;
  return SAMPLES[type] === undefined ? null : `'${SAMPLES[type]}'::${type}`;
}

const SAMPLES: Readonly<Record<string, string>> = {
  text: 'a',
  'character varying': 'a',
  character: 'a',
  boolean: 'true',
  uuid: '00000000-0000-4000-8000-000000000000',
  interval: '1 day',
  jsonb: '{}',
  json: '{}',
  real: '1',
  'double precision': '1',
};
