import type { Bounds } from '../domain/partition-key.ts';

/** What pg_stats says of the partition key's values, in the key's own unit. */
export interface KeyStatistics {
  /** How well the order of values and of rows on disk agree, -1 to 1; null when unknown. */
  readonly correlation: number | null;
  readonly common: readonly { readonly value: bigint; readonly frequency: number }[];
  /** Ascending; between two neighbours lies an equal share of the values that are not common. */
  readonly histogram: readonly bigint[];
}

/** Estimates how the rows spread over the partition key: from the statistics, or evenly where there are none. */
export class KeyDistribution {
  readonly #min: bigint;
  readonly #max: bigint;
  readonly #common: KeyStatistics['common'];
  readonly #commonShare: number;
  readonly #bins: readonly bigint[];

  constructor(min: bigint, max: bigint, statistics: KeyStatistics | null) {
    this.#min = min;
    this.#max = max;
    this.#common = statistics?.common ?? [];
    this.#commonShare = Math.min(
      1,
      this.#common.reduce((sum, { frequency }) => sum + frequency, 0),
    );
    // The table goes on growing after ANALYZE: the outer bins reach to what the data reaches to now.
    const inner = (statistics?.histogram ?? []).slice(1, -1).filter((bound) => bound > min && bound < max);
    this.#bins = [min, ...inner, max + 1n];
  }

  /** The share of rows below a value, 0 to 1. */
  shareBelow(value: bigint): number {
    if (value <= this.#min) return 0;
    if (value > this.#max) return 1;
    const common = this.#common.reduce((sum, entry) => (entry.value < value ? sum + entry.frequency : sum), 0);
    return Math.min(1, common + (1 - this.#commonShare) * this.#binnedBelow(value));
  }

  /** The share of rows within bounds. */
  shareOf({ lower, upper }: Bounds): number {
    return Math.max(0, (upper === null ? 1 : this.shareBelow(upper)) - (lower === null ? 0 : this.shareBelow(lower)));
  }

  /** Values that cut the bounds into about `parts` parts of as many rows each: ascending, strictly within, fewer where values repeat. */
  cuts({ lower, upper }: Bounds, parts: number): bigint[] {
    const first = lower === null || lower < this.#min ? this.#min : lower;
    const end = upper === null || upper > this.#max ? this.#max + 1n : upper;
    const below = this.shareBelow(first);
    const share = this.shareBelow(end) - below;
    const cuts: bigint[] = [];
    let low = first;
    for (let part = 1; part < parts; part++) {
      const cut = this.#quantile(below + (share * part) / parts, low, end);
      if (cut > low && cut < end) cuts.push(cut);
      low = cut > low ? cut : low;
    }
    return cuts;
  }

  /** The least value in (low, end] that has at least the share below it. */
  #quantile(share: number, low: bigint, end: bigint): bigint {
    let least = low;
    let most = end;
    while (least < most) {
      const middle = (least + most) >> 1n;
      if (this.shareBelow(middle) >= share) most = middle;
      else least = middle + 1n;
    }
    return least;
  }

  #binnedBelow(value: bigint): number {
    let bin = 0;
    let after = this.#bins.length - 1;
    while (after - bin > 1) {
      const middle = (bin + after) >> 1;
      if (this.#bins[middle]! <= value) bin = middle;
      else after = middle;
    }
    const from = this.#bins[bin]!;
    const width = this.#bins[after]! - from;
    const within = width === 0n ? 0 : Number(((value - from) * 1_000_000n) / width) / 1_000_000;
    return (bin + Math.min(1, within)) / (this.#bins.length - 1);
  }
}
