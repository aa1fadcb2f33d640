import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import { keyLiteral } from '../domain/partition-key.ts';
import type { LeafRange } from '../domain/leaf-map.ts';
import type { MigrationPlan } from './migration-plan.ts';

/**
 * Keys of a leaf's bound that one of the two tables has and the other has not, as text, at most `limit`.
 * With `$1::text[]` (keys joined as they are printed) only those.
 */
export function compareLeafSql(
  { columns, key, partitionKey, target }: MigrationPlan,
  leaf: QualifiedName,
  { lower, upper }: Pick<LeafRange, 'lower' | 'upper'>,
  limit: number,
): string {
  const names = key.map((i) => quoteIdent(columns[i]!.name));
  const at = quoteIdent(partitionKey.name);
  const within = (alias: string): string =>
    [
      ...(lower === null ? [] : [`${alias}.${at} >= ${keyLiteral(partitionKey.kind, lower)}`]),
      ...(upper === null ? [] : [`${alias}.${at} < ${keyLiteral(partitionKey.kind, upper)}`]),
      'true',
    ].join(' and ');
  const printed = (alias: string): string => `row(${names.map((name) => `${alias}.${name}`).join(', ')})::text`;
  const missing = (from: string, other: string): string =>
    `select ${printed('a')} as key from ${from} a where ${within('a')} and ($1::text[] is null or ${printed('a')} = any($1::text[])) ` +
    `and not exists (select from ${other} b where ${names.map((name) => `b.${name} = a.${name}`).join(' and ')})`;
  const own = quoteName(leaf);
  const kept = `only ${quoteName(target)}`;
  return `select key from (${missing(own, kept)} union all ${missing(kept, own)}) d limit ${limit}`;
}
