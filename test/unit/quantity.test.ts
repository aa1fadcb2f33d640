import { describe, expect, it } from 'vitest';
import { formatBytes, formatCount, formatDuration, parseDuration, parseSize } from '../../src/domain/quantity.ts';

describe('durations', () => {
  it.each([
    ['200ms', 200],
    ['1s', 1000],
    ['1.5s', 1500],
    ['5min', 300_000],
    ['2 h', 7_200_000],
    ['1d', 86_400_000],
  ])('%s is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['', '5', '-1s', '5 sec', '1 s 2 ms', 'soon', '1e3s', '5M'])('refuses "%s"', (text) =>
    expect(() => parseDuration(text)).toThrow(RangeError),
  );

  it.each([
    [0, '0.0 s'],
    [0.4, '0.4 s'],
    [9.96, '10 s'],
    [99, '99 s'],
    [120, '2 min'],
    [3599, '1 h'],
    [3900, '1 h 5 min'],
    [90_000, '1 d 1 h'],
  ])('%d s reads %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});

describe('sizes', () => {
  it.each([
    ['512B', 512],
    ['64kB', 65_536],
    ['8MB', 8_388_608],
    ['1gb', 1_073_741_824],
  ])('%s is %d bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(['', '64', '-1MB', '1 potato', '1MiB'])('refuses "%s"', (text) => expect(() => parseSize(text)).toThrow(RangeError));

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1023.7, '1.0 kB'],
    [1_258_291, '1.2 MB'],
    [10_485_760, '10 MB'],
    [365_072_220_160, '340 GB'],
  ])('%d reads %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [999, '999'],
    [1000, '1.0k'],
    [3_100_000, '3.1M'],
    [999_999, '1.0M'],
  ])('%d rows read %s', (count, text) => expect(formatCount(count)).toBe(text));
});
