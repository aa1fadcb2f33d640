import { civilFromDays, daysFromCivil } from './calendar.ts';
import { MigratorError } from '../errors.ts';
import { MAX_IDENTIFIER_BYTES, quoteLiteral, truncateIdent } from './identifier.ts';
import { isIntegerKind, KEY_RANGE, type KeyKind } from './key-kind.ts';
import { formatKeyText, parseKeyText } from './key-text.ts';
import type { WireFormat } from './table.ts';

export { infinityOf, keyKindOf, type KeyKind } from './key-kind.ts';
export { parseKeyText } from './key-text.ts';

export type Step =
  | { readonly unit: 'hour' | 'day' | 'week' | 'month' | 'quarter' | 'year'; readonly count: number }
  /** Integers; decimal text, because plans are kept as JSON. */
  | { readonly unit: 'value'; readonly count: string };

const DAY_US = 86_400_000_000n;
const HOUR_US = 3_600_000_000n;
const MAX_COUNT = 10_000;
const EVERY = /^(?:(\d+) *)?(hour|day|week|month|quarter|year)s?$/i;

/** Whether a text is a step of some kind of column; of which, the table tells later. */
export function isStepText(text: string): boolean {
  const trimmed = text.trim();
  const match = EVERY.exec(trimmed);
  return match ? Number(match[1] ?? '1') > 0 : /^\d+(?:_\d+)*$/.test(trimmed) && BigInt(trimmed.replaceAll('_', '')) > 0n;
}

/** Reads `--every`: `month`, `2 weeks`, `10000000`. */
export function parseEvery(text: string, kind: KeyKind): Step {
  const trimmed = text.trim();
  const wrong = (message: string, hint: string): never => {
    throw new MigratorError('USAGE', `--every "${text}" ${message}`, { hint });
  };
  if (isIntegerKind(kind)) {
    const digits = /^\d+(?:_\d+)*$/.test(trimmed) ? BigInt(trimmed.replaceAll('_', '')) : 0n;
    if (digits <= 0n || digits >= KEY_RANGE[kind].end)
      wrong(`is no step of ${kind} values`, 'a whole number of values a leaf: --every 10000000');
    return { unit: 'value', count: digits.toString() };
  }
  const match = EVERY.exec(trimmed);
  if (!match)
    return wrong(
      `is no step of a ${kind} column`,
      '--every hour, day, week, month, quarter or year, or a number of them: --every "2 weeks"',
    );
  const unit = match[2]!.toLowerCase() as Exclude<Step['unit'], 'value'>;
  const count = Number(match[1] ?? '1');
  if (count < 1 || count > MAX_COUNT) wrong(`counts ${count}, not 1 to ${MAX_COUNT}`, '--every "2 weeks"');
  if (unit === 'hour' && kind === 'date') wrong('is less than a day, which is the least of a date column', '--every day');
  return { unit, count };
}

export interface Bounds {
  /** Inclusive; null for MINVALUE. */
  readonly lower: bigint | null;
  /** Exclusive; null for MAXVALUE. */
  readonly upper: bigint | null;
}

/**
 * The period that a value falls into: weeks begin on Monday, N units are counted from 2000 (integers from 0), months, quarters and
 * years follow the real calendar. Cut at what the type can hold; infinity's period goes on to MAXVALUE, -infinity's comes from MINVALUE.
 */
export function periodOf(kind: KeyKind, step: Step, value: bigint): Bounds {
  const range = KEY_RANGE[kind];
  if (value === range.infinity) return { lower: value, upper: null };
  if (value === range.minusInfinity) return { lower: null, upper: range.first };
  const { lower, upper } = unboundedPeriod(kind, step, value);
  return {
    lower: lower < range.first ? (range.minusInfinity === null ? null : range.first) : lower,
    upper: upper >= range.end ? range.infinity : upper,
  };
}

function unboundedPeriod(kind: KeyKind, step: Step, value: bigint): { lower: bigint; upper: bigint } {
  if (step.unit === 'value') return slice(value, 0n, BigInt(step.count));
  const day = kind === 'date' ? 1n : DAY_US;
  const count = BigInt(step.count);
  if (step.unit === 'hour') return slice(value, 0n, count * HOUR_US);
  if (step.unit === 'day') return slice(value, 0n, count * day);
  if (step.unit === 'week') return slice(value, 2n * day, count * 7n * day); // 2000-01-03 was a Monday
  const months = BigInt({ month: 1, quarter: 3, year: 12 }[step.unit]) * count;
  const { year, month } = civilFromDays(Number(floorDivide(value, day)));
  const period = slice(BigInt((year - 2000) * 12 + month - 1), 0n, months);
  const begin = (index: bigint): bigint => {
    const years = floorDivide(index, 12n);
    return BigInt(daysFromCivil(2000 + Number(years), Number(index - years * 12n) + 1, 1)) * day;
  };
  return { lower: begin(period.lower), upper: begin(period.upper) };
}

/** The slice of a width that a value falls into, counted from an origin. */
function slice(value: bigint, origin: bigint, width: bigint): { lower: bigint; upper: bigint } {
  const lower = floorDivide(value - origin, width) * width + origin;
  return { lower, upper: lower + width };
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

const WIDTH: Readonly<Record<KeyKind, number>> = { timestamptz: 8, timestamp: 8, date: 4, int2: 2, int4: 4, int8: 8 };

/** Decodes a value as the type's send function (big-endian integer) or its output function prints it. */
export function decodeKey(kind: KeyKind, bytes: Uint8Array, wire: WireFormat): bigint {
  if (wire === 'text') return parseKeyText(kind, String.fromCharCode(...bytes));
  const width = WIDTH[kind];
  if (bytes.length !== width) throw new RangeError(`a ${kind} of ${bytes.length} bytes, not ${width}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, width);
  return width === 8 ? view.getBigInt64(0) : BigInt(width === 4 ? view.getInt32(0) : view.getInt16(0));
}

/** A literal for FOR VALUES and predicates: `'2024-01-01 00:00:00+00'`, `'infinity'`, `-5`. */
export function keyLiteral(kind: KeyKind, value: bigint): string {
  const text = formatKeyText(kind, value);
  return isIntegerKind(kind) ? text : quoteLiteral(text);
}

/**
 * The name of the leaf that begins at a bound: `events_p2024_01`. As exact as the step asks for, more exact where the bound is
 * not at the step's beginning; the table's part is cut so that the whole stays within 63 bytes.
 */
export function leafName(table: string, kind: KeyKind, step: Step, lower: bigint | null): string {
  const suffix = `_p${leafSuffix(kind, step, lower)}`;
  return truncateIdent(table, MAX_IDENTIFIER_BYTES - suffix.length) + suffix;
}

function leafSuffix(kind: KeyKind, step: Step, lower: bigint | null): string {
  const range = KEY_RANGE[kind];
  if (lower === null || lower === range.minusInfinity) return 'min';
  if (lower === range.infinity) return 'infinity';
  if (isIntegerKind(kind)) return lower < 0n ? `m${-lower}` : lower.toString();
  const us = kind === 'date' ? lower * DAY_US : lower;
  const days = floorDivide(us, DAY_US);
  const { year, month, day } = civilFromDays(Number(days));
  const inDay = us - days * DAY_US;
  const time = [inDay / HOUR_US, (inDay / 60_000_000n) % 60n, (inDay / 1_000_000n) % 60n].map((part) => part.toString().padStart(2, '0'));
  const micros = (inDay % 1_000_000n).toString().padStart(6, '0');
  const years = year > 0 ? year.toString().padStart(4, '0') : `bc${(1 - year).toString().padStart(4, '0')}`;
  const parts = [years, month.toString().padStart(2, '0'), day.toString().padStart(2, '0'), ...time, micros];
  const neutral = ['', '01', '01', '00', '00', '00', '000000'];
  let length = { year: 1, month: 2, quarter: 2, week: 3, day: 3, hour: 4, value: 1 }[step.unit];
  for (let i = length; i < parts.length; i++) if (parts[i] !== neutral[i]) length = i + 1;
  return parts.slice(0, length).join('_');
}
