import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import type { AfterStep, Carried } from './attachments/carried.ts';
import { carriedIndexes } from './index-sql.ts';
import type { DdlStep, MigrationPlan } from './migration-plan.ts';
import { retiredObjectName, targetObjectName } from './names.ts';
import { refuseWrites } from './refuse-retired.ts';
import { handOverState, indexRenamer, ownSequence, renameTable, statisticsRenamer, swapParts, type SwapParts } from './swap-parts.ts';

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
  const { id, schema, owned, identity, indexes } = swapParts(table, plan);
  const renameIndex = indexRenamer(schema);
  const steps: DdlStep[] = [
    ...carried.retire,
    ...carriedIndexes(table).map(({ name }) =>
      renameIndex(name, retiredObjectName(id, name), 'its name, and its constraint with it, goes to the target'),
    ),
    renameTable(source, retired.name, 'the source retires'),
    ...refuseWrites(table, retired, id, wayBack),
    renameTable(target, source.name, 'the partitioned table takes its name'),
    ...indexes.map(({ index, made }) => renameIndex(made, index.name, 'the name as before')),
    ...table.statistics.flatMap((statistics, position) => renameStatistics(statistics, id, position)),
    ...owned.map(({ column, sequence }) =>
      ownSequence(sequence, source, column, 'the same sequence goes on, and no longer falls with the retired table'),
    ),
    ...identity.flatMap((sequences) => takeOverIdentity(sequences, source, id)),
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
    after: carried.after,
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

function renameStatistics({ schema, name }: QualifiedName, id: number, position: number): DdlStep[] {
  const rename = statisticsRenamer(schema);
  return [
    rename(name, retiredObjectName(id, name), 'its name goes to the target’s'),
    rename(targetObjectName(id, 'e', position), name, 'the name as before'),
  ];
}

function takeOverIdentity({ column, always, from, to }: SwapParts['identity'][number], source: QualifiedName, id: number): DdlStep[] {
  return [
    ...handOverState(from, retiredObjectName(id, from.name), { schema: from.schema, name: to.name }),
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
