import type { ObjectChange } from '../../domain/definition.ts';
import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import type { Index, SourceTable } from '../../domain/table.ts';
import { carriedIndexes, targetIndexes } from '../index-sql.ts';
import { leafIndexNames } from '../leaf.ts';
import type { DdlStep } from '../migration-plan.ts';
import { targetObjectName } from '../names.ts';
import { CannotFollow, type Followed, type FollowContext } from './rule.ts';

/**
 * Dropped indexes go at once, renamed ones are renamed; new ones are built leaf by leaf while the stream is followed (see owedIndexes). The target's are
 * named by their positions, so those that stay move to their new ones.
 */
export function followIndexes(
  changes: readonly ObjectChange[],
  before: SourceTable,
  now: SourceTable,
  { id, plan, leaves }: FollowContext,
): Followed {
  const changed = changes.filter(({ kind }) => kind === 'index');
  if (changed.length === 0) return { what: [], steps: [] };
  const gone = changed.filter(({ before: was }) => was !== null);
  const come = changed.filter(({ now: row }) => row !== null);
  for (const { before: was } of gone) stopAtKey(was!);
  for (const { now: row } of come) stopAtNew(row!, now, plan.partitionKey.name);
  // A renamed index is one that is gone and one that came, alike in all but the name.
  const renamed = new Map<string, string>();
  for (const { before: was } of gone) {
    const other = come.find(({ now: row }) => isAlike(was!, row!) && ![...renamed.values()].includes(String(row!.relname)));
    if (other && other.now!.relname !== was!.relname) renamed.set(String(was!.relname), String(other.now!.relname));
  }
  const dropped = new Set(gone.map(({ before: was }) => String(was!.relname)).filter((name) => !renamed.has(name)));
  const stays = (index: Index): string | null => (dropped.has(index.name) ? null : (renamed.get(index.name) ?? index.name));
  const schema = plan.target.schema;
  const step = (sql: string, on: string): DdlStep => ({
    sql,
    lock: `ACCESS EXCLUSIVE on ${schema}.${on}`,
    why: 'the source was altered likewise',
  });
  const nameOf = (position: number): QualifiedName => ({ schema, name: targetObjectName(id, 'i', position) });

  const drops = targetIndexes(before)
    .filter(({ index }) => dropped.has(index.name))
    .map(({ index, position }) => step(dropSql(index, plan.target, nameOf(position)), plan.target.name));
  const positions = new Map(targetIndexes(now).map(({ index, position }) => [index.name, position]));
  const moves = targetIndexes(before).flatMap(({ index, position }) => {
    const to = positions.get(stays(index) ?? '');
    return to === undefined || to === position
      ? []
      : [{ from: nameOf(position), to: nameOf(to), over: { schema, name: `${nameOf(position).name}_moved` } }];
  });
  const rename = (from: QualifiedName, to: QualifiedName): DdlStep =>
    step(`alter index if exists ${quoteName(from)} rename to ${quoteIdent(to.name)}`, from.name);
  const onLeaves = leaves.flatMap((leaf) => {
    const olds = leafIndexNames(before, leaf.name);
    const news = leafIndexNames(now, leaf.name);
    return carriedIndexes(before).flatMap((index): DdlStep[] => {
      const from = { schema, name: olds.get(index.name)! };
      const to = stays(index);
      if (to === null) return [step(dropSql(index, leaf, from), leaf.name)];
      const name = news.get(to);
      return name === undefined || name === from.name ? [] : [rename(from, { schema, name })];
    });
  });
  const isNew = ({ now: row }: ObjectChange): boolean => ![...renamed.values()].includes(String(row!.relname));
  return {
    what: [
      ...[...renamed].map(([from, to]) => `index "${from}" was renamed to "${to}"`),
      ...[...dropped].map((name) => `index "${name}" was dropped`),
      ...come.filter(isNew).map(({ now: row }) => `index "${String(row!.relname)}" was added`),
    ],
    steps: [...drops, ...moves.map(({ from, over }) => rename(from, over)), ...moves.map(({ over, to }) => rename(over, to)), ...onLeaves],
  };
}

/** The indexes that the target is to have and has not, by the names that it has. */
export function owedIndexes(
  table: SourceTable,
  id: number,
  there: ReadonlySet<string>,
): readonly { readonly index: Index; readonly name: string }[] {
  return targetIndexes(table)
    .map(({ index, position }) => ({ index, name: targetObjectName(id, 'i', position) }))
    .filter(({ name }) => !there.has(name));
}

/** What an attached leaf had has gone with the target's. */
function dropSql({ constraint }: Index, on: QualifiedName, name: QualifiedName): string {
  return constraint
    ? `alter table ${quoteName(on)} drop constraint if exists ${quoteIdent(name.name)}`
    : `drop index if exists ${quoteName(name)}`;
}

function stopAtKey(row: ObjectChange['before'] & object): void {
  const name = String(row.relname);
  if (row.indisprimary === true)
    throw new CannotFollow(`the primary key "${name}" was dropped or altered, and it tells the rows of the change stream`);
  if (row.indisreplident === true) throw new CannotFollow(`index "${name}" is the replica identity, and was dropped or altered`);
}

function stopAtNew(row: ObjectChange['now'] & object, table: SourceTable, partitionKey: string): void {
  stopAtKey(row);
  const name = String(row.relname);
  if (row.indisexclusion === true) throw new CannotFollow(`an exclusion constraint "${name}" was added, which is not carried`);
  const index = table.indexes.find((candidate) => candidate.name === name);
  if (!index) throw new CannotFollow(`index "${name}" is no more`);
  if (index.wholeRow === true) throw new CannotFollow(`index "${name}" names the row as a whole`);
  if (index.isUnique && index.uniqueness === undefined && !index.keyColumns.includes(partitionKey))
    throw new CannotFollow(
      `index "${name}" is unique without the partition column "${partitionKey}", which asks for a decision (start --decide unique:${name}=…)`,
    );
}

function isAlike(a: object, b: object): boolean {
  return JSON.stringify({ ...a, relname: '' }) === JSON.stringify({ ...b, relname: '' });
}
