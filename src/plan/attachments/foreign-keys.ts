import type { ForeignKey } from '../../domain/attachments.ts';
import { quoteIdent, quoteLiteral, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import { invariant } from '../../errors.ts';
import { decisionOn } from '../decisions.ts';
import { carriedIndexes, primaryKeyColumns } from '../index-sql.ts';
import type { DdlStep } from '../migration-plan.ts';
import { label, lockIfAllowed, NOTHING, only, type AfterStep, type AttachmentContext, type Carried } from './carried.ts';
import { endOfParentheses } from './definition.ts';

/** From here on a partitioned table takes NOT VALID foreign keys. */
export const NOT_VALID_ON_PARTITIONED = 180_000;

const MANY_LEAVES = 100;

/** Measured on PostgreSQL 14: each leaf adds triggers to the referenced table, whose list is read again for the next one. */
function perLeafMs(leaves: number): number {
  return leaves * 1.2 + leaves ** 2 * 0.0008;
}

export function planForeignKey(key: ForeignKey, context: AttachmentContext, all: readonly ForeignKey[]): Carried {
  if (key.isOut && !key.enforced && all.some((other) => other.enforced && isAlike(key, other))) {
    const { name, table } = key;
    return only({
      kind: 'foreign key',
      name,
      fate: 'blocks',
      check: 'foreign-keys-out',
      how: 'another one on the same columns is enforced: PostgreSQL takes one for the other on a leaf, and refuses both',
      fix: `ALTER TABLE ${quoteName(table)} DROP CONSTRAINT ${quoteIdent(name)};`,
    });
  }
  if (key.isOut && key.isIn) return planSelfReference(key, context);
  return key.isOut ? planOut(key, context) : planIn(key, context);
}

function isAlike(a: ForeignKey, b: ForeignKey): boolean {
  const key = ({ isOut, references, columns, referencedColumns }: ForeignKey): string =>
    JSON.stringify([isOut, references.schema, references.name, columns, referencedColumns]);
  return key(a) === key(b);
}

/**
 * The target has none before the switch: it would refuse the deletion of a parent row whose children the stream has not removed
 * yet. The retired table loses its own, or deleting a parent would be refused for rows that no longer count.
 */
function planOut(key: ForeignKey, { source, leaves, version }: AttachmentContext): Carried {
  const { name, definition, references, validated, enforced, comment, mayReference, mayLockReferenced, hasPeriod } = key;
  const kind = 'foreign key';
  if (hasPeriod) {
    return only({
      kind,
      name,
      fate: 'blocks',
      check: 'foreign-keys-out',
      how: 'it is over a PERIOD',
      fix: `ALTER TABLE ${quoteName(source)} DROP CONSTRAINT ${quoteIdent(name)};`,
    });
  }
  if (!mayReference) {
    return only({
      kind,
      name,
      fate: 'blocks',
      check: 'foreign-keys-out',
      how: `it references ${label(references)}, which our role may not reference`,
      fix: `GRANT REFERENCES ON ${quoteName(references)} TO CURRENT_USER;`,
    });
  }
  const whole = version >= NOT_VALID_ON_PARTITIONED || !enforced;
  const locks = (on: QualifiedName): string => `SHARE ROW EXCLUSIVE on ${label(on)} and ${label(references)}`;
  const holders = whole ? [source] : leaves;
  const notValid = enforced ? ' not valid' : '';
  const commentOn = (on: QualifiedName): DdlStep[] => commentSteps(name, on, comment);
  const warnings = [
    ...(whole || leaves.length < MANY_LEAVES
      ? []
      : [
          `foreign key ${name} is made on ${leaves.length} leaves one by one under the lock, about ${(perLeafMs(leaves.length) / 1000).toFixed(1)} s: fewer leaves, or cutover --max-lock-hold`,
        ]),
    ...(whole || validated
      ? []
      : [`leaves that are made later do not have foreign key ${name}, unless it is validated before the migration`]),
  ];
  return {
    fates: [
      {
        kind,
        name,
        check: 'foreign-keys-out',
        fate: validated && enforced ? 'validated after' : 'moved in the swap',
        how: whole
          ? `on the partitioned table from the switch on${validated && enforced ? ', its old rows validated after it' : ''}`
          : validated
            ? 'on each leaf from the switch on; after it validated leaf by leaf, then on the table, which takes over those of the leaves'
            : 'on each leaf from the switch on, NOT VALID as before (a partitioned table takes no such one before PostgreSQL 18)',
        ...(warnings.length === 0 ? {} : { warning: warnings.join('; ') }),
      },
    ],
    // Checks of new rows pass the first one; it keeps out who writes both tables, that one first.
    first: lockIfAllowed(
      mayLockReferenced,
      references,
      'share row exclusive',
      'who writes it, and then the table, must not hold it while we wait',
    ),
    next: lockIfAllowed(mayLockReferenced, references, 'access exclusive', 'its triggers for the foreign key are dropped'),
    retire: [
      {
        sql: `alter table ${quoteName(source)} drop constraint ${quoteIdent(name)}`,
        lock: `ACCESS EXCLUSIVE on ${label(source)} and ${label(references)}`,
        why: 'the retired rows must not keep a row of the other table',
      },
    ],
    restore: [
      ...holders.map((on) => ({
        sql: `alter table ${quoteName(on)} add constraint ${quoteIdent(name)} ${definition}${notValid}`,
        lock: locks(on),
        why: 'guards new rows at once; the old ones were guarded by the old table',
      })),
      ...(whole ? commentOn(source) : []),
    ],
    after:
      !validated || !enforced
        ? []
        : [
            ...holders.map((on) => validate(name, on, references)),
            ...(whole
              ? []
              : [
                  {
                    object: `foreign key ${name} of ${label(source)}`,
                    sql: `alter table ${quoteName(source)} add constraint ${quoteIdent(name)} ${definition}`,
                    lock: locks(source),
                    why: "finds the leaves' own, which are valid: nothing is scanned",
                  },
                  ...commentOn(source).map((step) => ({ ...step, object: `foreign key ${name} of ${label(source)}` })),
                ]),
          ],
  };
}

/** A foreign key needs a unique index on exactly what it references; where the partition key was put behind, there is none. */
function planIn(key: ForeignKey, context: AttachmentContext): Carried {
  const { name, table, tableKind, definition, mayAlter, hasPeriod, columns, referencedColumns } = key;
  const { source, partitionKey, decisions, version } = context;
  const full = `${label(table)}.${name}`;
  const base = { kind: 'foreign key', name: full, check: 'foreign-keys-in' } as const;
  const drop = `ALTER TABLE ${quoteName(table)} DROP CONSTRAINT ${quoteIdent(name)};`;
  if (!mayAlter) return only({ ...base, fate: 'blocks', how: `our role may not alter ${label(table)}`, fix: drop });
  if (hasPeriod) return only({ ...base, fate: 'blocks', how: 'it is over a PERIOD', fix: drop });
  const retire = [
    {
      sql: `alter table ${quoteName(table)} drop constraint ${quoteIdent(name)}`,
      lock: `ACCESS EXCLUSIVE on ${label(table)} and ${label(source)}`,
      why: 'it is bound to the table by its identity',
    },
  ];
  const option = `foreign-key:${full}`;
  const choice = decisionOn(decisions, option, ['drop', 'widen:']);
  const leave = {
    first: [],
    next: lockIfAllowed(key.mayLock, table, 'access exclusive', 'its rows are checked against the table while they are written'),
    retire,
  };
  if (choice === 'drop') return { ...NOTHING, ...leave, fates: [{ ...base, fate: 'moved in the swap', how: 'dropped, as decided' }] };
  if (tableKind === 'p' && version < NOT_VALID_ON_PARTITIONED) {
    return only({
      ...base,
      fate: 'blocks',
      how: `${label(table)} is partitioned itself, and takes no NOT VALID foreign key before PostgreSQL 18`,
      fix: `--decide ${option}=drop`,
    });
  }
  if (choice !== null) {
    const column = choice.slice('widen:'.length);
    if (!key.tableColumns.includes(column)) {
      return only({
        ...base,
        fate: 'blocks',
        how: `${label(table)} has no column ${column}`,
        fix: `--decide ${option}=widen:COLUMN, with the column of ${label(table)} that holds ${partitionKey}`,
      });
    }
    const end = endOfParentheses(definition, 2);
    invariant(end > 0, `the definition of ${full} has no column lists`, definition);
    const list = (names: readonly string[]): string => `(${names.map(quoteIdent).join(', ')})`;
    const widened = `foreign key ${list([...columns, column])} references ${quoteName(source)} ${list([...referencedColumns, partitionKey])}${definition.slice(end)}`;
    return hasUnique(context, [...referencedColumns, partitionKey])
      ? {
          ...comeBack(
            key,
            widened,
            `widened: (${column}) references ${partitionKey} too; rows that do not agree keep it NOT VALID`,
            source,
          ),
          ...leave,
        }
      : only({ ...base, fate: 'blocks', how: `no unique index has (${[...referencedColumns, partitionKey].join(', ')})`, fix: drop });
  }
  if (hasUnique(context, referencedColumns)) return { ...comeBack(key, definition, 'as before', source), ...leave };
  return only({
    ...base,
    fate: 'needs your decision',
    how: `(${referencedColumns.join(', ')}) alone is no longer unique over all leaves, so nothing can reference it`,
    fix: `--decide ${option}=drop, or --decide ${option}=widen:COLUMN when ${label(table)} has a column that holds ${partitionKey}`,
  });
}

function comeBack(key: ForeignKey, definition: string, how: string, source: QualifiedName): Pick<Carried, 'fates' | 'restore' | 'after'> {
  const { name, table, validated, enforced, comment } = key;
  const isValidated = validated && enforced;
  return {
    fates: [
      {
        kind: 'foreign key',
        name: `${label(table)}.${name}`,
        check: 'foreign-keys-in',
        fate: isValidated ? 'validated after' : 'moved in the swap',
        how: `${how}${isValidated ? '; made NOT VALID in the swap, validated after it' : ''}`,
      },
    ],
    restore: [
      {
        sql: `alter table ${quoteName(table)} add constraint ${quoteIdent(name)} ${definition}${enforced ? ' not valid' : ''}`,
        lock: `SHARE ROW EXCLUSIVE on ${label(table)} and ${label(source)}`,
        why: 'guards new rows at once',
      },
      ...commentSteps(name, table, comment),
    ],
    after: isValidated ? [validate(name, table, source)] : [],
  };
}

/** One that references its own table: before the leaves have it the table cannot, and none of them can alone. */
function planSelfReference(key: ForeignKey, { source, decisions }: AttachmentContext): Carried {
  const { name, table } = key;
  const option = `foreign-key:${label(table)}.${name}`;
  const base = { kind: 'foreign key', name, check: 'foreign-keys-out' } as const;
  if (decisionOn(decisions, option, ['drop']) === null) {
    return only({
      ...base,
      fate: 'needs your decision',
      how: 'it references the table itself: not carried',
      fix: `--decide ${option}=drop`,
    });
  }
  return {
    ...NOTHING,
    fates: [{ ...base, fate: 'moved in the swap', how: 'dropped, as decided' }],
    retire: [
      {
        sql: `alter table ${quoteName(source)} drop constraint ${quoteIdent(name)}`,
        lock: `ACCESS EXCLUSIVE on ${label(source)}`,
        why: 'as decided',
      },
    ],
  };
}

function hasUnique({ table, partitionKey }: AttachmentContext, columns: readonly string[]): boolean {
  const wanted = [...columns].sort().join('\0');
  return carriedIndexes(table).some((index) => {
    if (!index.isUnique || index.predicate !== null || index.uniqueness === 'per-leaf' || index.constraint?.deferrable === true)
      return false;
    const has = index.isPrimary
      ? primaryKeyColumns(index, partitionKey)
      : [...index.keyColumns, ...(index.uniqueness === 'widen' ? [partitionKey] : [])];
    return has.every((column) => column !== null) && has.includes(partitionKey) && [...has].sort().join('\0') === wanted;
  });
}

export function validate(name: string, on: QualifiedName, references: QualifiedName): AfterStep {
  return {
    object: `foreign key ${name} of ${label(on)}`,
    sql: `alter table ${quoteName(on)} validate constraint ${quoteIdent(name)}`,
    lock: `SHARE UPDATE EXCLUSIVE on ${label(on)}, ROW SHARE on ${label(references)}`,
    why: 'reads the old rows while the application goes on',
  };
}

export function commentSteps(name: string, on: QualifiedName, comment: string | null): DdlStep[] {
  return comment === null
    ? []
    : [{ sql: `comment on constraint ${quoteIdent(name)} on ${quoteName(on)} is ${quoteLiteral(comment)}`, lock: 'none', why: 'comment' }];
}
