import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LeafMap, type LeafRange } from '../../src/domain/leaf-map.ts';
import { joinIntervals } from '../../src/plan/resync-sql.ts';

function leaf(number: number, lower: bigint | null, upper: bigint | null): LeafRange {
  return { leaf: number, name: `leaf${number}`, unit: number, lower, upper };
}

describe('LeafMap', () => {
  test('knows what lies beside a leaf, and in none', () => {
    const own = [leaf(1, 0n, 10n), leaf(2, 20n, 30n), leaf(3, 30n, 50n)];
    const leaves = new LeafMap(own);
    expect(own.map((each) => leaves.gapsBeside(each))).toEqual([
      [{ lower: null, upper: 0n }],
      [{ lower: 10n, upper: 20n }],
      [{ lower: 50n, upper: null }],
    ]);
    const open = [leaf(0, null, 5n), leaf(1, 5n, null)];
    expect(open.map((each) => new LeafMap(open).gapsBeside(each))).toEqual([[], []]);
    const one = leaf(0, 3n, 5n);
    expect(new LeafMap([one]).gapsBeside(one)).toEqual([
      { lower: null, upper: 3n },
      { lower: 5n, upper: null },
    ]);
  });

  test('finds the leaf of a value, or none', () => {
    const leaves = new LeafMap([leaf(2, 20n, 30n), leaf(0, null, 0n), leaf(1, 0n, 10n), leaf(3, 50n, null)]);
    expect([-5n, 0n, 9n, 10n, 19n, 20n, 29n, 30n, 50n, 99n].map((value) => leaves.find(value)?.leaf ?? null)).toEqual([
      0,
      1,
      1,
      null,
      null,
      2,
      2,
      null,
      3,
      3,
    ]);
  });

  test('agrees with a linear search', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.bigInt({ min: -50n, max: 50n }), { minLength: 2 }),
        fc.array(fc.bigInt({ min: -60n, max: 60n })),
        (bounds, values) => {
          const sorted = [...bounds].sort((a, b) => (a < b ? -1 : 1));
          const ranges = sorted.slice(1).flatMap((upper, i) => (i % 3 === 2 ? [] : [leaf(i, sorted[i]!, upper)]));
          const leaves = new LeafMap(ranges);
          for (const value of values) {
            const expected = ranges.find(({ lower, upper }) => value >= lower! && value < upper!) ?? null;
            expect(leaves.find(value)).toEqual(expected);
          }
        },
      ),
    );
  });

  test('a missing leaf is cut where others begin and end', () => {
    const leaves = new LeafMap([leaf(0, 0n, 7n), leaf(1, 18n, 30n)]);
    expect(leaves.gap(12n, { lower: 10n, upper: 20n })).toEqual({ lower: 10n, upper: 18n });
    expect(leaves.gap(8n, { lower: 0n, upper: 10n })).toEqual({ lower: 7n, upper: 10n });
    expect(leaves.gap(100n, { lower: 100n, upper: null })).toEqual({ lower: 100n, upper: null });
    expect(leaves.gap(-5n, { lower: -10n, upper: 10n })).toEqual({ lower: -10n, upper: 0n });
  });

  test('neighbouring intervals are joined, gaps stay', () => {
    expect(joinIntervals([leaf(0, null, 0n), leaf(1, 0n, 10n), leaf(2, 20n, 30n)])).toEqual([
      { lower: null, upper: 10n },
      leaf(2, 20n, 30n),
    ]);
  });
});
