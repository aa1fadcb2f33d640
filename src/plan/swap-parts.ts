import { quoteIdent, quoteLiteral, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { Index, OwnedSequence, SourceTable } from '../domain/table.ts';
import { invariant } from '../errors.ts';
import { targetIndexes } from './index-sql.ts';
import type { DdlStep, MigrationPlan } from './migration-plan.ts';
import { migrationOf, targetObjectName } from './names.ts';
import { identitySequences } from './target.ts';

/** What both directions of the switch rename and hand over. */
export interface SwapParts {
  readonly id: number;
  readonly schema: string;
  readonly owned: readonly { readonly column: string; readonly sequence: OwnedSequence }[];
  readonly identity: ReturnType<typeof identitySequences>;
  /** The target's indexes, and the names under which they were made. */
  readonly indexes: readonly { readonly index: Index; readonly made: string }[];
}

/** @param table the un-partitioned table as the migration found it. */
export function swapParts(table: SourceTable, { source, target }: MigrationPlan): SwapParts {
  const id = migrationOf(target.name);
  invariant(id !== null, `target "${target.name}" carries no migration's id`);
  return {
    id,
    schema: source.schema,
    owned: ownedSequences(table),
    identity: identitySequences(table, id),
    indexes: targetIndexes(table).map(({ index, position }) => ({ index, made: targetObjectName(id, 'i', position) })),
  };
}

export function renameTable(from: QualifiedName, to: string, why: string): DdlStep {
  return {
    sql: `alter table ${quoteName(from)} rename to ${quoteIdent(to)}`,
    lock: `ACCESS EXCLUSIVE on ${from.schema}.${from.name}`,
    why,
  };
}

/** Indexes, and the constraints they serve. */
export function indexRenamer(schema: string): (from: string, to: string, why: string) => DdlStep {
  return (from, to, why) => ({
    sql: `alter index ${quoteName({ schema, name: from })} rename to ${quoteIdent(to)}`,
    lock: `SHARE UPDATE EXCLUSIVE on ${schema}.${from}`,
    why,
  });
}

/** Extended statistics have names of their own. */
export function statisticsRenamer(schema: string): (from: string, to: string, why: string) => DdlStep {
  return (from, to, why) => ({
    sql: `alter statistics ${quoteName({ schema, name: from })} rename to ${quoteIdent(to)}`,
    lock: 'none',
    why,
  });
}

export function ownSequence(sequence: QualifiedName, owner: QualifiedName, column: string, why: string): DdlStep {
  return {
    sql: `alter sequence ${quoteName(sequence)} owned by ${quoteName(owner)}.${quoteIdent(column)}`,
    lock: `SHARE ROW EXCLUSIVE on ${sequence.schema}.${sequence.name}`,
    why,
  };
}

/**
 * An identity's sequence cannot change hands, so each table has one of its own. The one goes aside, which takes ACCESS EXCLUSIVE on it: from there on no
 * nextval moves it, and its state is read and handed on to the other, which takes its name, within the same transaction.
 */
export function handOverState(from: QualifiedName, aside: string, to: QualifiedName): DdlStep[] {
  const rename = (sequence: QualifiedName, name: string, why: string): DdlStep => ({
    sql: `alter sequence ${quoteName(sequence)} rename to ${quoteIdent(name)}`,
    lock: `ACCESS EXCLUSIVE on ${sequence.schema}.${sequence.name}`,
    why,
  });
  return [
    rename(from, aside, 'stops nextval'),
    {
      sql: `select pg_catalog.setval(${regclass(to)}, last_value, is_called) from ${quoteName({ schema: from.schema, name: aside })}`,
      lock: `ROW EXCLUSIVE on ${to.schema}.${to.name}`,
      why: 'the exact state, whether or not the last value was given out',
    },
    rename(to, from.name, 'the name as before'),
  ];
}

function regclass(name: QualifiedName): string {
  return `${quoteLiteral(quoteName(name))}::pg_catalog.regclass`;
}

function ownedSequences(table: SourceTable): SwapParts['owned'] {
  return table.columns.flatMap(({ name, sequence, otherSequences }) =>
    [...(sequence ? [sequence] : []), ...otherSequences]
      .filter(({ dependency }) => dependency === 'a')
      .map((owned) => ({ column: name, sequence: owned })),
  );
}
