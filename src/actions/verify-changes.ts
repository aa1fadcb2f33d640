import { LeafMap } from '../domain/leaf-map.ts';
import { formatLsn } from '../domain/lsn.ts';
import { inTransaction, type Client } from '../pg/client.ts';
import { listLeaves, listUnits, readSettledPosition, store } from '../pg/control-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { gapsBetween, type KeyInterval } from '../plan/resync-sql.ts';
import type { VerifySql } from '../plan/verify-sql.ts';

/** What the verification of one migration needs of it. */
export interface Verification {
  readonly migrationId: number;
  readonly plan: MigrationPlan;
  readonly sql: VerifySql;
}

/** Where the verification stands, in the snapshot that reads it. */
export interface VerificationState {
  readonly byKey: boolean;
  readonly pass: number;
  readonly tainted: boolean;
  /** Number of the last logged key that was compared again. */
  readonly checkedTo: bigint;
  readonly differences: number;
  readonly truncated: string;
}

/** What a comparison of few keys with much is planned without: anything but a nested loop over an index scan is wrong there. */
export const PLANNER = ['enable_hashjoin', 'enable_mergejoin', 'enable_seqscan', 'enable_material'] as const;

/** Keys that one comparison of logged changes takes; fewer where each of them may be looked for in many leaves. */
const RECHECK = { most: 20_000, least: 100, probes: 1_000_000 };

export async function readVerification(client: Client, migrationId: number): Promise<VerificationState> {
  const [row] = await store(client, 'verify/fetch-verification', [migrationId]);
  if (!row) throw new Error(`migration ${migrationId} has no verification`);
  return {
    byKey: row.by_key as boolean,
    pass: row.pass as number,
    tainted: row.tainted as boolean,
    checkedTo: BigInt(row.checked_to as string),
    differences: row.differences as number,
    truncated: row.truncated as string,
  };
}

export interface Rechecked {
  /** Rows that were looked for: a key in its leaf, or in every one. */
  readonly probes: number;
  /** Logged numbers that are still to be compared, about. */
  readonly behind: number;
  /** The snapshot was not settled: nothing was done. */
  readonly isUnsettled: boolean;
}

/**
 * Compares keys that the stream has changed since they were compared, in one settled snapshot of both sides. Those that agree are done:
 * whatever changes them later is logged again. Those that do not may be behind the stream, and become suspects.
 * Only one session of a migration may do so at a time.
 */
export async function recheckChanges(client: Client, { migrationId, sql }: Verification, leaves: number): Promise<Rechecked> {
  const most = Math.max(RECHECK.least, Math.min(RECHECK.most, Math.floor(RECHECK.probes / leaves)));
  return inTransaction(
    client,
    async () => {
      const at = await readSettledPosition(client, migrationId);
      if (at.unseen > 0) return { probes: 0, behind: 0, isUnsettled: true };
      const { checkedTo, truncated } = await readVerification(client, migrationId);
      const logged = await client.query<{ last: string | null; behind: number }>(sql.nextLogged, [checkedTo.toString(), most]);
      const { behind } = logged.rows[0]!;
      const last = logged.rows[0]!.last ?? checkedTo.toString();
      await client.query(sql.takeLogged, [checkedTo.toString(), last]);
      const { keys, anywhere } = await countTaken(client, sql);
      if (keys === 0) return { probes: 0, behind: 0, isUnsettled: false };
      const live = await liveIntervals(client, migrationId);
      // Planned once for all where nothing is to come any more: with a thousand leaves that takes longer than a thousand keys.
      const name = live === null ? 'partitioner suspect' : undefined;
      await client.query({ name, text: sql.suspectTaken(live), values: [last, formatLsn(at.walLsn), truncated] });
      await client.query(sql.acquitTaken, [last]);
      await client.query(sql.forgetLogged, [last]);
      await store(client, 'verify/move-checked', [migrationId, last, keys]);
      return { probes: keys + anywhere * leaves, behind: Math.max(0, behind - most), isUnsettled: false };
    },
    'begin isolation level repeatable read',
  );
}

interface Taken {
  readonly keys: number;
  /** Those that are looked for in every leaf. */
  readonly anywhere: number;
}

async function countTaken(client: Client, sql: VerifySql): Promise<Taken> {
  const { rows } = await client.query<{ keys: number; anywhere: number }>(sql.countTaken);
  return rows[0]!;
}

/** Where the target already has what the source has, or nobody has to bring it but the stream; null when that is everywhere. */
async function liveIntervals(client: Client, migrationId: number): Promise<KeyInterval[] | null> {
  const states = new Map((await listUnits(client, migrationId)).map(({ unit, state }) => [unit, state]));
  if ([...states.values()].every((state) => state === 'live')) return null;
  const leaves = await listLeaves(client, migrationId);
  return gapsBetween(new LeafMap(leaves.filter(({ unit }) => states.get(unit) !== 'live')).leaves);
}

/**
 * Decides on suspects whose position the stream has passed: every change that their snapshot saw is applied. A key that was changed since
 * is compared again with the log; one that was not, differs. Resolves with the keys that differ and those that are still suspected.
 */
export async function judgeSuspects(client: Client, { migrationId, sql }: Verification): Promise<{ different: number; suspected: number }> {
  return inTransaction(
    client,
    async () => {
      if ((await countStates(client, sql)).suspected > 0) {
        // After a large transaction both are many: here a hash is right, and a nested loop would take minutes.
        await client.query('set local enable_hashjoin = on; set local enable_seqscan = on');
        await client.query(sql.releaseTruncated, [migrationId]);
        await client.query(sql.releaseSuspects, [migrationId]);
        await client.query(sql.convict, [migrationId]);
      }
      const counts = await countStates(client, sql);
      await store(client, 'verify/set-differences', [migrationId, counts.different]);
      return counts;
    },
    'begin isolation level repeatable read',
  );
}

/** One key that differs. */
export interface Difference {
  /** The primary key's values, as text. */
  readonly key: readonly string[];
  readonly kind: 'missing' | 'extra' | 'changed';
  /** Hashes of the rows' text; null where there is no row. */
  readonly source: string | null;
  readonly target: string | null;
  /** The columns that differ, of a changed row. */
  readonly columns: readonly string[] | null;
}

export async function describeDifferences(client: Client, { sql }: Verification, most: number): Promise<Difference[]> {
  const { rows } = await client.query<Difference & Record<string, unknown>>(sql.describe, [most]);
  return rows.map(({ key, kind, source, target, columns }) => ({ key, kind, source, target, columns }));
}

/** What the cutover has proven under its lock. */
export interface Proof {
  /** Keys compared row by row: those that changed since they were compared last. */
  readonly rowsCompared: number;
  /** Keys that differ, the first ones, as text. */
  readonly differing: readonly (readonly string[])[];
  /** Touched, fenced and repair keys; none of them may be left. */
  readonly rest: { readonly touched: number; readonly fenced: number; readonly repair: number };
}

const PROOF = 'partitioner_proof';

/**
 * Makes the table of keys that `proveUnderLock` needs, and plans its comparison, before the transaction that holds the lock: with a thousand leaves
 * the plan takes longer than the comparison. Whatever makes it invalid meanwhile has it planned anew.
 */
export async function prepareProof(client: Client, { sql }: Verification): Promise<void> {
  await client.query(sql.createCheck);
  await client.query(`prepare ${PROOF} as ${sql.differing}`);
  // Few keys against every leaf: see the sessions that compare them before.
  await client.query(PLANNER.map((name) => `set ${name} = off`).join('; '));
  await client.query(`execute ${PROOF}`);
  await client.query(PLANNER.map((name) => `set ${name} = on`).join('; '));
}

/**
 * Under a lock that stops writers, with everything applied: every key that was logged since it was compared last, and every suspect, has to
 * be the same on both sides. In the transaction of the lock, whose snapshots are one a statement.
 */
export async function proveUnderLock(
  { migrationId, sql }: Verification,
  query: (text: string, values?: readonly unknown[]) => Promise<Record<string, unknown>[]>,
): Promise<Proof> {
  const [state] = await query(`select checked_to::text from partitioner.verification where migration = $1`, [migrationId]);
  await query(sql.takeAll, [state!.checked_to]);
  const [taken] = await query(sql.countTaken);
  // For a plan that has to be made anew.
  await query(PLANNER.map((name) => `set local ${name} = off`).join('; '));
  const differing = await query(`execute ${PROOF}`);
  await query(PLANNER.map((name) => `set local ${name} = on`).join('; '));
  const [rest] = await query(sql.countRest);
  return {
    rowsCompared: taken!.keys as number,
    differing: differing.map((row) => Object.values(row) as string[]),
    rest: rest as unknown as Proof['rest'],
  };
}

/** Keys that are suspected and not judged yet. */
export async function countSuspects(client: Client, { sql }: Verification): Promise<number> {
  return (await countStates(client, sql)).suspected;
}

async function countStates(client: Client, sql: VerifySql): Promise<{ different: number; suspected: number }> {
  const { rows } = await client.query<{ different: number; suspected: number }>(sql.countDifferent);
  return rows[0]!;
}
