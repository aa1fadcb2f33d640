/** A WAL position (pg_lsn) as a 64-bit integer. https://www.postgresql.org/docs/current/datatype-pg-lsn.html */
export type Lsn = bigint;

const PATTERN = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** Parses `16/B374D848`. Throws a RangeError on any other text. */
export function parseLsn(text: string): Lsn {
  const match = PATTERN.exec(text);
  if (!match) throw new RangeError(`not a WAL position: "${text}"`);
  return (BigInt(`0x${match[1]!}`) << 32n) | BigInt(`0x${match[2]!}`);
}

/** Renders a position as PostgreSQL prints it: `16/B374D848`. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** The later of two positions. */
export function laterLsn(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}
