import { KEY_RANGE, infinityOf, minusInfinityOf, type KeyKind } from '../../domain/key-kind.ts';
import { formatKeyText } from '../../domain/key-text.ts';
import { keyLiteral, periodOf, type Step } from '../../domain/partition-key.ts';
import { quoteIdent, quoteName, type QualifiedName } from '../../domain/identifier.ts';
import type { KeyStatistics } from '../key-distribution.ts';
import { passed, warning, type Finding } from './finding.ts';

/** What the statistics say of how the rows spread over the leaves. */
export interface Spread {
  /** Leaves that would hold next to nothing. */
  readonly sparse: number;
  /** Where most rows lie. */
  readonly dense: { readonly from: bigint; readonly to: bigint };
}

/** A leaf holds next to nothing when it has less than this of what the leaf of an average row has … */
const NOTHING = 0.01;
/** … and lies in a stretch of so many of them: a few weak months are no outliers. */
const STRETCH = 12;

/**
 * Between two neighbouring values that the statistics know lies a known share of the rows; spread over many leaves it leaves
 * next to nothing for each. A stray row shows as a long stretch with (almost) no share: to the left of the histogram, to its
 * right, or in the midst of it. Null when there is too little to tell.
 */
export function computeSpread(
  kind: KeyKind,
  step: Step,
  statistics: KeyStatistics,
  { min, max }: { readonly min: bigint; readonly max: bigint },
  from: bigint | null,
): Spread | null {
  const isFinite = (value: bigint): boolean => value !== infinityOf(kind) && value !== minusInfinityOf(kind);
  const histogram = statistics.histogram.filter(isFinite);
  const common = statistics.common.filter(({ value }) => isFinite(value));
  const knots = [...new Set([min, ...histogram, ...common.map(({ value }) => value), max])].sort((a, b) => (a < b ? -1 : 1));
  if (knots.length < 3) return null;
  const binShare =
    histogram.length < 2 ? 0 : Math.max(0, 1 - common.reduce((sum, { frequency }) => sum + frequency, 0)) / (histogram.length - 1);
  const { lower, upper } = periodOf(kind, step, max);
  const width = (upper ?? KEY_RANGE[kind].end) - (lower ?? KEY_RANGE[kind].first);
  const gaps = knots.slice(1).map((end, i) => {
    const begin = knots[i]!;
    // What lies before --from is one leaf.
    const low = from !== null && begin < from ? (from < end ? from : end) : begin;
    return { begin, end, leaves: leavesBetween(width, low, end), share: shareBetween(histogram, binShare, begin, end) };
  });
  const typical = gaps.reduce(
    (sum, { share, leaves }) => sum + (share * share) / Math.max(1, leaves),
    common.reduce((sum, { frequency }) => sum + frequency ** 2, 0),
  );
  const isSparse = ({ share, leaves }: (typeof gaps)[number]): boolean => leaves >= STRETCH && share / leaves < NOTHING * typical;
  // What long stretches of next to nothing keep apart: most rows lie in the heaviest part.
  const frequency = (value: bigint): number => common.find((entry) => entry.value === value)?.frequency ?? 0;
  const parts = [{ from: knots[0]!, to: knots[0]!, weight: frequency(knots[0]!) }];
  for (const gap of gaps) {
    const weight = frequency(gap.end);
    if (isSparse(gap)) parts.push({ from: gap.end, to: gap.end, weight });
    else Object.assign(parts.at(-1)!, { to: gap.end, weight: parts.at(-1)!.weight + gap.share + weight });
  }
  const heaviest = parts.reduce((a, b) => (b.weight > a.weight ? b : a));
  if (heaviest.weight === 0) return null;
  return { sparse: gaps.filter(isSparse).reduce((sum, { leaves }) => sum + leaves, 0), dense: { from: heaviest.from, to: heaviest.to } };
}

/** How many leaves lie between two values, about: by the width that `leaf-count` goes by. */
function leavesBetween(width: bigint, begin: bigint, end: bigint): number {
  return Math.max(0, Number((end - begin) / (width > 0n ? width : 1n)) - 1);
}

/** A bin of the histogram that a common value cuts in two is shared out by length. */
function shareBetween(histogram: readonly bigint[], binShare: number, begin: bigint, end: bigint): number {
  const bin = histogram.findIndex(
    (bound, i) => bound <= begin && end <= (histogram[i + 1] ?? bound) && bound < (histogram[i + 1] ?? bound),
  );
  if (bin === -1) return 0;
  const width = histogram[bin + 1]! - histogram[bin]!;
  return (binShare * Number(((end - begin) * 10_000n) / width)) / 10_000;
}

/** Says it from this share of all leaves on; how many there are at all is the check `leaf-count`. */
const SHARE = 0.2;

export function decideHistogram(
  table: QualifiedName,
  column: { readonly name: string; readonly kind: KeyKind },
  leaves: number,
  range: { readonly min: bigint; readonly max: bigint } | null,
  spread: Spread | null,
  step: Step,
): Finding {
  const id = 'leaf-histogram';
  const name = `${table.schema}.${table.name}.${column.name}`;
  if (range === null) return passed(id, name, 'there is no row');
  if (spread === null)
    return passed(id, name, `not looked at: too few values, or no statistics of the column (ANALYZE ${quoteName(table)};)`);
  const { kind } = column;
  const text = (value: bigint): string => formatKeyText(kind, value);
  const { sparse, dense } = spread;
  const where = `most rows lie from ${text(dense.from)} to ${text(dense.to)}`;
  if (sparse < STRETCH || sparse < leaves * SHARE)
    return passed(id, name, `${where}, by the statistics; ${sparse} leaves would hold next to nothing`);
  const first = periodOf(kind, step, dense.from).lower;
  const advice = [
    ...(range.min < dense.from && first !== null ? [`--from ${quoted(text(first))} puts what lies before it into one leaf`] : []),
    ...(range.max > dense.to
      ? [
          `look whether these rows are meant (SELECT * FROM ${quoteName(table)} WHERE ${quoteIdent(column.name)} > ${keyLiteral(kind, dense.to)})`,
        ]
      : []),
    'or a larger --every',
  ];
  return warning(
    id,
    name,
    `about ${sparse} of ${leaves} leaves would hold next to nothing: ${where}, and the values go from ${text(range.min)} to ${text(range.max)}`,
    advice.join('; '),
  );
}

/** `2024-01-01 00:00:00+00` has a space in it; the time of midnight says nothing. */
function quoted(text: string): string {
  const short = text.replace(/ 00:00:00(\+00)?/, '');
  return short.includes(' ') ? `'${short}'` : short;
}
