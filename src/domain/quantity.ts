/**
 * Durations and sizes as PostgreSQL's settings spell them (`200ms`, `1s`, `5min`; `8MB` is 8 × 1024²), and their readable forms.
 * https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-NAMES-VALUES
 */
const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_BYTES: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 };
const QUANTITY = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/;

/** Milliseconds of `200ms`, `1s`, `5min`, `2h`, `1d`. A bare number is refused: it is milliseconds to some and seconds to others. */
export function parseDuration(text: string): number {
  const match = QUANTITY.exec(text.trim());
  const factor = match === null ? undefined : DURATION_MS[match[2]!];
  if (match === null || factor === undefined)
    throw new RangeError(`"${text}" is no duration, use a number with ms, s, min, h or d: 200ms, 1s, 5min`);
  return Math.round(Number(match[1]) * factor);
}

/** Bytes of `64kB`, `8MB`, `1GB`. */
export function parseSize(text: string): number {
  const match = QUANTITY.exec(text.trim());
  const factor = match === null ? undefined : SIZE_BYTES[match[2]!.toLowerCase()];
  if (match === null || factor === undefined) throw new RangeError(`"${text}" is no size, use a number with kB, MB, GB or TB: 64MB`);
  return Math.round(Number(match[1]) * factor);
}

/** `17 B`, `1.2 MB`, `340 GB`. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'], ' ');
}

/** `950`, `3.1M`. */
export function formatCount(count: number): string {
  return scaled(count, 1000, ['', 'k', 'M', 'G', 'T'], '');
}

function scaled(value: number, base: number, units: readonly string[], gap: string): string {
  let amount = value;
  let unit = 0;
  // 999.5 and more would print as 1000 of the smaller unit.
  while (Math.abs(amount) >= base - 0.5 && unit < units.length - 1) {
    amount /= base;
    unit++;
  }
  const digits = unit > 0 && Math.abs(amount) < 9.95 ? 1 : 0;
  return `${amount.toFixed(digits)}${gap}${units[unit]!}`;
}

/** `0.4 s`, `12 s`, `2 min`, `1 h 5 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return hours % 24 === 0 ? `${Math.floor(hours / 24)} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
