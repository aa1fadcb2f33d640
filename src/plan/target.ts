import { quoteIdent, quoteLiteral, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { grantAll, grantColumns, revokeDefaults } from './grants.ts';
import { carriedIndexes, createIndexSql, indexStatisticsSql } from './index-sql.ts';
import type { DdlStep, MigrationPlan } from './migration-plan.ts';
import { targetObjectName } from './names.ts';

export interface TargetNames {
  readonly id: number;
  readonly target: QualifiedName;
}

export type PartitionKey = Pick<MigrationPlan['partitionKey'], 'name' | 'kind'>;

/**
 * The partitioned table under its name before the cutover, empty: everything the source has except for what hangs on files
 * (storage parameters, CLUSTER: a partitioned table has none, the leaves do). Its indexes are valid at once, because it has no leaf yet.
 */
export function planTarget(table: SourceTable, { id, target }: TargetNames, partitionKey: PartitionKey): DdlStep[] {
  const on = quoteName(target);
  const step = (sql: string, why: string, lock = 'none'): DdlStep => ({ sql, lock, why });
  return [
    step(
      `create table ${on} (like ${quoteName(table)} including defaults including generated including storage including compression including constraints including comments) ` +
        `partition by range (${quoteIdent(partitionKey.name)})${table.tablespace === null ? '' : ` tablespace ${quoteIdent(table.tablespace)}`}`,
      'the partitioned table: the same columns in the same order, so that prepared statements go on working',
      `ACCESS SHARE on ${table.schema}.${table.name}`,
    ),
    ...alterTarget(table, on, partitionKey).map((sql) => step(sql, 'what LIKE does not copy')),
    ...identitySequences(table, id).flatMap(({ column, kind, definition, grants, comment, to }) => [
      step(
        // SEQUENCE NAME is pg_dump's own; with LIKE … INCLUDING IDENTITY the server would choose the name.
        `alter table ${on} alter column ${quoteIdent(column)} add generated ${kind} as identity (sequence name ${quoteName(to)} ${definition})`,
        'identity of the parent only; its state comes with the cutover',
      ),
      ...textSteps(
        [revokeDefaults(table, 'sequence', to), ...grantAll(grants, 'sequence', to, table.owner)],
        'privileges of the identity sequence',
      ),
      ...textSteps([comment === null ? null : `comment on sequence ${quoteName(to)} is ${quoteLiteral(comment)}`], 'comment'),
    ]),
    ...carriedIndexes(table).flatMap((index, position) => {
      const name = targetObjectName(id, 'i', position);
      const made = { schema: target.schema, name };
      return [
        step(createIndexSql(index, name, target, partitionKey.name), `takes the name ${index.name} at the cutover`),
        ...textSteps([indexStatisticsSql(index, made)], 'statistics target'),
        ...textSteps(
          [
            index.comment === null ? null : `comment on index ${quoteName(made)} is ${quoteLiteral(index.comment)}`,
            index.constraint?.comment == null
              ? null
              : `comment on constraint ${quoteIdent(name)} on ${on} is ${quoteLiteral(index.constraint.comment)}`,
          ],
          'comment',
        ),
      ];
    }),
    ...textSteps(
      [replicaIdentitySql(table, target, (position) => targetObjectName(id, 'i', position))],
      'replica identity, for leaves to come',
    ),
    ...textSteps(comments(table, on), 'comment'),
    ...textSteps(
      [revokeDefaults(table, 'table', target), ...grantAll(table.grants, 'table', target, table.owner), ...grantColumns(table, target)],
      'privileges',
    ),
  ];
}

/** The identity sequences, and the names that the target's have before the cutover. */
export function identitySequences(
  table: SourceTable,
  id: number,
): {
  column: string;
  kind: string;
  definition: string;
  grants: SourceTable['grants'];
  comment: string | null;
  from: QualifiedName;
  to: QualifiedName;
}[] {
  return table.columns.flatMap(({ name, attnum, identity, sequence }) =>
    identity === '' || sequence?.dependency !== 'i'
      ? []
      : [
          {
            column: name,
            kind: identity === 'a' ? 'always' : 'by default',
            definition: sequence.definition,
            grants: sequence.grants,
            comment: sequence.comment,
            from: { schema: sequence.schema, name: sequence.name },
            to: { schema: table.schema, name: targetObjectName(id, 's', attnum) },
          },
        ],
  );
}

/** `set statistics` and `set (…)` of the columns, as parts of one ALTER TABLE. */
export function columnSettings(table: SourceTable): string[] {
  return table.columns.flatMap(({ name, statisticsTarget, options }) => [
    ...(statisticsTarget === null ? [] : [`alter column ${quoteIdent(name)} set statistics ${statisticsTarget}`]),
    ...(options.length === 0 ? [] : [`alter column ${quoteIdent(name)} set (${options.join(', ')})`]),
  ]);
}

/** Sets the source's replica identity on another table; null when that is the default. */
export function replicaIdentitySql(table: SourceTable, on: QualifiedName, indexName: (position: number) => string): string | null {
  const set = (to: string): string => `alter table ${quoteName(on)} replica identity ${to}`;
  const position = carriedIndexes(table).findIndex(({ isReplicaIdentity }) => isReplicaIdentity);
  if (table.replicaIdentity === 'f') return set('full');
  if (table.replicaIdentity === 'n') return set('nothing');
  return table.replicaIdentity === 'i' && position >= 0 ? set(`using index ${quoteIdent(indexName(position))}`) : null;
}

function alterTarget(table: SourceTable, on: string, { name }: PartitionKey): string[] {
  const owner = table.owner === table.sessionRole ? [] : [`owner to ${quoteIdent(table.owner)}`];
  const loose = table.checks.filter(({ validated }) => !validated);
  const settings = [
    ...owner,
    ...(table.columns.find((column) => column.name === name)?.notNull === false ? [`alter column ${quoteIdent(name)} set not null`] : []),
    ...columnSettings(table),
    // LIKE turns a NOT VALID check into a valid one, and ATTACH refuses a leaf whose check is less valid than the parent's.
    ...loose.map((check) => `drop constraint ${quoteIdent(check.name)}`),
  ];
  const added = loose.map((check) => `add constraint ${quoteIdent(check.name)} ${check.definition}`);
  return [settings, added].filter((parts) => parts.length > 0).map((parts) => `alter table ${on} ${parts.join(', ')}`);
}

function comments(table: SourceTable, on: string): (string | null)[] {
  const ofConstraint = (name: string, comment: string): string =>
    `comment on constraint ${quoteIdent(name)} on ${on} is ${quoteLiteral(comment)}`;
  return [
    table.comment === null ? null : `comment on table ${on} is ${quoteLiteral(table.comment)}`,
    ...table.checks.map(({ name, comment, validated }) => (comment === null || validated ? null : ofConstraint(name, comment))),
    ...table.notNullComments.map(({ name, comment }) => ofConstraint(name, comment)),
  ];
}

function textSteps(statements: readonly (string | null)[], why: string): DdlStep[] {
  return statements.filter((sql) => sql !== null).map((sql) => ({ sql, lock: 'none', why }));
}
