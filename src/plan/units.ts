import type { Bounds } from '../domain/partition-key.ts';
import type { SourceTable } from '../domain/table.ts';
import { KeyDistribution, type KeyStatistics } from './key-distribution.ts';
import type { LeafBounds } from './leaves.ts';
import type { PlannedUnit } from './migration-plan.ts';
import type { PlanOptions } from './options.ts';

export interface UnitsInput {
  readonly table: Pick<SourceTable, 'rowsEstimated' | 'bytes' | 'blocks'>;
  /** Ascending, without a gap. */
  readonly leaves: readonly LeafBounds[];
  /** Whether the leaf held a row when the plan read the data (in a settled snapshot, after the slot). */
  readonly occupied: readonly boolean[];
  /** Least and greatest value of the data, null when the table is empty. */
  readonly extent: { readonly min: bigint; readonly max: bigint } | null;
  /** The present in the key's unit, null for integers. */
  readonly now: bigint | null;
  readonly kind: 'leaf' | 'table';
  readonly statistics: KeyStatistics | null;
  readonly chunkBytes: number;
}

export interface UnitsPlan {
  /** Each at its own number's place. */
  readonly units: readonly PlannedUnit[];
  /** The unit of each leaf. */
  readonly unitOfLeaf: readonly number[];
}

/** More chunks than this help nobody: of a greater unit they are larger. */
const MAX_CHUNKS = 20_000;

/**
 * Rows whose order on disk has little to do with the partition key are read page by page in random order, and most pages once
 * for each chunk. Where a share p of the rows lies anywhere, the correlation is about 1 - p, and a chunk reads its own pages and
 * p times its rows at random: with some 30 rows a page, 0.9 means four times the pages, which a sequential read of the whole beats.
 */
const SCATTERED_BELOW = 0.9;

/** A table that fits into the default shared_buffers is read from memory, in whatever order. 128 MB in blocks of 8 kB. */
const SMALL_BLOCKS = 16_384;

/** Whether the planner can range-scan the partition key: a valid, complete btree leads with it. */
export function hasLeadingIndex(table: SourceTable, partitionKey: string): boolean {
  return table.indexes.some(
    ({ accessMethod, isValid, predicate, keyColumns }) =>
      accessMethod === 'btree' && isValid && predicate === null && keyColumns[0] === partitionKey,
  );
}

/** Leaf by leaf through the index when there is one and it leads to neighbouring rows, else the whole table in its own order. */
export function chooseUnitKind(
  table: SourceTable,
  partitionKey: string,
  statistics: KeyStatistics | null,
  unitKind: PlanOptions['unitKind'],
): 'leaf' | 'table' {
  if (unitKind) return unitKind;
  if (!hasLeadingIndex(table, partitionKey)) return 'table';
  const correlation = statistics?.correlation ?? null;
  return correlation === null || Math.abs(correlation) >= SCATTERED_BELOW || table.blocks <= SMALL_BLOCKS ? 'leaf' : 'table';
}

/** Puts the leaves into units, the units into chunks, and the units into order. */
export function planUnits(input: UnitsInput): UnitsPlan {
  const { leaves, occupied, extent, kind } = input;
  const filled = leaves.map((leaf, i) => ({ leaf, i })).filter(({ i }) => occupied[i]);
  if (!extent || filled.length === 0) return emptyUnits(leaves.length);
  const distribution = new KeyDistribution(extent.min, extent.max, input.statistics);
  return kind === 'leaf' ? leafUnits(input, extent.max, distribution) : tableUnit(input, filled[0]!.i, filled.at(-1)!.i);
}

function emptyUnits(count: number): UnitsPlan {
  const numbers = Array.from({ length: count }, (_, unit) => unit);
  return { units: numbers.map((unit) => emptyUnit(unit)), unitOfLeaf: numbers };
}

function leafUnits({ table, leaves, occupied, now, chunkBytes }: UnitsInput, max: bigint, distribution: KeyDistribution): UnitsPlan {
  const order = loadOrder(leaves, occupied, max, now);
  const units = leaves.map((leaf, unit): PlannedUnit => {
    if (!occupied[unit]) return emptyUnit(unit);
    const share = distribution.shareOf(leaf);
    const bytesEstimated = Math.round(share * table.bytes);
    const cuts = distribution.cuts(leaf, chunkCount(bytesEstimated, chunkBytes));
    return {
      unit,
      kind: 'leaf',
      loadOrder: order.get(unit) ?? 0,
      rowsEstimated: Math.max(1, Math.round(share * table.rowsEstimated)),
      bytesEstimated,
      chunks: rangesBetween(leaf, cuts).map(({ lower, upper }) => ({ lower: lower?.toString() ?? null, upper: upper?.toString() ?? null })),
    };
  });
  return { units, unitOfLeaf: leaves.map((_, unit) => unit) };
}

/** One unit from the first to the last leaf that holds rows: its leaves must follow each other, so empty ones between them belong to it. */
function tableUnit({ table, leaves, chunkBytes }: UnitsInput, first: number, last: number): UnitsPlan {
  const whole: PlannedUnit = {
    unit: 0,
    kind: 'table',
    loadOrder: 0,
    rowsEstimated: Math.max(1, table.rowsEstimated),
    bytesEstimated: table.bytes,
    chunks: blockChunks(table, chunkBytes),
  };
  const units = [whole];
  const unitOfLeaf = leaves.map((_, i) => {
    if (i >= first && i <= last) return 0;
    units.push(emptyUnit(units.length));
    return units.length - 1;
  });
  return { units, unitOfLeaf };
}

/** Block ranges. The last is open: the table grows, and a row that moves to a later page must be found there. */
export function blockChunks({ bytes, blocks: all }: UnitsInput['table'], chunkBytes: number): PlannedUnit['chunks'] {
  const blocks = Math.max(1, Math.ceil(all / chunkCount(bytes, chunkBytes)));
  const cuts: bigint[] = [];
  for (let block = blocks; block < all; block += blocks) cuts.push(BigInt(block));
  return rangesBetween({ lower: 0n, upper: null }, cuts).map(({ lower, upper }) => ({
    lower: lower!.toString(),
    upper: upper?.toString() ?? null,
  }));
}

/** The leaf that takes the traffic first (the one of now, or of the greatest value), then newest to oldest. */
function loadOrder(leaves: readonly LeafBounds[], occupied: readonly boolean[], max: bigint, now: bigint | null): Map<number, number> {
  const filled = leaves.map((_, i) => i).filter((i) => occupied[i]);
  const holds = (value: bigint): number => filled.find((i) => contains(leaves[i]!, value)) ?? -1;
  const current = now === null ? -1 : holds(now);
  const hot = current >= 0 ? current : holds(max);
  const rest = filled.filter((i) => i !== hot).reverse();
  return new Map([...(hot >= 0 ? [hot] : []), ...rest].map((leaf, position) => [leaf, position]));
}

function contains({ lower, upper }: Bounds, value: bigint): boolean {
  return (lower === null || value >= lower) && (upper === null || value < upper);
}

function emptyUnit(unit: number): PlannedUnit {
  return { unit, kind: 'empty', loadOrder: 0, rowsEstimated: 0, bytesEstimated: 0, chunks: [] };
}

function chunkCount(bytes: number, chunkBytes: number): number {
  return Math.min(MAX_CHUNKS, Math.max(1, Math.ceil(bytes / chunkBytes)));
}

function rangesBetween({ lower, upper }: Bounds, cuts: readonly bigint[]): Bounds[] {
  const lowers = [lower, ...cuts];
  const uppers = [...cuts, upper];
  return lowers.map((from, i) => ({ lower: from, upper: uppers[i]! }));
}
