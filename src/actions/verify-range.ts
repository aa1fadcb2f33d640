import type { LeafRange } from '../domain/leaf-map.ts';
import { parseKeyText } from '../domain/partition-key.ts';
import { inTransaction, sqlState, type Client } from '../pg/client.ts';
import { readSettledPosition, store } from '../pg/control-store.ts';
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
  const { migrationId, plan, sql } = verification;
  try {
    return await inTransaction(
      client,
      async (): Promise<RangeOutcome> => {
        const settled = await readSettledPosition(client, migrationId);
        if (settled.unseen > 0) return { type: 'unsettled' };
        const open = rangeFrom(part);
        const boundary = sql.boundary(open, rows);
        const [end] = (await client.query<Record<string, string | null>>(boundary.text, boundary.values)).rows;
        const ends = end && Object.values(end).every((value) => value !== null) ? (Object.values(end) as string[]) : null;
        const range = endAt(plan.partitionKey.kind, open, ends);
        const sums = sql.sums(range);
        const [sides] = (await client.query<{ source: string; target: string }>(sums.text, sums.values)).rows;
        let suspects = 0;
        if (sides!.source !== sides!.target) {
          const narrowed = sql.seeRange(range, MOST_SUSPECTS, part.part);
          suspects = (await client.query(narrowed.text, narrowed.values)).rowCount ?? 0;
          if (suspects >= MOST_SUSPECTS) return { type: 'crowded' };
        }
        const compared = Number(sides!.source.split(' ')[0]);
        const reached = reachedBy(range, ends);
        await store(client, 'verify/advance-part', [migrationId, part.part, reached, compared]);
        return { type: 'compared', rows: compared, suspects, reached };
      },
      'begin isolation level repeatable read',
    );
  } catch (error) {
    // Two ranges, or a range and the log, had the same suspect.
    if (TRANSIENT.has(sqlState(error) ?? '')) return { type: 'unsettled' };
    throw error;
  }
}

/** Of a table whose ranges are primary keys: rows that stand in a leaf where they do not belong. */
export async function verifyBound(client: Client, verification: Verification, leaf: LeafRange): Promise<number> {
  const seen = await client.query(verification.sql.seeStrays(leaf, WHOLE_TABLE));
  return seen.rowCount ?? 0;
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
