import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { invariant } from '../errors.ts';
import type { Carried } from './attachments/carried.ts';
import { carriedIndexes, targetIndexes } from './index-sql.ts';
import type { DdlStep, MigrationPlan } from './migration-plan.ts';
import { migrationOf, retiredObjectName, targetObjectName } from './names.ts';
import { allowWrites } from './refuse-retired.ts';
import { ownedSequences, regclass, renamer, type Swap } from './swap.ts';
import { identitySequences } from './target.ts';

/**
 * The switch back, `planSwap` the other way round: every name goes to where it was before the cutover. The partitioned table is the
 * target again, under the target's names, so that the next cutover finds what the first one found.
 *
 * @param table the un-partitioned table as it was before the cutover.
 * @param plan the migration's own, not that of the way back.
 */
export function planSwapBack(table: SourceTable, plan: MigrationPlan, carried: Carried): Swap {
  const { source, target, retired } = plan;
  const id = migrationOf(target.name);
  invariant(id !== null, `target "${target.name}" carries no migration's id`);
  const schema = source.schema;
  const owned = ownedSequences(table);
  const identity = identitySequences(table, id);
  const indexes = targetIndexes(table).map(({ index, position }) => ({ index, made: targetObjectName(id, 'i', position) }));
  const renameIndex = (from: string, to: string, why: string): DdlStep => ({
    sql: `alter index ${quoteName({ schema, name: from })} rename to ${quoteIdent(to)}`,
    lock: `SHARE UPDATE EXCLUSIVE on ${schema}.${from}`,
    why,
  });
  const renameTable = (from: QualifiedName, to: string, why: string): DdlStep => ({
    sql: `alter table ${quoteName(from)} rename to ${quoteIdent(to)}`,
    lock: `ACCESS EXCLUSIVE on ${from.schema}.${from.name}`,
    why,
  });
  return {
    first: carried.first,
    next: carried.next,
    steps: [
      ...carried.retire,
      ...indexes.map(({ index, made }) => renameIndex(index.name, made, 'its name goes back')),
      renameTable(source, target.name, 'the partitioned table is the target again'),
      ...allowWrites(retired, id),
      renameTable(retired, source.name, 'the table takes its name back'),
      ...carriedIndexes(table).map(({ name }) => renameIndex(retiredObjectName(id, name), name, 'the name as before')),
      ...table.statistics.flatMap(({ schema: of, name }, position) => {
        const rename = renamer(of);
        return [
          rename(name, targetObjectName(id, 'e', position), 'its name goes back'),
          rename(retiredObjectName(id, name), name, 'the name as before'),
        ];
      }),
      ...owned.map(({ column, sequence }) => ({
        sql: `alter sequence ${quoteName(sequence)} owned by ${quoteName(source)}.${quoteIdent(column)}`,
        lock: `SHARE ROW EXCLUSIVE on ${sequence.schema}.${sequence.name}`,
        why: 'the same sequence goes on',
      })),
      ...identity.flatMap((sequences) => giveIdentityBack(sequences, plan, id)),
      ...carried.restore,
      ...ownerLacks(table, plan),
    ],
    after: carried.after,
    identity: identity.map(({ column, from, to }) => ({ column, from, to })),
    objects: [
      { kind: 'table', name: `${schema}.${source.name}`, action: `the un-partitioned table; the partitioned one is now ${target.name}` },
      ...indexes.map(({ index }) => ({ kind: index.constraint ? 'constraint' : 'index', name: index.name, action: 'that of the table' })),
      ...owned.map(({ sequence }) => ({ kind: 'sequence', name: `${sequence.schema}.${sequence.name}`, action: 'goes on' })),
      ...identity.map(({ column, from }) => ({
        kind: 'sequence',
        name: `${from.schema}.${from.name}`,
        action: `identity of ${column}: the table's own, with the exact state of the partitioned table's`,
      })),
      ...carried.fates.map(({ kind, name, fate, how }) => ({ kind, name, action: `${fate}: ${how}` })),
    ],
  };
}

/** The rename takes ACCESS EXCLUSIVE on the sequence: from there on no nextval moves it. */
function giveIdentityBack(
  { column, always, from, to }: ReturnType<typeof identitySequences>[number],
  { source, target }: MigrationPlan,
  id: number,
): DdlStep[] {
  const own = { schema: from.schema, name: retiredObjectName(id, from.name) };
  const gone = { schema: from.schema, name: to.name };
  const step = (sql: string, lock: string, why: string): DdlStep => ({ sql, lock, why });
  return [
    step(
      `alter sequence ${quoteName(from)} rename to ${quoteIdent(gone.name)}`,
      `ACCESS EXCLUSIVE on ${from.schema}.${from.name}`,
      'stops nextval',
    ),
    step(
      `select pg_catalog.setval(${regclass(own)}, last_value, is_called) from ${quoteName(gone)}`,
      `ROW EXCLUSIVE on ${own.schema}.${own.name}`,
      'the exact state, whether or not the last value was given out',
    ),
    step(
      `alter sequence ${quoteName(own)} rename to ${quoteIdent(from.name)}`,
      `ACCESS EXCLUSIVE on ${own.schema}.${own.name}`,
      'the name as before',
    ),
    ...(always
      ? [
          step(
            `alter table ${quoteName(source)} alter column ${quoteIdent(column)} set generated always`,
            `ACCESS EXCLUSIVE on ${source.schema}.${source.name}`,
            'by default it was for the stream alone',
          ),
          step(
            `alter table ${quoteName(target)} alter column ${quoteIdent(column)} set generated by default`,
            `ACCESS EXCLUSIVE on ${target.schema}.${target.name} and, from PostgreSQL 17, its leaves`,
            'for the stream',
          ),
        ]
      : []),
  ];
}

/** What the owner has taken from itself is taken from the table in charge alone; the stream needs it on the other one. */
function ownerLacks({ owner, ownerLacks: lacks }: SourceTable, { source, target }: MigrationPlan): DdlStep[] {
  if (lacks.length === 0) return [];
  const privileges = lacks.join(', ').toLowerCase();
  return [
    {
      sql: `revoke ${privileges} on table ${quoteName(source)} from ${quoteIdent(owner)}`,
      lock: 'none',
      why: 'what the owner has taken from itself',
    },
    { sql: `grant ${privileges} on table ${quoteName(target)} to ${quoteIdent(owner)}`, lock: 'none', why: 'the stream needs it' },
  ];
}
