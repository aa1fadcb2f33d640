import type { ForeignKey } from '../../domain/attachments.ts';
import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import type { AttachmentContext, Carried, Fate } from './carried.ts';
import { label, lockIfAllowed, NOTHING, only } from './carried.ts';
import { commentSteps, NOT_VALID_ON_PARTITIONED, validate } from './foreign-keys.ts';

/** Foreign keys that a leaf has by itself: before PostgreSQL 18 those of the table are made there first. */
export interface LeafForeignKeys {
  readonly leaf: QualifiedName;
  readonly names: readonly string[];
}

export interface ForeignKeysBack extends AttachmentContext {
  readonly leafForeignKeys: readonly LeafForeignKeys[];
  readonly existing: (name: QualifiedName) => boolean;
  /** Columns of the un-partitioned table's unique keys. */
  readonly uniqueKeys: readonly (readonly string[])[];
}

/**
 * A foreign key comes back in the form that it had before the cutover, also where it was widened or dropped by decision. One that
 * somebody has dropped since stays dropped, one that came since is carried where the un-partitioned table can have it.
 */
export function planForeignKeyBack(
  key: ForeignKey,
  now: readonly ForeignKey[],
  before: readonly ForeignKey[],
  context: ForeignKeysBack,
): Carried {
  const { name, table, isOut, isIn, definition, references, validated, enforced, comment } = key;
  const { source, leafForeignKeys, decisions, version } = context;
  const same = (other: ForeignKey): boolean => other.name === name && quoteName(other.table) === quoteName(table);
  const standing = now.find(same);
  const leaves = isOut && !standing ? leafForeignKeys.filter(({ names }) => names.includes(name)) : [];
  const full = isOut ? name : `${label(table)}.${name}`;
  const base = { kind: 'foreign key', name: full, check: isOut ? 'foreign-keys-out' : 'foreign-keys-in' } as const;
  const option = decisions[`foreign-key:${label(table)}.${name}`];
  const isGone = !standing && leaves.length === 0 && (option !== 'drop' || !(isOut || context.existing(table)));
  if (isGone) return only({ ...base, fate: 'stays', how: 'it was dropped since the cutover, and is not made again' });
  if (!before.some(same) && isIn && !hasUnique(context, key.referencedColumns)) {
    return only({
      ...base,
      fate: 'blocks',
      how: `it came after the cutover, and the un-partitioned table has no unique key on (${key.referencedColumns.join(', ')})`,
      fix: `ALTER TABLE ${quoteName(table)} DROP CONSTRAINT ${quoteIdent(name)};`,
    });
  }
  if (!key.mayAlter) return only({ ...base, fate: 'blocks', how: `our role may not alter ${label(table)}` });
  const drop = (on: QualifiedName): Carried['retire'][number] => ({
    sql: `alter table ${quoteName(on)} drop constraint ${quoteIdent(name)}`,
    lock: `ACCESS EXCLUSIVE on ${label(on)} and ${label(references)}`,
    why: 'it is bound to the partitioned table',
  });
  const isChecked = validated && enforced;
  // Both are the table's own: the referenced one has the name by then.
  const on = isOut ? source : table;
  const after = isChecked ? [validate(name, on, isOut && !isIn ? references : source)] : [];
  const add = {
    sql: `alter table ${quoteName(on)} add constraint ${quoteIdent(name)} ${definition}${enforced ? ' not valid' : ''}`,
    lock: `SHARE ROW EXCLUSIVE on ${label(on)} and ${label(references)}`,
    why: 'guards new rows at once',
  };
  const locks = isOut
    ? {
        first:
          isIn || (!standing && leaves.length === 0)
            ? []
            : lockIfAllowed(key.mayLockReferenced, references, 'share row exclusive', 'who writes it, and then the table'),
        next: isIn
          ? []
          : lockIfAllowed(key.mayLockReferenced, references, 'access exclusive', 'its triggers for the foreign key are dropped'),
      }
    : { first: [], next: lockIfAllowed(key.mayLock, table, 'access exclusive', 'its rows are checked against the table') };
  const retire = [...(standing ? [drop(isOut ? source : table)] : []), ...leaves.map(({ leaf }) => drop(leaf))];
  // A partitioned table takes no NOT VALID foreign key before 18: it comes afterwards, and is checked as it is made.
  if (!isOut && key.tableKind === 'p' && version < NOT_VALID_ON_PARTITIONED && enforced) {
    const object = `foreign key ${name} of ${label(table)}`;
    return {
      ...NOTHING,
      ...locks,
      fates: [{ ...base, fate: 'validated after', how: 'as before the cutover, made after the switch' }],
      retire,
      after: [
        { ...add, sql: add.sql.replace(/ not valid$/, ''), object },
        ...commentSteps(name, table, comment).map((step) => ({ ...step, object })),
      ],
    };
  }
  const fate: Fate = {
    ...base,
    fate: isChecked ? 'validated after' : 'moved in the swap',
    how: `as before the cutover${isChecked ? '; made NOT VALID in the swap, validated after it' : ''}`,
  };
  return { ...NOTHING, ...locks, fates: [fate], retire, restore: [add, ...commentSteps(name, on, comment)], after };
}

function hasUnique({ uniqueKeys }: ForeignKeysBack, columns: readonly string[]): boolean {
  const wanted = [...columns].sort().join('\0');
  return uniqueKeys.some((unique) => [...unique].sort().join('\0') === wanted);
}
