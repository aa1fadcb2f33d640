import type { LeafRange } from '../domain/leaf-map.ts';
import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import { keyLiteral } from '../domain/partition-key.ts';
import type { SourceTable } from '../domain/table.ts';
import { revokeDefaults } from './grants.ts';
import { carriedIndexes, createIndexSql, indexStatisticsSql, storageClause } from './index-sql.ts';
import type { DdlStep, FinishStep, PlannedLeaf } from './migration-plan.ts';
import { leafObjectName } from './names.ts';
import { columnSettings, createStatisticsSql, replicaIdentitySql, type PartitionKey } from './target.ts';

/** The CHECK that lets ATTACH PARTITION skip its scan. */
export const BOUND_CHECK = 'partitioner_bound';

/**
 * The statements of one leaf. Create: standalone (PARTITION OF would lock the parent exclusively), without indexes and without
 * identity (17 and newer refuse to attach one that has it; they hand the parent's down). Finish: what the load would have slowed
 * down. Attach: in the transaction that makes the leaf live. Run in one go they make an empty, live leaf.
 *
 * @param like whose columns, defaults and constraints it gets: the source, as long as the target was made of it a moment ago.
 */
export function planLeaf(
  table: SourceTable,
  target: QualifiedName,
  partitionKey: PartitionKey,
  leaf: LeafRange,
  like: QualifiedName = table,
): Pick<PlannedLeaf, 'create' | 'finish' | 'attach'> {
  const name: QualifiedName = { schema: target.schema, name: leaf.name };
  return {
    create: planCreate(table, partitionKey, name, leaf, like),
    finish: planFinish(table, partitionKey, name),
    attach: planAttach(target, partitionKey, name, leaf),
  };
}

function planCreate(table: SourceTable, partitionKey: PartitionKey, name: QualifiedName, leaf: LeafRange, like: QualifiedName): DdlStep[] {
  const on = quoteName(name);
  const key = quoteIdent(partitionKey.name);
  const bound = [
    ...(leaf.lower === null ? [] : [`${key} >= ${keyLiteral(partitionKey.kind, leaf.lower)}`]),
    ...(leaf.upper === null ? [] : [`${key} < ${keyLiteral(partitionKey.kind, leaf.upper)}`]),
  ].join(' and ');
  const settings = [
    ...(table.owner === table.sessionRole ? [] : [`owner to ${quoteIdent(table.owner)}`]),
    'replica identity full',
    ...(table.columns.find((column) => column.name === partitionKey.name)?.notNull === false ? [`alter column ${key} set not null`] : []),
    ...columnSettings(table),
    // Without a policy of its own: nobody but the owner reads past those of the table.
    ...(table.rowSecurity ? ['enable row level security'] : []),
    ...(table.rowSecurityForced ? ['force row level security'] : []),
    // Rows that break a NOT VALID check are in the source, and COPY would refuse them: it comes back after the load.
    ...table.checks.filter(({ validated }) => !validated).map((check) => `drop constraint ${quoteIdent(check.name)}`),
  ];
  const revoke = revokeDefaults(table, 'table', name);
  return [
    {
      sql: [
        `create table ${on} (like ${quoteName(like)} including defaults including generated including storage including compression including constraints`,
        `${bound === '' ? '' : `, constraint ${BOUND_CHECK} check (${bound})`})`,
        table.accessMethod === '' ? '' : ` using ${quoteIdent(table.accessMethod)}`,
        table.options.length === 0 ? '' : ` ${storageClause(table.options)}`,
        table.tablespace === null ? '' : ` tablespace ${quoteIdent(table.tablespace)}`,
      ].join(''),
      lock: `ACCESS SHARE on ${like.schema}.${like.name}`,
      why: 'standalone; its CHECK lets ATTACH skip the scan',
    },
    {
      sql: `alter table ${on} ${settings.join(', ')}`,
      lock: 'none',
      why: "without a replica identity a publication FOR ALL TABLES would refuse the load's deletes",
    },
    // A leaf is reached through its parent, whose privileges count; as with PARTITION OF it has none of the source's.
    ...(revoke === null ? [] : [{ sql: revoke, lock: 'none', why: 'nobody reads a leaf past the privileges of the table' }]),
  ];
}

/** The names of a leaf's indexes, by those of the source's. */
export function leafIndexNames(table: SourceTable, leaf: string): ReadonlyMap<string, string> {
  const taken = new Set<string>();
  return new Map(carriedIndexes(table).map((index) => [index.name, leafObjectName(leaf, table.name, index.name, taken)]));
}

function planFinish(table: SourceTable, partitionKey: PartitionKey, name: QualifiedName): FinishStep[] {
  const on = quoteName(name);
  const indexes = carriedIndexes(table);
  const taken = new Set<string>();
  const names = indexes.map((index) => leafObjectName(name.name, table.name, index.name, taken));
  const repeatable = (sql: string | null, why: string): FinishStep[] => (sql === null ? [] : [{ sql, lock: 'none', why, makes: null }]);
  return [
    ...indexes.map((index, position) => ({
      sql: createIndexSql(index, names[position]!, name, partitionKey.name),
      lock: 'none',
      why: `the leaf's ${index.name}`,
      makes: names[position]!,
    })),
    ...indexes.flatMap((index, position) => [
      ...repeatable(indexStatisticsSql(index, { schema: name.schema, name: names[position]! }), 'statistics target'),
      ...repeatable(index.isClustered ? `alter table ${on} cluster on ${quoteIdent(names[position]!)}` : null, 'what CLUSTER goes by'),
    ]),
    ...table.checks
      .filter(({ validated }) => !validated)
      .flatMap(({ name: check, definition }) =>
        repeatable(
          `alter table ${on} drop constraint if exists ${quoteIdent(check)}, add constraint ${quoteIdent(check)} ${definition}`,
          'rows of the source may break it, new ones may not',
        ),
      ),
    ...table.statistics.flatMap((statistics) => {
      const made = { schema: statistics.schema, name: leafObjectName(name.name, table.name, statistics.name, taken) };
      return createStatisticsSql(statistics, made, name, table).flatMap((sql) => repeatable(sql, "the leaf's extended statistics"));
    }),
    ...repeatable(
      replicaIdentitySql(table, name, (position) => names[position]!) ?? `alter table ${on} replica identity default`,
      'the primary key tells its rows from now on',
    ),
  ];
}

function planAttach(target: QualifiedName, { kind }: PartitionKey, name: QualifiedName, { lower, upper }: LeafRange): DdlStep[] {
  const from = lower === null ? 'minvalue' : keyLiteral(kind, lower);
  const to = upper === null ? 'maxvalue' : keyLiteral(kind, upper);
  return [
    {
      sql: `alter table ${quoteName(target)} attach partition ${quoteName(name)} for values from (${from}) to (${to})`,
      lock: `SHARE UPDATE EXCLUSIVE on ${target.schema}.${target.name}`,
      why: 'finds the CHECK and the indexes, so that it neither scans nor builds',
    },
    { sql: `alter table ${quoteName(name)} drop constraint if exists ${BOUND_CHECK}`, lock: 'none', why: 'the bound says the same' },
  ];
}
