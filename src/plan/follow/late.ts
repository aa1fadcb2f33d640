import { quoteIdent, quoteLiteral, quoteName, truncateIdent, type QualifiedName } from '../../domain/identifier.ts';
import type { SourceTable } from '../../domain/table.ts';
import type { AfterStep } from '../attachments/carried.ts';
import { targetIndexes } from '../index-sql.ts';
import type { DdlStep, MigrationPlan } from '../migration-plan.ts';

/**
 * The table without what came meanwhile and holds for its rows as they are now: the change stream may still bring older ones, so the target gets it
 * with the switch alone.
 */
export function withoutLate(table: SourceTable, { late }: Pick<MigrationPlan, 'late'>): SourceTable {
  if (!late || late.isCarried === true) return table;
  return {
    ...table,
    checks: table.checks.filter(({ name }) => !late.checks.includes(name)),
    columns: table.columns.map((column) => (late.notNull.includes(column.name) ? { ...column, notNull: false } : column)),
  };
}

/** A CHECK that stands for NOT NULL until every row is known to keep it. */
export function standIn(column: string): string {
  return truncateIdent(`partitioner_not_null_${column}`);
}

function commentOf(comment: string | null): string {
  return comment === null ? 'null' : quoteLiteral(comment);
}

/** In the switch, when the names are exchanged: NOT VALID reads no row, and guards the new ones. */
export function restoreLate(table: SourceTable, { late }: Pick<MigrationPlan, 'late'>, on: QualifiedName): DdlStep[] {
  if (!late) return [];
  const lock = `ACCESS EXCLUSIVE on ${on.schema}.${on.name} and its leaves`;
  const why = 'it came while the table was migrated';
  return [
    ...table.checks
      .filter(({ name }) => late.checks.includes(name))
      .map(({ name, definition, validated }) => ({
        sql: `alter table ${quoteName(on)} drop constraint if exists ${quoteIdent(name)}, add constraint ${quoteIdent(name)} ${definition}${validated ? ' not valid' : ''}`,
        lock,
        why,
      })),
    ...table.checks
      .filter(({ name, comment }) => late.checks.includes(name) && comment !== null)
      .map(({ name, comment }) => ({
        sql: `comment on constraint ${quoteIdent(name)} on ${quoteName(on)} is ${quoteLiteral(comment!)}`,
        lock: 'none',
        why,
      })),
    ...(late.indexComments ? targetIndexes(table) : []).flatMap(({ index }) =>
      [
        `comment on index ${quoteName({ schema: on.schema, name: index.name })} is ${commentOf(index.comment)}`,
        ...(index.constraint
          ? [`comment on constraint ${quoteIdent(index.constraint.name)} on ${quoteName(on)} is ${commentOf(index.constraint.comment)}`]
          : []),
      ].map((sql) => ({ sql, lock: 'none', why })),
    ),
    ...late.notNull.map((column) => ({
      sql: `alter table ${quoteName(on)} drop constraint if exists ${quoteIdent(standIn(column))}, add constraint ${quoteIdent(standIn(column))} check (${quoteIdent(column)} is not null) not valid`,
      lock,
      why,
    })),
  ];
}

/** Once the switch is committed. */
export function validateLate(table: SourceTable, { late }: Pick<MigrationPlan, 'late'>, on: QualifiedName): AfterStep[] {
  if (!late) return [];
  const alter = `alter table ${quoteName(on)}`;
  const lock = `SHARE UPDATE EXCLUSIVE on ${on.schema}.${on.name} and its leaves`;
  const brief = `ACCESS EXCLUSIVE on ${on.schema}.${on.name} and its leaves, for a moment`;
  const why = 'the rows that were there are checked';
  return [
    ...table.checks
      .filter(({ name, validated }) => validated && late.checks.includes(name))
      .map(({ name }) => ({ object: `constraint ${name}`, sql: `${alter} validate constraint ${quoteIdent(name)}`, lock, why })),
    ...late.notNull.flatMap((column) => {
      const object = `column ${column}, NOT NULL`;
      return [
        { object, sql: `${alter} validate constraint ${quoteIdent(standIn(column))}`, lock, why },
        { object, sql: `${alter} alter column ${quoteIdent(column)} set not null`, lock: brief, why: 'finds the CHECK, and scans nothing' },
        { object, sql: `${alter} drop constraint ${quoteIdent(standIn(column))}`, lock: brief, why: 'the column says the same' },
      ];
    }),
  ];
}
