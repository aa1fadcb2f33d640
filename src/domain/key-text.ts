import { civilFromDays, daysFromCivil, daysOfMonth } from './calendar.ts';
import { KEY_RANGE, isIntegerKind, type KeyKind } from './key-kind.ts';

const DAY_US = 86_400_000_000n;
const INTEGER = /^[+-]?\d{1,19}$/;
const MOMENT =
  /^(\d{4,7})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?)?(?: ?(?:(Z|UTC)|([+-])(\d{2})(?::?(\d{2}))?(?::?(\d{2}))?))?( BC)?$/;

/**
 * Reads a value as PostgreSQL prints it with DateStyle ISO (`2024-01-01 00:00:00.5+00`, `0044-03-15 BC`, `infinity`), and
 * what a person writes of it (`2024-01-01`). A time without an offset is UTC. Throws a RangeError on any other text.
 */
export function parseKeyText(kind: KeyKind, text: string): bigint {
  const range = KEY_RANGE[kind];
  const refuse = (): never => {
    throw new RangeError(`not a ${kind}: "${text}"`);
  };
  if (isIntegerKind(kind)) {
    const value = INTEGER.test(text) ? BigInt(text.replace('+', '')) : refuse();
    return value >= range.first && value < range.end ? value : refuse();
  }
  if (text === 'infinity') return range.infinity!;
  if (text === '-infinity') return range.minusInfinity!;
  const match = MOMENT.exec(text);
  if (!match) return refuse();
  const number = (group: number): number => Number(match[group] ?? '0');
  const year = match[13] === undefined ? number(1) : 1 - number(1);
  const [month, day, hour, minute, second] = [number(2), number(3), number(4), number(5), number(6)];
  if (number(1) === 0 || day < 1 || day > daysOfMonth(year, month) || hour > 23 || minute > 59 || second > 59) return refuse();
  const days = BigInt(daysFromCivil(year, month, day));
  const micros = BigInt((hour * 60 + minute) * 60 + second) * 1_000_000n + BigInt((match[7] ?? '').padEnd(6, '0'));
  const offset = BigInt((number(10) * 60 + number(11)) * 60 + number(12)) * (match[9] === '-' ? -1_000_000n : 1_000_000n);
  if (kind !== 'timestamptz' && offset !== 0n) return refuse();
  if (kind === 'date' && micros !== 0n) return refuse();
  const value = kind === 'date' ? days : days * DAY_US + micros - offset;
  return value >= range.first && value < range.end ? value : refuse();
}

/** Prints a value as PostgreSQL does with DateStyle ISO and TimeZone UTC. */
export function formatKeyText(kind: KeyKind, value: bigint): string {
  const range = KEY_RANGE[kind];
  if (value === range.infinity) return 'infinity';
  if (value === range.minusInfinity) return '-infinity';
  if (value < range.first || value >= range.end) throw new RangeError(`no ${kind} has the value ${value}`);
  if (isIntegerKind(kind)) return value.toString();
  const unit = kind === 'date' ? 1n : DAY_US;
  const days = value >= 0n ? value / unit : (value - unit + 1n) / unit;
  const { year, month, day } = civilFromDays(Number(days));
  const date = `${pad(year > 0 ? year : 1 - year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
  const era = year > 0 ? '' : ' BC';
  if (kind === 'date') return date + era;
  const inDay = value - days * DAY_US;
  const seconds = Number(inDay / 1_000_000n);
  const micros = Number(inDay % 1_000_000n);
  const time = `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}`;
  const fraction = micros === 0 ? '' : `.${pad(micros, 6).replace(/0+$/, '')}`;
  return `${date} ${time}${fraction}${kind === 'timestamptz' ? '+00' : ''}${era}`;
}

function pad(value: number, width: number): string {
  return value.toString().padStart(width, '0');
}
