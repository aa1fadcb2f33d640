import { describe, expect, test } from 'vitest';
import { parseSnapshot, snapshotSees } from '../../src/domain/pg-snapshot.ts';
import { canonicalKey } from '../../src/domain/row-key.ts';

describe('a snapshot', () => {
  const snapshot = parseSnapshot('10:20:12,15');

  test.each([
    [9n, true],
    [10n, true],
    [12n, false],
    [13n, true],
    [15n, false],
    [19n, true],
  ])('sees transaction %s: %s', (xid, sees) => {
    expect(snapshotSees(snapshot, xid)).toBe(sees);
  });

  test('does not see a transaction at or past its xmax, although it is not listed: such a commit may be in the WAL already', () => {
    expect(snapshotSees(parseSnapshot('789:789:'), 789n)).toBe(false);
    expect(snapshotSees(parseSnapshot('789:789:'), 788n)).toBe(true);
  });

  test.each(['', '1', '1:2', '1:2:3,', 'a:b:'])('refuses "%s"', (text) => {
    expect(() => parseSnapshot(text)).toThrow(RangeError);
  });
});

describe('a canonical key', () => {
  const int8 = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(value);
    return bytes;
  };

  test('keeps integers apart that a double cannot', () => {
    const values = [2n ** 53n, 2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n, 0n, -1n];
    expect(new Set(values.map((value) => canonicalKey([int8(value)], ['integer']))).size).toBe(values.length);
    expect(canonicalKey([int8(-1n)], ['integer'])).toBe(-1);
  });

  test('takes equal numerics of another scale for equal', () => {
    expect(canonicalKey([Buffer.from('1.0')], ['numeric-text'])).toBe(canonicalKey([Buffer.from('1.00')], ['numeric-text']));
    expect(canonicalKey([Buffer.from('10')], ['numeric-text'])).not.toBe(canonicalKey([Buffer.from('1')], ['numeric-text']));
    const numeric = (scale: number): Buffer => Buffer.from([0, 1, 0, 0, 0, 0, 0, scale, 0, 7]);
    expect(canonicalKey([numeric(1)], ['numeric-binary'])).toBe(canonicalKey([numeric(2)], ['numeric-binary']));
  });

  test('keeps the columns of a key apart', () => {
    const key = (...fields: string[]): unknown =>
      canonicalKey(
        fields.map((field) => Buffer.from(field)),
        ['bytes', 'bytes'],
      );
    expect(key('a', 'bc')).not.toBe(key('ab', 'c'));
    expect(key('1:a', '')).not.toBe(key('', '1:a'));
  });
});
