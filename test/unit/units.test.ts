import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEvery } from '../../src/domain/partition-key.ts';
import { KeyDistribution, type KeyStatistics } from '../../src/plan/key-distribution.ts';
import { planLeaves } from '../../src/plan/leaves.ts';
import { planUnits, type UnitsInput } from '../../src/plan/units.ts';

const MB = 1024 * 1024;

function input(changes: Partial<UnitsInput> & { min?: bigint; max?: bigint; premake?: number }): UnitsInput {
  const { min = 0n, max = 999n, premake = 1, ...rest } = changes;
  const step = parseEvery('100', 'int8');
  const leaves = planLeaves({ table: 't', kind: 'int8', step, min, max, now: null, premake });
  return {
    table: { rowsEstimated: 1_000, bytes: 100 * MB, blocks: 12_800 },
    leaves,
    occupied: leaves.map(({ lower, upper }) => lower! <= max && upper! > min),
    extent: { min, max },
    now: null,
    kind: 'leaf',
    statistics: null,
    chunkBytes: 4 * MB,
    ...rest,
  };
}

describe('leaf units', () => {
  it('load the greatest first, then newest to oldest; what is ahead is empty', () => {
    const { units, unitOfLeaf } = planUnits(input({}));
    expect(unitOfLeaf).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(units.map(({ unit, kind, loadOrder }) => [unit, kind, loadOrder]).at(-1)).toEqual([10, 'empty', 0]);
    expect(units.slice(0, 10).map(({ loadOrder }) => loadOrder)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    expect(units.slice(0, 10).map(({ rowsEstimated }) => rowsEstimated)).toEqual(Array.from({ length: 10 }, () => 100));
  });

  it('load the leaf of now before later ones', () => {
    const { units } = planUnits(input({ now: 350n }));
    expect(units.slice(0, 10).map(({ loadOrder }) => loadOrder)).toEqual([9, 8, 7, 0, 6, 5, 4, 3, 2, 1]);
  });

  it('cut into chunks that cover the bounds', () => {
    const { units } = planUnits(input({}));
    expect(units[0]!.chunks).toEqual([
      { lower: '0', upper: '34' },
      { lower: '34', upper: '67' },
      { lower: '67', upper: '100' },
    ]);
  });

  it('are empty where a probe found nothing', () => {
    const base = input({});
    const { units } = planUnits({ ...base, occupied: base.occupied.map((held, leaf) => held && leaf !== 3) });
    expect(units[3]).toMatchObject({ kind: 'empty', chunks: [] });
    expect(units.filter(({ kind }) => kind === 'leaf').map(({ loadOrder }) => loadOrder)).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0]);
  });
});

describe('a table unit', () => {
  it('takes every leaf from the first to the last with rows, by blocks, the last chunk open', () => {
    const base = input({ kind: 'table', premake: 2, chunkBytes: 40 * MB });
    const { units, unitOfLeaf } = planUnits({ ...base, occupied: base.occupied.map((held, leaf) => held && leaf > 1 && leaf !== 5) });
    expect(unitOfLeaf).toEqual([1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4]);
    expect(units.map(({ unit, kind }) => [unit, kind])).toEqual([
      [0, 'table'],
      [1, 'empty'],
      [2, 'empty'],
      [3, 'empty'],
      [4, 'empty'],
    ]);
    expect(units[0]!.chunks).toEqual([
      { lower: '0', upper: '4267' },
      { lower: '4267', upper: '8534' },
      { lower: '8534', upper: null },
    ]);
  });

  it('of no size has one chunk', () => {
    const { units } = planUnits(input({ kind: 'table', table: { rowsEstimated: 0, bytes: 0, blocks: 0 } }));
    expect(units[0]).toMatchObject({ rowsEstimated: 1, chunks: [{ lower: '0', upper: null }] });
  });
});

it('an empty table is live from the start', () => {
  const base = input({});
  for (const kind of ['leaf', 'table'] as const) {
    const { units } = planUnits({ ...base, kind, extent: null, occupied: base.leaves.map(() => false) });
    expect(units.every((unit, i) => unit.kind === 'empty' && unit.unit === i)).toBe(true);
  }
});

describe('KeyDistribution', () => {
  const statistics: KeyStatistics = { correlation: 1, common: [{ value: 50n, frequency: 0.5 }], histogram: [0n, 10n, 20n, 100n] };

  it('joins common values and histogram', () => {
    const distribution = new KeyDistribution(0n, 99n, statistics);
    expect(distribution.shareBelow(0n)).toBe(0);
    expect(distribution.shareBelow(10n)).toBeCloseTo(0.5 / 3);
    expect(distribution.shareBelow(20n)).toBeCloseTo(1 / 3);
    expect(distribution.shareBelow(50n)).toBeCloseTo(1 / 3 + (0.5 / 3) * (30 / 80));
    expect(distribution.shareBelow(51n)).toBeCloseTo(1 / 3 + (0.5 / 3) * (31 / 80) + 0.5);
    expect(distribution.shareBelow(100n)).toBe(1);
  });

  it('cuts ascending and within, and cuts no value in two', () => {
    expect(new KeyDistribution(0n, 99n, statistics).cuts({ lower: 40n, upper: 60n }, 4)).toEqual([51n]);
    expect(new KeyDistribution(5n, 5n, null).cuts({ lower: null, upper: null }, 4)).toEqual([]);
  });

  it('holds for any statistics: shares grow from 0 to 1, cuts lie strictly within', () => {
    const value = fc.bigInt({ min: -1000n, max: 1000n });
    fc.assert(
      fc.property(
        fc.tuple(value, value),
        fc.array(value),
        fc.array(fc.record({ value, frequency: fc.double({ min: 0, max: 0.2, noNaN: true }) }), { maxLength: 8 }),
        fc.tuple(value, value),
        fc.integer({ min: 1, max: 40 }),
        ([a, b], histogram, common, [c, d], parts) => {
          const distribution = new KeyDistribution(a < b ? a : b, a < b ? b : a, {
            correlation: null,
            common,
            histogram: histogram.sort((x, y) => (x < y ? -1 : 1)),
          });
          const [lower, upper] = c < d ? [c, d] : [d, c];
          const share = distribution.shareOf({ lower, upper });
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(1);
          const cuts = distribution.cuts({ lower, upper }, parts);
          const marks = [lower, ...cuts, upper];
          if (cuts.length > 0) for (let i = 1; i < marks.length; i++) expect(marks[i]! > marks[i - 1]!).toBe(true);
        },
      ),
    );
  });
});
