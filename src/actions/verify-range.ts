import type { LeafRange } from '../domain/leaf-map.ts';
import { formatLsn } from '../domain/lsn.ts';
import { parseKeyText } from '../domain/partition-key.ts';
import { inTransaction, sqlState, type Client } from '../pg/client.ts';
import { readSettledPosition, store, type SettledPosition } from '../pg/control-store.ts';
import type { KeyInterval } from '../plan/resync-sql.ts';
import type { KeyRange } from '../plan/verify-sql.ts';
import type { Verification } from './verify-changes.ts';

/** The part of a table whose ranges are primary keys. */
export const WHOLE_TABLE = -1;

/** What one pass compares in ranges that follow each other: a leaf, or the whole table. */
export interface Part {
  readonly part: number;
  /** Null for the whole table. */
  readonly leaf: LeafRange | null;
  /** Where the next range begins; null at the beginning. */
  readonly reached: readonly string[] | null;
}

export type RangeOutcome =
  /** `reached` null: it was the part's last range. */
  | { readonly type: 'compared'; readonly rows: number; readonly suspects: number; readonly reached: readonly string[] | null }
  /** More keys differ than are looked at together: the same range is compared again when they are judged. */
  | { readonly type: 'crowded' }
  /** The snapshot does not see every applied transaction yet; take another one soon. */
  | { readonly type: 'unsettled' };

/** Keys of one range that are looked into at a time. */
const MOST_SUSPECTS = 10_000;
/** SQLSTATEs of two comparisons that met at a key: nothing was done. */
export const TRANSIENT: ReadonlySet<string> = new Set(['40001', '40P01']);

/**
 * Compares the part's next range of about `rows` rows: both sides hashed by the server, in one settled snapshot. Where they differ, so do
 * keys: these are compared once more with the log. What is compared and what it is compared to is one snapshot, so a change is either in both, or
 * in the log after it.
 */
export async function verifyRange(client: Client, verification: Verification, part: Part, rows: number): Promise<RangeOutcome> {
  const { migrationId, sql } = verification;
  return inSettledComparison(client, migrationId, async () => {
    const { compared, differing, reached } = await compareNext(client, verification, part, rows, async (range) => {
      const narrowed = sql.seeRange(range, MOST_SUSPECTS, part.part);
      return (await client.query(narrowed.text, narrowed.values)).rowCount ?? 0;
    });
    if (differing >= MOST_SUSPECTS) return { type: 'crowded' };
    await store(client, 'verify/advance-part', [migrationId, part.part, reached, compared]);
    return { type: 'compared', rows: compared, suspects: differing, reached };
  });
}

/**
 * Of a recovery: compares a kept part's next range. Keys that differ are touched, whatever makes them differ: they are read again.
 */
export async function recoverRange(client: Client, verification: Verification, part: Part, rows: number): Promise<RangeOutcome> {
  const { migrationId, sql } = verification;
  return inSettledComparison(client, migrationId, async ({ walLsn }) => {
    const { compared, differing, reached } = await compareNext(client, verification, part, rows, async (range) => {
      const narrowed = sql.touchRange(range);
      return (await client.query(narrowed.text, narrowed.values)).rowCount ?? 0;
    });
    await store(client, 'recover/advance-part', [migrationId, part.part, reached, differing, formatLsn(walLsn)]);
    return { type: 'compared', rows: compared, suspects: differing, reached };
  });
}

/**
 * Runs in a repeatable read transaction whose snapshot is settled. `unsettled`: it is not, or somebody else took a key that was seen here: two ranges, a range
 * and the log, or the applier.
 */
async function inSettledComparison<T>(
  client: Client,
  migrationId: number,
  use: (at: SettledPosition) => Promise<T>,
): Promise<T | { readonly type: 'unsettled' }> {
  try {
    return await inTransaction(
      client,
      async () => {
        const at = await readSettledPosition(client, migrationId);
        return at.unseen > 0 ? { type: 'unsettled' as const } : await use(at);
      },
      'begin isolation level repeatable read',
    );
  } catch (error) {
    if (TRANSIENT.has(sqlState(error) ?? '')) return { type: 'unsettled' };
    throw error;
  }
}

/** The part's next range, in the snapshot of the transaction: both sides hashed, and looked into where they differ. */
async function compareNext(
  client: Client,
  { plan, sql }: Verification,
  part: Part,
  rows: number,
  see: (range: KeyRange) => Promise<number>,
): Promise<{ compared: number; differing: number; reached: readonly string[] | null }> {
  const open = rangeFrom(part);
  const boundary = sql.boundary(open, rows);
  const [end] = (await client.query<Record<string, string | null>>(boundary.text, boundary.values)).rows;
  const ends = end && Object.values(end).every((value) => value !== null) ? (Object.values(end) as string[]) : null;
  const range = endAt(plan.partitionKey.kind, open, ends);
  const sums = sql.sums(range);
  const [sides] = (await client.query<{ source: string; target: string }>(sums.text, sums.values)).rows;
  const differing = sides!.source === sides!.target ? 0 : await see(range);
  return { compared: Number(sides!.source.split(' ')[0]), differing, reached: reachedBy(range, ends) };
}

/** Of a table whose ranges are primary keys: rows that stand in a leaf where they do not belong. */
export async function verifyBound(client: Client, verification: Verification, leaf: LeafRange): Promise<number> {
  const seen = await client.query(verification.sql.seeStrays(leaf, WHOLE_TABLE));
  return seen.rowCount ?? 0;
}

/**
 * Source rows beside a leaf that lie in no leaf at all: no leaf's ranges have them. The stream makes their leaf soon, or it has lost them. False when it
 * is to be done again.
 */
export async function verifyBeside(
  client: Client,
  { migrationId, sql }: Verification,
  gaps: readonly KeyInterval[],
  part: number,
): Promise<boolean> {
  if (gaps.length === 0) return true;
  const outcome = await inSettledComparison(client, migrationId, async () => {
    for (const gap of gaps) {
      const seen = await client.query(sql.seeLeafless(gap, MOST_SUSPECTS, part));
      if ((seen.rowCount ?? 0) >= MOST_SUSPECTS) return { type: 'crowded' as const };
    }
    return { type: 'compared' as const };
  });
  return outcome.type === 'compared';
}

function rangeFrom({ leaf, reached }: Part): KeyRange {
  if (!leaf) return { by: 'primary key', after: reached, upto: null };
  return { by: 'partition key', lower: reached ? BigInt(reached[0]!) : leaf.lower, upper: leaf.upper, leaf };
}

function endAt(kind: Parameters<typeof parseKeyText>[0], range: KeyRange, ends: readonly string[] | null): KeyRange {
  if (!ends) return range;
  return range.by === 'primary key' ? { ...range, upto: ends } : { ...range, upper: parseKeyText(kind, ends[0]!) };
}

function reachedBy(range: KeyRange, ends: readonly string[] | null): readonly string[] | null {
  if (!ends) return null;
  return range.by === 'primary key' ? ends : [range.upper!.toString()];
}
