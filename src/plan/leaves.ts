import { MigratorError } from '../errors.ts';
import { infinityOf, keyLiteral, leafName, periodOf, type KeyKind, type Step } from '../domain/partition-key.ts';

/** What the leaves are computed from; values as in partition-key.ts. */
export interface LeavesInput {
  readonly table: string;
  readonly kind: KeyKind;
  readonly step: Step;
  /** Least and greatest value of the data, null when there is none. */
  readonly min: bigint | null;
  readonly max: bigint | null;
  /** The present, null for integers. */
  readonly now: bigint | null;
  /** Leaves after the one that holds now, or the greatest value. */
  readonly premake: number;
  /** Lower bound of the first leaf. */
  readonly from?: bigint | undefined;
}

export interface LeafBounds {
  readonly name: string;
  readonly lower: bigint | null;
  readonly upper: bigint | null;
}

/** Every leaf is a table with indexes and files of its own; plans and locks grow with their number. */
export const MAX_LEAVES = 5_000;

/**
 * The leaves, ascending and without a gap: they cover the data and the present, and some periods ahead. With `from`, what
 * lies before it goes into an edge leaf from MINVALUE, which is made only when there is such data. Infinity is never planned.
 */
export function planLeaves({ table, kind, step, min, max, now, premake, from }: LeavesInput): LeafBounds[] {
  const known = [min, max, now].filter((value) => value !== null);
  const low = from ?? (known.length > 0 ? known.reduce((a, b) => (a < b ? a : b)) : 0n);
  const high = known.reduce((a, b) => (a > b ? a : b), low);
  const leaves: LeafBounds[] = [];
  if (from !== undefined && min !== null && min < from) leaves.push({ name: leafName(table, kind, step, null), lower: null, upper: from });
  let ahead = 0;
  let period = periodOf(kind, step, low);
  let lower = from ?? period.lower;
  for (;;) {
    leaves.push({ name: leafName(table, kind, step, lower), lower, upper: period.upper });
    if (leaves.length > MAX_LEAVES) throw tooMany(kind, low, high);
    if (period.upper === null || period.upper === infinityOf(kind)) return leaves; // the type ends here
    if (period.upper > high && ahead++ >= premake) return leaves;
    lower = period.upper;
    period = periodOf(kind, step, lower);
  }
}

function tooMany(kind: KeyKind, low: bigint, high: bigint): MigratorError {
  return new MigratorError('PREFLIGHT_REFUSED', `the partitioning has more than ${MAX_LEAVES} leaves`, {
    detail: `values go from ${keyLiteral(kind, low)} to ${keyLiteral(kind, high)}`,
    hint: 'choose a greater --every, or --from, which puts what lies before it into one leaf; a lone value far off may be a mistake in the data',
  });
}
