import { tableWord } from '../domain/command-word.ts';
import { quoteName } from '../domain/identifier.ts';
import type { LeafRange } from '../domain/leaf-map.ts';
import { parseKeyText, type KeyKind } from '../domain/partition-key.ts';
import { MigratorError } from '../errors.ts';

/** A partition as the catalog has it (sql/rollback/leaves). */
export interface CatalogLeaf {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** `FOR VALUES FROM ('2026-01-01 00:00:00+00') TO (MAXVALUE)`, or DEFAULT. */
  readonly bound: string;
  /** Null for a leaf that is partitioned itself. */
  readonly filenode: string | null;
  /** Its own, which it does not have from its table. */
  readonly foreignKeys: readonly string[];
  readonly triggers: readonly string[];
  /** Foreign keys of other tables, `app.note.note_fkey`. */
  readonly referencedBy: readonly string[];
}

interface LeavesBack {
  readonly schema: string;
  readonly kind: KeyKind;
  readonly table: string;
  /** Those of the table, which leaves may have by themselves. */
  readonly foreignKeys: ReadonlySet<string>;
}

/**
 * The leaves that were added while the partitioned table was in charge: the stream that begins anew has to know them. Refuses by name what
 * would let the two tables differ: a leaf that is gone (its rows are still in the un-partitioned table), other bounds, a DEFAULT partition.
 */
export function planLeavesBack(
  known: readonly LeafRange[],
  now: readonly CatalogLeaf[],
  { schema, kind, table, foreignKeys }: LeavesBack,
): LeafRange[] {
  const refuse = (message: string, hint: string): never => {
    throw new MigratorError('PREFLIGHT_REFUSED', message, { detail: 'nothing was switched', hint });
  };
  const leaves = now.map((leaf) => {
    const name = quoteName(leaf);
    const bounds = parseBound(leaf.bound, kind);
    if (!bounds)
      return refuse(
        `partition ${name} (${leaf.bound}) has bounds that the stream does not know`,
        `ALTER TABLE ${table} DETACH PARTITION ${name};`,
      );
    if (leaf.schema !== schema)
      return refuse(`partition ${name} lies in another schema than its table`, `ALTER TABLE ${name} SET SCHEMA ${schema};`);
    const own = [...leaf.triggers, ...leaf.foreignKeys.filter((key) => !foreignKeys.has(key)), ...leaf.referencedBy];
    if (own.length > 0)
      return refuse(
        `partition ${name} has what its table has not: ${own.join(', ')}`,
        'drop it: it would act on what the stream writes there',
      );
    return { name: leaf.name, ...bounds };
  });
  for (const { name, lower, upper } of known) {
    const leaf = leaves.find((other) => other.name === name);
    if (!leaf) {
      return refuse(
        `partition ${name} was detached or dropped since the cutover: its rows are still in the un-partitioned table`,
        `attach it again; without it there is no way back, and partitioner finish ${tableWord(table)} ends it`,
      );
    }
    if (leaf.lower !== lower || leaf.upper !== upper)
      return refuse(`partition ${name} has other bounds than at the cutover`, 'give it those that it had');
  }
  const first = { leaf: Math.max(-1, ...known.map(({ leaf }) => leaf)) + 1, unit: Math.max(-1, ...known.map(({ unit }) => unit)) + 1 };
  return leaves
    .filter(({ name }) => !known.some((leaf) => leaf.name === name))
    .map((leaf, position) => ({ ...leaf, leaf: first.leaf + position, unit: first.unit + position }));
}

/**
 * Leaves that may hold other rows than the stream has brought: attached since the cutover with rows in them, or truncated by their own name,
 * neither of which is sent. A rewrite (VACUUM FULL) looks the same. They are compared before the switch back.
 */
export function suspiciousLeaves(before: Readonly<Record<string, string | null>>, now: readonly CatalogLeaf[]): CatalogLeaf[] {
  return now.filter(({ oid, filenode }) => filenode === null || before[oid] !== filenode);
}

/** Null for what is no range of one column. */
export function parseBound(bound: string, kind: KeyKind): { lower: bigint | null; upper: bigint | null } | null {
  const match = /^FOR VALUES FROM \((.*)\) TO \((.*)\)$/.exec(bound);
  if (!match) return null;
  const value = (text: string): bigint | null => (/^M(IN|AX)VALUE$/.test(text) ? null : parseKeyText(kind, text.replace(/^'(.*)'$/, '$1')));
  try {
    return { lower: value(match[1]!), upper: value(match[2]!) };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
