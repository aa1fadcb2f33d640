import { editDistance } from '../../domain/edit-distance.ts';
import { quoteName, type QualifiedName } from '../../domain/identifier.ts';
import type { SourceTable } from '../../domain/table.ts';
import { leafObjectName, retiredName, retiredObjectName, targetName, targetObjectName } from '../names.ts';
import { blocker, passed, warning, type Finding } from './finding.ts';

export interface TakenName {
  readonly name: string;
  readonly kind: string;
}

/** Every name that the migration makes in the table's schema. */
export function listMadeNames(table: SourceTable, leaves: readonly { readonly name: string }[], id: number): string[] {
  const ofLeaves = leaves.flatMap((leaf) => {
    const taken = new Set<string>();
    return [leaf.name, ...table.indexes.map((index) => leafObjectName(leaf.name, table.name, index.name, taken))];
  });
  const sequences = table.columns.flatMap(({ attnum, identity, sequence }) =>
    identity === '' || sequence === null ? [] : [targetObjectName(id, 's', attnum), retiredObjectName(id, sequence.name)],
  );
  const indexes = table.indexes.flatMap((index, position) => [targetObjectName(id, 'i', position), retiredObjectName(id, index.name)]);
  return [targetName(id, table.name), retiredName(id, table.name), ...indexes, ...sequences, ...ofLeaves];
}

/** `made` is how many names were looked for. */
export function decideNames(taken: readonly TakenName[], made: number, table: QualifiedName): Finding[] {
  if (taken.length === 0)
    return [passed('names-free', table.schema, `none of the ${made} names that are made is taken in schema ${table.schema}`)];
  return taken.map(({ name, kind }) => {
    const object = `${table.schema}.${name}`;
    const noun = kind === 'relation' ? 'TABLE' : kind.replace('partitioned ', '').replace('composite ', '').toUpperCase();
    return blocker(
      'names-free',
      object,
      `the name ${object}, which the migration would make, is taken by a ${kind}`,
      `ALTER ${noun} ${quoteName({ schema: table.schema, name })} RENAME TO …;`,
    );
  });
}

/** An open migration owns these names itself. */
export function decideOpenMigration(migration: { readonly id: number; readonly phase: string } | null, table: QualifiedName): Finding {
  const name = `${table.schema}.${table.name}`;
  if (migration === null) return passed('migration', name, 'no migration of it has begun');
  return migration.phase === 'failed'
    ? warning('migration', name, `migration ${migration.id} of ${name} has failed`)
    : passed('migration', name, `migration ${migration.id} of it is there, in phase ${migration.phase}: start resumes it`);
}

/** Names close to a mistyped one, nearest first, at most three. */
export function listNearest(wanted: string, candidates: readonly string[]): string[] {
  const word = wanted.toLowerCase();
  const limit = Math.max(2, Math.floor(word.length / 3));
  return candidates
    .map((candidate) => ({ candidate, distance: distanceOf(word, candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** A part of a name (`created` of `created_at`) is as good as one wrong letter. */
function distanceOf(word: string, candidate: string): number {
  if (word === candidate) return 0;
  if (word.length >= 3 && (candidate.startsWith(word) || word.startsWith(candidate))) return 1;
  return editDistance(word, candidate);
}
