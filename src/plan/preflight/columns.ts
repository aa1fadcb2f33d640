import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import { blocker, passed, warning, type Finding } from './finding.ts';

/** sql/preflight/columns.sql */
export interface ColumnFacts {
  readonly name: string;
  readonly attnum: number;
  readonly type: string;
  /** pg_attribute.atttypid: that of the domain, if it is one. */
  readonly typeOid: number;
  /** What is left when the domains are taken off, without a length. */
  readonly baseType: string;
  /** pg_type.typtype of it: b base, c composite, e enum, r range, m multirange, p pseudo. */
  readonly baseKind: string;
  readonly isArray: boolean;
  /** Comes with PostgreSQL, not with an extension or a user. */
  readonly isBuiltin: boolean;
  readonly isDefined: boolean;
  readonly typmod: number;
  readonly isDeterministic: boolean;
  readonly notNull: boolean;
  readonly generated: string;
  /** pg_stats.null_frac; null without statistics. */
  readonly nullFraction: number | null;
}

export function decideColumnTypes(columns: readonly ColumnFacts[], table: QualifiedName): Finding[] {
  const name = `${table.schema}.${table.name}`;
  const hopeless = columns.filter(({ baseKind, isDefined }) => baseKind === 'p' || !isDefined);
  const large = columns.filter(({ baseType }) => baseType === 'oid' || /^(.*\.)?lo$/.test(baseType));
  return [
    ...(hopeless.length === 0
      ? [passed('column-types', name, `each of its ${columns.length} columns can be carried`)]
      : hopeless.map((column) =>
          blocker(
            'column-types',
            `${name}.${column.name}`,
            `column ${column.name} is of the ${column.isDefined ? 'pseudo type' : 'type without a definition'} ${column.type}`,
            `ALTER TABLE ${quoteName(table)} ALTER COLUMN ${quoteIdent(column.name)} TYPE text;`,
          ),
        )),
    ...(large.length === 0
      ? [passed('large-objects', name, 'no column seems to point to large objects')]
      : large.map((column) =>
          warning(
            'large-objects',
            `${name}.${column.name}`,
            `column ${column.name} is of type ${column.type}: if it points to large objects, only the pointer is copied`,
          ),
        )),
  ];
}

/** A CHECK or NOT NULL of the table itself: sql/preflight/constraints.sql. */
export interface ConstraintFacts {
  readonly name: string;
  /** c check, n not null (from PostgreSQL 18 on). */
  readonly type: string;
  readonly definition: string;
  readonly validated: boolean;
  readonly noInherit: boolean;
  readonly enforced: boolean;
  /** The expression names the row as a whole, and so the type of this table. */
  readonly wholeRow?: boolean;
  readonly columns: readonly string[];
}

export function decideConstraints(constraints: readonly ConstraintFacts[], table: QualifiedName): Finding[] {
  const name = `${table.schema}.${table.name}`;
  const alter = (text: string): string => `ALTER TABLE ${quoteName(table)} ${text};`;
  const findings = constraints.flatMap((constraint) => {
    const { name: constraintName, type, definition, validated, noInherit, enforced, wholeRow = false } = constraint;
    const found = (problem: string, fix: string): Finding =>
      blocker('check-constraints', constraintName, `constraint ${constraintName} (${definition}) ${problem}`, fix);
    const quoted = quoteIdent(constraintName);
    if (noInherit) {
      // Cut off by hand: pg_get_constraintdef prints it last, before NOT VALID.
      const plain = definition.replace(/ NO INHERIT/, '');
      return [
        found(
          'is NO INHERIT, which a partitioned table cannot have',
          type === 'n'
            ? alter(`ALTER CONSTRAINT ${quoted} INHERIT`)
            : alter(`DROP CONSTRAINT ${quoted}, ADD CONSTRAINT ${quoted} ${plain}`),
        ),
      ];
    }
    if (wholeRow)
      return [found('names the row as a whole, which PostgreSQL cannot copy to another table', alter(`DROP CONSTRAINT ${quoted}`))];
    if (!enforced) return [found('is not enforced', alter(`DROP CONSTRAINT ${quoted}`))];
    if (type === 'n' && !validated) return [found('is not validated: a NULL may be there', alter(`VALIDATE CONSTRAINT ${quoted}`))];
    return [];
  });
  return findings.length > 0 ? findings : [passed('check-constraints', name, 'each CHECK and NOT NULL can stand on a partitioned table')];
}
