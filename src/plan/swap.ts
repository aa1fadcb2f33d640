import { quoteIdent, quoteLiteral, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { OwnedSequence, SourceTable } from '../domain/table.ts';
import { invariant } from '../errors.ts';
import type { AfterStep, Carried } from './attachments/carried.ts';
import { restoreLate, validateLate } from './follow/late.ts';
import { openGuard } from './guard.ts';
import { carriedIndexes, targetIndexes } from './index-sql.ts';
import type { DdlStep, MigrationPlan } from './migration-plan.ts';
import { migrationOf, retiredObjectName, targetObjectName } from './names.ts';
import { refuseWrites } from './refuse-retired.ts';
import { identitySequences } from './target.ts';

export interface Swap {
  /** Before the lock that stops the table's writers: see Carried. */
  readonly first: readonly DdlStep[];
  /** Between that and ACCESS EXCLUSIVE. */
  readonly next: readonly DdlStep[];
  /** In the order in which they run, in the transaction that holds ACCESS EXCLUSIVE on the source. */
  readonly steps: readonly DdlStep[];
  /** Identity columns: the retired table's sequence, and the target's before it takes over the name. */
  readonly identity: readonly { readonly column: string; readonly from: QualifiedName; readonly to: QualifiedName }[];
  /** What runs once the switch is committed. */
  readonly after: readonly AfterStep[];
  /** What becomes of each object, for people and the receipt. */
  readonly objects: readonly { readonly kind: string; readonly name: string; readonly action: string }[];
}

/**
 * The switch: the source and what carries a name of its own go aside, the target takes their names. Constraints that are no
 * index (CHECK, NOT NULL) have names per table and need nothing. Comments, privileges, owner and column settings are on the target already.
 *
 * @param wayBack the stream that writes to the retired table afterwards, null without one.
 */
export function planSwap(table: SourceTable, plan: MigrationPlan, carried: Carried, wayBack: number | null = null): Swap {
  const { source, target, retired } = plan;
  const id = migrationOf(target.name);
  invariant(id !== null, `target "${target.name}" carries no migration's id`);
  const schema = source.schema;
  const owned = ownedSequences(table);
  const identity = identitySequences(table, id);
  const indexes = targetIndexes(table).map(({ index, position }) => ({ index, made: targetObjectName(id, 'i', position) }));
  const steps: DdlStep[] = [
    ...carried.retire,
    ...carriedIndexes(table).map((index) => ({
      sql: `alter index ${quoteName({ schema, name: index.name })} rename to ${quoteIdent(retiredObjectName(id, index.name))}`,
      lock: `SHARE UPDATE EXCLUSIVE on ${schema}.${index.name}`,
      why: 'its name, and its constraint with it, goes to the target',
    })),
    {
      sql: `alter table ${quoteName(source)} rename to ${quoteIdent(retired.name)}`,
      lock: `ACCESS EXCLUSIVE on ${schema}.${source.name}`,
      why: 'the source retires',
    },
    ...refuseWrites(table, retired, id, wayBack),
    ...openGuard(target, id),
    {
      sql: `alter table ${quoteName(target)} rename to ${quoteIdent(source.name)}`,
      lock: `ACCESS EXCLUSIVE on ${schema}.${target.name}`,
      why: 'the partitioned table takes its name',
    },
    ...indexes.map(({ index, made }) => ({
      sql: `alter index ${quoteName({ schema, name: made })} rename to ${quoteIdent(index.name)}`,
      lock: `SHARE UPDATE EXCLUSIVE on ${schema}.${made}`,
      why: 'the name as before',
    })),
    ...table.statistics.flatMap((statistics, position) => renameStatistics(statistics, id, position)),
    ...owned.map(({ column, sequence }) => ({
      sql: `alter sequence ${quoteName(sequence)} owned by ${quoteName(source)}.${quoteIdent(column)}`,
      lock: `SHARE ROW EXCLUSIVE on ${sequence.schema}.${sequence.name}`,
      why: 'the same sequence goes on, and no longer falls with the retired table',
    })),
    ...identity.flatMap((sequences) => takeOverIdentity(sequences, source, id)),
    ...restoreLate(table, plan, source),
    ...carried.restore,
    ...(table.ownerLacks.length === 0
      ? []
      : [
          {
            sql: `revoke ${table.ownerLacks.join(', ').toLowerCase()} on table ${quoteName(source)} from ${quoteIdent(table.owner)}`,
            lock: 'none',
            why: 'what the owner has taken from itself; we needed it until now',
          },
        ]),
  ];
  return {
    first: carried.first,
    next: carried.next,
    steps,
    after: [...validateLate(table, plan, source), ...carried.after],
    identity: identity.map(({ column, from, to }) => ({ column, from, to })),
    objects: [
      { kind: 'table', name: `${schema}.${source.name}`, action: `the partitioned table; the old one is now ${retired.name}` },
      ...indexes.map(({ index }) => ({
        kind: index.constraint ? 'constraint' : 'index',
        name: index.name,
        action: `on every leaf, the same name on the table; the old one is now ${retiredObjectName(id, index.name)}`,
      })),
      ...carriedIndexes(table)
        .filter(({ uniqueness }) => uniqueness === 'per-leaf')
        .map(({ name }) => ({ kind: 'index', name, action: 'on each leaf alone, unique within it, as decided' })),
      ...table.indexes
        .filter(({ uniqueness }) => uniqueness === 'drop')
        .map(({ name }) => ({ kind: 'index', name, action: 'not carried, as decided' })),
      ...table.statistics.map(({ schema: of, name }) => ({
        kind: 'statistics',
        name: `${of}.${name}`,
        action: 'created before, swapped: on the table and on each leaf',
      })),
      ...table.checks.map(({ name }) => ({ kind: 'constraint', name, action: 'on the table and its leaves, the same name' })),
      ...owned.map(({ column, sequence }) => ({
        kind: 'sequence',
        name: `${sequence.schema}.${sequence.name}`,
        action: `goes on, owned by column ${column} of the partitioned table`,
      })),
      ...identity.map(({ column, from }) => ({
        kind: 'sequence',
        name: `${from.schema}.${from.name}`,
        action: `identity of ${column}: a new sequence with the exact state of the old one, which is now ${retiredObjectName(id, from.name)}`,
      })),
      ...carried.fates.map(({ kind, name, fate, how }) => ({ kind, name, action: `${fate}: ${how}` })),
    ],
  };
}

/** Extended statistics have names of their own. */
export function renamer(schema: string): (from: string, to: string, why: string) => DdlStep {
  return (from, to, why) => ({
    sql: `alter statistics ${quoteName({ schema, name: from })} rename to ${quoteIdent(to)}`,
    lock: 'none',
    why,
  });
}

function renameStatistics({ schema, name }: QualifiedName, id: number, position: number): DdlStep[] {
  const rename = renamer(schema);
  return [
    rename(name, retiredObjectName(id, name), 'its name goes to the target’s'),
    rename(targetObjectName(id, 'e', position), name, 'the name as before'),
  ];
}

/**
 * An identity's sequence cannot change hands, so the target has one of its own. Renaming the old one takes ACCESS EXCLUSIVE on
 * it: from there on no nextval moves it, and its state is read and handed on within the same transaction.
 */
function takeOverIdentity(
  { column, always, from, to }: ReturnType<typeof identitySequences>[number],
  source: QualifiedName,
  id: number,
): DdlStep[] {
  const retired = { schema: from.schema, name: retiredObjectName(id, from.name) };
  const moved = { schema: from.schema, name: to.name };
  return [
    {
      sql: `alter sequence ${quoteName(from)} rename to ${quoteIdent(retired.name)}`,
      lock: `ACCESS EXCLUSIVE on ${from.schema}.${from.name}`,
      why: 'stops nextval',
    },
    {
      sql: `select pg_catalog.setval(${regclass(moved)}, last_value, is_called) from ${quoteName(retired)}`,
      lock: `ROW EXCLUSIVE on ${moved.schema}.${moved.name}`,
      why: 'the exact state, whether or not the last value was given out',
    },
    {
      sql: `alter sequence ${quoteName(moved)} rename to ${quoteIdent(from.name)}`,
      lock: `ACCESS EXCLUSIVE on ${moved.schema}.${moved.name}`,
      why: 'the name as before',
    },
    ...(always
      ? [
          {
            sql: `alter table ${quoteName(source)} alter column ${quoteIdent(column)} set generated always`,
            lock: `ACCESS EXCLUSIVE on ${source.schema}.${source.name} and, from PostgreSQL 17, its leaves`,
            why: 'by default it was for the stream alone',
          },
        ]
      : []),
  ];
}

export function regclass(name: QualifiedName): string {
  return `${quoteLiteral(quoteName(name))}::pg_catalog.regclass`;
}

export function ownedSequences(table: SourceTable): { column: string; sequence: OwnedSequence }[] {
  return table.columns.flatMap(({ name, sequence, otherSequences }) =>
    [...(sequence ? [sequence] : []), ...otherSequences]
      .filter(({ dependency }) => dependency === 'a')
      .map((owned) => ({ column: name, sequence: owned })),
  );
}
