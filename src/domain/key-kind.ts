/** Types of a RANGE partition key. Its values are bigints in PostgreSQL's own unit, see KEY_RANGE. */
export type KeyKind = 'timestamptz' | 'timestamp' | 'date' | 'int2' | 'int4' | 'int8';

export interface KeyRange {
  /** First value; for dates and times the first finite one. */
  readonly first: bigint;
  /** One past the last (finite) value. */
  readonly end: bigint;
  /** infinity and -infinity, which lie outside of first and end; null for integers. */
  readonly infinity: bigint | null;
  readonly minusInfinity: bigint | null;
}

const TIMESTAMP: KeyRange = {
  first: -211_813_488_000_000_000n,
  end: 9_223_371_331_200_000_000n,
  infinity: 2n ** 63n - 1n,
  minusInfinity: -(2n ** 63n),
};
const integer = (bits: bigint): KeyRange => ({ first: -(2n ** (bits - 1n)), end: 2n ** (bits - 1n), infinity: null, minusInfinity: null });

/**
 * The values of each kind: microseconds since 2000-01-01 UTC (4714-11-24 BC to 294276), days since 2000-01-01
 * (4714-11-24 BC to 5874897), or the number itself. Infinity is the wire's own: the extremes of int64, of int32 for dates.
 */
export const KEY_RANGE: Readonly<Record<KeyKind, KeyRange>> = {
  timestamptz: TIMESTAMP,
  timestamp: TIMESTAMP,
  date: { first: -2_451_545n, end: 2_145_031_949n, infinity: 2n ** 31n - 1n, minusInfinity: -(2n ** 31n) },
  int2: integer(16n),
  int4: integer(32n),
  int8: integer(64n),
};

const KIND_BY_TYPE: Readonly<Record<number, KeyKind>> = {
  1184: 'timestamptz',
  1114: 'timestamp',
  1082: 'date',
  21: 'int2',
  23: 'int4',
  20: 'int8',
};

/** The kind of a column by its pg_type oid (of built-in types they never change); null when it cannot be a partition key. */
export function keyKindOf(typeOid: number): KeyKind | null {
  return KIND_BY_TYPE[typeOid] ?? null;
}

/** What the kind calls infinity; null for integers. */
export function infinityOf(kind: KeyKind): bigint | null {
  return KEY_RANGE[kind].infinity;
}

export function isIntegerKind(kind: KeyKind): kind is 'int2' | 'int4' | 'int8' {
  return kind === 'int2' || kind === 'int4' || kind === 'int8';
}

/** What the kind calls -infinity; null for integers. */
export function minusInfinityOf(kind: KeyKind): bigint | null {
  return KEY_RANGE[kind].minusInfinity;
}

/** A moment (microseconds since 2000-01-01 UTC) as a value of the kind; null for integers. */
export function fromMoment(kind: KeyKind, moment: bigint): bigint | null {
  if (isIntegerKind(kind)) return null;
  if (kind !== 'date') return moment;
  const day = 86_400_000_000n;
  return moment >= 0n ? moment / day : (moment - day + 1n) / day;
}
