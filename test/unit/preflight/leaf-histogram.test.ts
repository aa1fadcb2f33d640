import { describe, expect, it } from 'vitest';
import { parseKeyText, type Step } from '../../../src/domain/partition-key.ts';
import type { KeyStatistics } from '../../../src/plan/key-distribution.ts';
import type { Finding } from '../../../src/plan/preflight/finding.ts';
import { estimateLeaves } from '../../../src/plan/preflight/leaf-count.ts';
import { computeSpread, decideHistogram } from '../../../src/plan/preflight/leaf-histogram.ts';

const TABLE = { schema: 'app', name: 'events' };
const date = (text: string): bigint => parseKeyText('date', text);

interface Data {
  readonly min: string;
  readonly max: string;
  /** Ends of the histogram, whose bounds lie evenly between them. */
  readonly histogram: readonly [string, string] | null;
  readonly common?: readonly (readonly [string, number])[];
  readonly from?: string;
  readonly unit?: 'day' | 'month';
}

function look({ min, max, histogram, common = [], from, unit = 'month' }: Data): Finding {
  const step: Step = { unit, count: 1 };
  const bounds =
    histogram === null
      ? []
      : Array.from({ length: 101 }, (_, i) => date(histogram[0]) + ((date(histogram[1]) - date(histogram[0])) * BigInt(i)) / 100n);
  const statistics: KeyStatistics = {
    correlation: 1,
    histogram: bounds,
    common: common.map(([value, frequency]) => ({ value: date(value), frequency })),
  };
  const range = { min: date(min), max: date(max) };
  const lower = from === undefined ? null : date(from);
  const leaves = estimateLeaves('date', { step, from: lower }, { ...range, now: null }, 3);
  return decideHistogram(TABLE, { name: 'at', kind: 'date' }, leaves, range, computeSpread('date', step, statistics, range, lower), step);
}

const BULK = ['2020-01-15', '2026-11-15'] as const;

describe('stray rows in the histogram of leaves', () => {
  it.each<[string, Data, string]>([
    ['evenly spread', { min: '2020-01-15', max: '2026-11-15', histogram: BULK }, 'ok'],
    ['by day', { min: '2020-01-15', max: '2026-11-15', histogram: BULK, unit: 'day' }, 'ok'],
    ['a year before the statistics', { min: '2019-03-15', max: '2026-11-15', histogram: BULK }, 'ok'],
    ['a row of the year 44', { min: '0044-03-15', max: '2026-11-15', histogram: BULK }, 'warning'],
    ['a row of the year 9999', { min: '2020-01-15', max: '9999-12-31', histogram: BULK }, 'warning'],
    ['a default of 1970', { min: '1970-01-01', max: '2026-11-15', histogram: BULK, common: [['1970-01-01', 0.05]] }, 'warning'],
    [
      '--from puts it into one leaf',
      { min: '1970-01-01', max: '2026-11-15', histogram: BULK, common: [['1970-01-01', 0.05]], from: '2020-01-01' },
      'ok',
    ],
    ['the sample has seen the stray row', { min: '0044-03-15', max: '2026-11-15', histogram: ['0044-03-15', '2026-11-15'] }, 'ok'], // then it is no stray row: the bounds lie evenly
    [
      'common values only',
      {
        min: '2026-01-01',
        max: '2026-03-01',
        histogram: null,
        common: [
          ['2026-01-01', 0.5],
          ['2026-02-01', 0.2],
          ['2026-03-01', 0.3],
        ],
      },
      'ok',
    ],
    [
      'common values, and one far off',
      {
        min: '1900-01-01',
        max: '2026-03-01',
        histogram: null,
        common: [
          ['1900-01-01', 0.01],
          ['2026-02-01', 0.5],
          ['2026-03-01', 0.49],
        ],
      },
      'warning',
    ],
    ['three rows', { min: '2020-01-01', max: '2026-01-01', histogram: null }, 'ok'],
  ])('%s', (_name, data, severity) => {
    expect(look(data)).toMatchObject({ id: 'leaf-histogram', severity });
  });

  it('says how many leaves, where the rows lie, and what to do', () => {
    const low = look({ min: '0044-03-15', max: '2026-11-15', histogram: BULK });
    expect(low.message).toMatch(
      /^about 240\d\d of 241\d\d leaves would hold next to nothing: most rows lie from 2020-01-15 to 2026-11-15, and the values go from 0044-03-15 to 2026-11-15$/,
    );
    expect(low.fix).toBe('--from 2020-01-01 puts what lies before it into one leaf; or a larger --every');
    const high = look({ min: '2020-01-15', max: '9999-12-31', histogram: BULK });
    expect(high.fix).toBe(
      `look whether these rows are meant (SELECT * FROM "app"."events" WHERE "at" > '2026-11-15'); or a larger --every`,
    );
    expect(look({ min: '1970-01-01', max: '2026-11-15', histogram: BULK, common: [['1970-01-01', 0.05]] }).message).toContain(
      'most rows lie from 2020-01-15',
    );
  });

  it('nothing to go by', () => {
    const step: Step = { unit: 'month', count: 1 };
    expect(decideHistogram(TABLE, { name: 'at', kind: 'date' }, 4, null, null, step)).toMatchObject({
      severity: 'ok',
      message: 'there is no row',
    });
    expect(decideHistogram(TABLE, { name: 'at', kind: 'date' }, 4, { min: 0n, max: 1n }, null, step)).toMatchObject({
      severity: 'ok',
      message: expect.stringContaining('ANALYZE') as string,
    });
  });
});
