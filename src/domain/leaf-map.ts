/** A leaf's place in the partition key's order. Bounds as in partition-key.ts; null means MINVALUE or MAXVALUE. */
export interface LeafRange {
  readonly leaf: number;
  readonly name: string;
  readonly unit: number;
  readonly lower: bigint | null;
  readonly upper: bigint | null;
}

/** Finds the leaf of a value by binary search; leaves never overlap. */
export class LeafMap {
  #leaves: LeafRange[];
  #last: LeafRange | null = null;

  constructor(leaves: readonly LeafRange[]) {
    this.#leaves = [...leaves].sort(compareLower);
  }

  get leaves(): readonly LeafRange[] {
    return this.#leaves;
  }

  find(value: bigint): LeafRange | null {
    if (this.#last && contains(this.#last, value)) return this.#last; // neighbours in time are neighbours in the stream
    const after = this.#firstAfter(value);
    const candidate = this.#leaves[after - 1];
    if (!candidate || !contains(candidate, value)) return null;
    return (this.#last = candidate);
  }

  /** The period around a value, cut where leaves that exist begin and end. The value must lie in no leaf. */
  gap(value: bigint, period: { lower: bigint | null; upper: bigint | null }): { lower: bigint | null; upper: bigint | null } {
    const after = this.#firstAfter(value);
    const before = this.#leaves[after - 1]?.upper ?? null;
    const next = this.#leaves[after]?.lower ?? null;
    return {
      lower: period.lower === null || (before !== null && before > period.lower) ? (before ?? period.lower) : period.lower,
      upper: period.upper === null || (next !== null && next < period.upper) ? (next ?? period.upper) : period.upper,
    };
  }

  /** What no leaf has between a leaf and the one before it, and behind the last one. */
  gapsBeside({ leaf: number }: LeafRange): { lower: bigint | null; upper: bigint | null }[] {
    const at = this.#leaves.findIndex(({ leaf }) => leaf === number);
    const { lower, upper } = this.#leaves[at]!;
    const before = this.#leaves[at - 1]?.upper ?? null;
    return [
      ...(lower === null || before === lower ? [] : [{ lower: before, upper: lower }]),
      ...(upper === null || at < this.#leaves.length - 1 ? [] : [{ lower: upper, upper: null }]),
    ];
  }

  add(leaf: LeafRange): void {
    this.#leaves = [...this.#leaves, leaf].sort(compareLower);
    this.#last = null;
  }

  /** Index of the first leaf that begins after the value. */
  #firstAfter(value: bigint): number {
    let low = 0;
    let high = this.#leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { lower } = this.#leaves[middle]!;
      if (lower === null || lower <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function contains({ lower, upper }: LeafRange, value: bigint): boolean {
  return (lower === null || value >= lower) && (upper === null || value < upper);
}

function compareLower(a: LeafRange, b: LeafRange): number {
  if (a.lower === b.lower) return 0;
  if (a.lower === null) return -1;
  if (b.lower === null) return 1;
  return a.lower < b.lower ? -1 : 1;
}
