import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { civilFromDays, daysFromCivil } from '../../src/domain/calendar.ts';
import { KEY_RANGE, type KeyKind } from '../../src/domain/key-kind.ts';
import {
  decodeKey,
  infinityOf,
  keyKindOf,
  keyLiteral,
  leafName,
  parseEvery,
  parseKeyText,
  periodOf,
} from '../../src/domain/partition-key.ts';

const KINDS: readonly KeyKind[] = ['timestamptz', 'timestamp', 'date', 'int2', 'int4', 'int8'];
const anyKind = fc.constantFrom(...KINDS);
const valueOf = (kind: KeyKind): fc.Arbitrary<bigint> => fc.bigInt({ min: KEY_RANGE[kind].first, max: KEY_RANGE[kind].end - 1n });
const kindAndValue = anyKind.chain((kind) => valueOf(kind).map((value) => ({ kind, value })));
const unquote = (literal: string): string => literal.replace(/^'(.*)'$/, '$1');

describe('calendar', () => {
  it.each([
    [0, 2000, 1, 1],
    [59, 2000, 2, 29],
    [60, 2000, 3, 1],
    [-1, 1999, 12, 31],
    [366, 2001, 1, 1],
    [-730_485, 0, 1, 1],
    [-2_451_545, -4713, 11, 24],
    [2_145_031_949, 5_874_898, 1, 1],
  ])('%i days after the epoch is %i-%i-%i', (days, year, month, day) => {
    expect(civilFromDays(days)).toEqual({ year, month, day });
    expect(daysFromCivil(year, month, day)).toBe(days);
  });

  it('agrees with Date where Date reaches', () => {
    fc.assert(
      fc.property(fc.integer({ min: -90_000_000, max: 90_000_000 }), (days) => {
        const date = new Date(Date.UTC(2000, 0, 1) + days * 86_400_000);
        const civil = civilFromDays(days);
        expect(civil).toEqual({ year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() });
        expect(daysFromCivil(civil.year, civil.month, civil.day)).toBe(days);
      }),
    );
  });
});

describe('parseEvery', () => {
  it.each([
    ['month', 'timestamptz', { unit: 'month', count: 1 }],
    ['2 weeks', 'date', { unit: 'week', count: 2 }],
    ['6hours', 'timestamp', { unit: 'hour', count: 6 }],
    [' Quarter ', 'timestamptz', { unit: 'quarter', count: 1 }],
    ['10000000', 'int8', { unit: 'value', count: '10000000' }],
    ['10_000', 'int2', { unit: 'value', count: '10000' }],
  ] as const)('%s on %s', (text, kind, step) => {
    expect(parseEvery(text, kind)).toEqual(step);
  });

  it.each([
    ['hour', 'date'],
    ['month', 'int8'],
    ['0', 'int8'],
    ['-5', 'int4'],
    ['32768', 'int2'],
    ['10000000', 'timestamptz'],
    ['0 days', 'date'],
    ['99999 days', 'date'],
    ['fortnight', 'date'],
    ['', 'date'],
  ] as const)('refuses "%s" on %s', (text, kind) => {
    expect(() => parseEvery(text, kind)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('periodOf', () => {
  it.each([
    ['timestamptz', 'month', '2024-02-29 23:59:59.999999+00', '2024-02-01 00:00:00+00', '2024-03-01 00:00:00+00'],
    ['timestamptz', 'week', '2024-01-07 12:00:00+00', '2024-01-01 00:00:00+00', '2024-01-08 00:00:00+00'],
    ['timestamptz', 'week', '1999-12-31 12:00:00+00', '1999-12-27 00:00:00+00', '2000-01-03 00:00:00+00'],
    ['timestamptz', 'quarter', '2023-06-30 00:00:00+00', '2023-04-01 00:00:00+00', '2023-07-01 00:00:00+00'],
    ['timestamptz', '6 hours', '1999-12-31 23:00:00+00', '1999-12-31 18:00:00+00', '2000-01-01 00:00:00+00'],
    ['timestamp', 'year', '0044-03-15 00:00:00 BC', '0044-01-01 00:00:00 BC', '0043-01-01 00:00:00 BC'],
    ['timestamp', 'year', '0001-03-15 00:00:00 BC', '0001-01-01 00:00:00 BC', '0001-01-01 00:00:00'],
    ['timestamp', 'month', '294276-12-31 00:00:00', '294276-12-01 00:00:00', 'infinity'],
    ['timestamp', 'year', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00 BC', '4712-01-01 00:00:00 BC'],
    ['timestamp', 'year', '4714-12-01 00:00:00 BC', '4714-11-24 00:00:00 BC', '4713-01-01 00:00:00 BC'],
    ['date', 'month', '5874897-12-31', '5874897-12-01', 'infinity'],
    ['date', '2 years', '2003-05-05', '2002-01-01', '2004-01-01'],
    ['date', 'day', '1999-12-31', '1999-12-31', '2000-01-01'],
    ['int8', '100', '-1', '-100', '0'],
    ['int8', '100', '0', '0', '100'],
    ['int2', '10000', '30001', '30000', null],
    ['int2', '10000', '-30001', null, '-30000'],
    ['timestamptz', 'month', 'infinity', 'infinity', null],
    ['timestamptz', 'month', '-infinity', null, '4714-11-24 00:00:00+00 BC'],
  ] as const)('%s every %s: %s', (kind, every, value, lower, upper) => {
    const bound = (text: string | null): bigint | null => (text === null ? null : parseKeyText(kind, text));
    expect(periodOf(kind, parseEvery(every, kind), parseKeyText(kind, value))).toEqual({ lower: bound(lower), upper: bound(upper) });
  });

  it('holds its value, and every value in it has the same period', () => {
    const steps = ['hour', '5 hours', 'day', '3 days', 'week', '2 weeks', 'month', '7 months', 'quarter', 'year', '3 years'];
    fc.assert(
      fc.property(kindAndValue, fc.constantFrom(...steps), fc.bigInt({ min: 1n, max: 30_000n }), ({ kind, value }, words, count) => {
        const every = kind.startsWith('int') ? count.toString() : kind === 'date' && words.includes('hour') ? 'day' : words;
        const step = parseEvery(every, kind);
        const period = periodOf(kind, step, value);
        expect(period.lower === null || period.lower <= value).toBe(true);
        expect(period.upper === null || period.upper > value).toBe(true);
        if (period.lower !== null) expect(periodOf(kind, step, period.lower)).toEqual(period);
        if (period.upper !== null)
          expect(
            periodOf(
              kind,
              step,
              period.upper - 1n === infinityOf(kind)
                ? value
                : (period.upper === infinityOf(kind) ? KEY_RANGE[kind].end : period.upper) - 1n,
            ),
          ).toEqual(period);
      }),
    );
  });
});

describe('values', () => {
  it.each([
    ['timestamptz', '2000-01-01 00:00:00+00', 0n],
    ['timestamptz', '2000-01-01 05:30:00.000001+05:30', 1n],
    ['timestamptz', '1883-11-18 12:00:00-00:01:15', -3_664_353_525_000_000n],
    ['timestamp', '1999-12-31 23:59:59.5', -500_000n],
    ['timestamp', '2024-01-01', 757_382_400_000_000n],
    ['date', '0001-12-31 BC', -730_120n],
    ['int2', '-32768', -32768n],
    ['int8', '9223372036854775807', 2n ** 63n - 1n],
    ['date', 'infinity', 2n ** 31n - 1n],
    ['date', '-infinity', -(2n ** 31n)],
    ['timestamptz', '-infinity', -(2n ** 63n)],
  ] as const)('%s %s', (kind, text, value) => {
    expect(parseKeyText(kind, text)).toBe(value);
    expect(decodeKey(kind, Buffer.from(text), 'text')).toBe(value);
  });

  it.each([
    ['timestamptz', '2024-02-30 00:00:00+00'],
    ['timestamptz', '2024-13-01 00:00:00+00'],
    ['timestamptz', '01/02/2024'],
    ['timestamp', '2024-01-01 00:00:00+02'],
    ['date', '2024-01-01 12:00'],
    ['date', '5874898-01-01'],
    ['int2', '32768'],
    ['int4', '1.0'],
    ['timestamp', '0000-01-01 00:00:00'],
  ] as const)('refuses %s "%s"', (kind, text) => {
    expect(() => parseKeyText(kind, text)).toThrow(RangeError);
  });

  it('reads the wire', () => {
    expect(decodeKey('int2', Uint8Array.of(0xff, 0xfe), 'binary')).toBe(-2n);
    expect(decodeKey('int4', Uint8Array.of(0xff, 0xff, 0xff, 0xfe), 'binary')).toBe(-2n);
    expect(decodeKey('date', Uint8Array.of(0x7f, 0xff, 0xff, 0xff), 'binary')).toBe(infinityOf('date'));
    const slab = Uint8Array.of(9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 9);
    expect(decodeKey('timestamptz', slab.subarray(1, 9), 'binary')).toBe(-2n);
    expect(() => decodeKey('int8', Uint8Array.of(1), 'binary')).toThrow(RangeError);
  });

  it('prints what it reads', () => {
    fc.assert(
      fc.property(kindAndValue, ({ kind, value }) => {
        expect(parseKeyText(kind, unquote(keyLiteral(kind, value)))).toBe(value);
      }),
    );
  });

  it('prints literals', () => {
    expect(keyLiteral('timestamptz', 0n)).toBe(`'2000-01-01 00:00:00+00'`);
    expect(keyLiteral('timestamp', -1n)).toBe(`'1999-12-31 23:59:59.999999'`);
    expect(keyLiteral('date', -730_120n)).toBe(`'0001-12-31 BC'`);
    expect(keyLiteral('int8', -5n)).toBe('-5');
    expect(keyLiteral('date', infinityOf('date')!)).toBe(`'infinity'`);
    expect(keyLiteral('timestamptz', parseKeyText('timestamptz', '12024-01-01'))).toBe(`'12024-01-01 00:00:00+00'`);
  });

  it('knows the types', () => {
    expect([1184, 1114, 1082, 21, 23, 20, 25].map(keyKindOf)).toEqual(['timestamptz', 'timestamp', 'date', 'int2', 'int4', 'int8', null]);
  });
});

describe('leafName', () => {
  it.each([
    ['timestamptz', 'year', '2024-01-01', 'events_p2024'],
    ['timestamptz', 'month', '2024-01-01', 'events_p2024_01'],
    ['timestamptz', 'quarter', '2024-04-01', 'events_p2024_04'],
    ['date', 'week', '2024-01-15', 'events_p2024_01_15'],
    ['timestamptz', 'hour', '2024-01-15 13:00', 'events_p2024_01_15_13'],
    ['timestamptz', 'month', '2024-01-15', 'events_p2024_01_15'],
    ['timestamptz', 'year', '2024-01-01 00:00:00.5', 'events_p2024_01_01_00_00_00_500000'],
    ['date', 'month', '0044-03-01 BC', 'events_pbc0044_03'],
    ['int8', '10000000', '20000000', 'events_p20000000'],
    ['int8', '10000000', '-10000000', 'events_pm10000000'],
    ['timestamptz', 'month', 'infinity', 'events_pinfinity'],
    ['timestamptz', 'month', null, 'events_pmin'],
  ] as const)('%s every %s from %s', (kind, every, lower, name) => {
    expect(leafName('events', kind, parseEvery(every, kind), lower === null ? null : parseKeyText(kind, lower))).toBe(name);
  });

  it('is at most 63 bytes and splits no character', () => {
    const name = leafName('ü'.repeat(31), 'date', { unit: 'month', count: 1 }, 0n);
    expect(name).toBe(`${'ü'.repeat(27)}_p2000_01`);
    expect(Buffer.byteLength(name)).toBe(63);
  });

  it('differs where bounds differ', () => {
    fc.assert(
      fc.property(
        anyKind.chain((kind) => fc.tuple(fc.constant(kind), valueOf(kind), valueOf(kind))),
        ([kind, a, b]) => {
          const step = kind.startsWith('int') ? ({ unit: 'value', count: '10' } as const) : ({ unit: 'month', count: 1 } as const);
          fc.pre(a !== b);
          expect(leafName('t', kind, step, a)).not.toBe(leafName('t', kind, step, b));
        },
      ),
    );
  });
});
