/** A pg_snapshot: which transactions a statement sees. https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT */
export interface PgSnapshot {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly inProgress: ReadonlySet<bigint>;
}

/** Parses `xmin:xmax:xip,xip`. Throws a RangeError on any other text. */
export function parseSnapshot(text: string): PgSnapshot {
  const match = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/.exec(text);
  if (!match) throw new RangeError(`not a pg_snapshot: "${text}"`);
  const list = match[3]!;
  return { xmin: BigInt(match[1]!), xmax: BigInt(match[2]!), inProgress: new Set(list === '' ? [] : list.split(',').map(BigInt)) };
}

/**
 * Whether the snapshot sees what the transaction (a top-level xid8) wrote, given that it committed.
 * An xid at or past xmax is unseen although it is not listed: a commit that is already in the WAL may be one of these.
 */
export function snapshotSees(snapshot: PgSnapshot, xid: bigint): boolean {
  if (xid < snapshot.xmin) return true;
  return xid < snapshot.xmax && !snapshot.inProgress.has(xid);
}
