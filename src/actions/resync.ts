import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import { LeafMap, type LeafRange } from '../domain/leaf-map.ts';
import { formatLsn, parseLsn, type Lsn } from '../domain/lsn.ts';
import { parseKeyText } from '../domain/partition-key.ts';
import { parseSnapshot } from '../domain/pg-snapshot.ts';
import { canonicalKey, type CanonicalKey } from '../domain/row-key.ts';
import { invariant } from '../errors.ts';
import { inTransaction } from '../pg/client.ts';
import { addHistory, readSettledPosition, store, type SettledPosition } from '../pg/control-store.ts';
import { copyOutRows } from '../pg/copy.ts';
import type { PlannedUnit } from '../plan/migration-plan.ts';
import { joinIntervals } from '../plan/resync-sql.ts';
import { adoptMade, liveUnits, loadingUnits, wholeKey, type ApplierSession } from './applier-session.ts';
import { makeLiveLeaf, planMissingLeaf } from './make-leaf.ts';

/** Touched keys that one transaction of the applier resyncs: its changes wait meanwhile. */
export const RESYNC_KEYS = 5_000;
/** With fewer touched keys than this, the unit goes live with the rest of them. */
export const GO_LIVE_KEYS = 500;

const REPEATABLE_READ = 'begin isolation level repeatable read';

/** `unsettled`: the snapshot does not see every applied transaction yet; nothing was done, take another one soon. */
export type SnapshotOutcome<T> =
  { readonly type: 'done'; readonly value: T } | { readonly type: 'unsettled'; readonly xids: readonly string[] };

/** Runs in a repeatable read transaction of the applier whose snapshot is settled (rule 2). */
export async function inSettledSnapshot<T>(session: ApplierSession, use: (at: SettledPosition) => Promise<T>): Promise<SnapshotOutcome<T>> {
  const { client, migrationId, plan } = session;
  return inTransaction(
    client,
    async () => {
      // Before the snapshot: to an older one, what a TRUNCATE leaves looks empty, and what was changed between the two would hit no row.
      await client.query(`lock table only ${quoteName(plan.source)} in access share mode`);
      const at = await readSettledPosition(client, migrationId);
      if (at.unseen > 0) return { type: 'unsettled', xids: at.unseenXids };
      return { type: 'done', value: await use(at) };
    },
    REPEATABLE_READ,
  );
}

/**
 * Rule 4, one pass: takes touched keys of a unit out of its leaves and puts their rows in as one snapshot sees them.
 * Resolves with the number of keys done. Called between two transactions of the stream.
 */
export async function resyncUnit(session: ApplierSession, unit: PlannedUnit, into: QualifiedName): Promise<SnapshotOutcome<number>> {
  const { client, resync, migrationId } = session;
  return inSettledSnapshot(session, async ({ walLsn }) => {
    const taken = await client.query(resync.takeTouched, [[unit.unit], RESYNC_KEYS]);
    const keys = taken.rowCount ?? 0;
    if (keys === 0) return 0;
    const own = session.leaves.leaves.filter((leaf) => leaf.unit === unit.unit);
    await client.query(resync.deleteJob(into));
    await client.query(resync.insertJob(into, joinIntervals(own)));
    await store(client, 'backfill/pass-snapshot', [migrationId, unit.unit, formatLsn(walLsn)]);
    return keys;
  });
}

/**
 * Rule 5, for one unit or several at once: the leaves are attached and live; the last touched keys stand in all live leaves as one settled
 * snapshot has them, and are fenced. Called between two transactions of the stream, when the applied position has
 * passed the last snapshot of each of the units.
 *
 * @param attach the statements that make the units' leaves partitions of the target.
 */
export async function goLive(
  session: ApplierSession,
  units: readonly number[],
  attach: readonly string[],
): Promise<SnapshotOutcome<number>> {
  const { client, resync, migrationId } = session;
  for (const unit of units) invariant(session.units.get(unit) === 'loading', `unit ${unit} goes live without having been loaded`);
  const outcome = await inSettledSnapshot(session, async (at) => {
    for (const statement of attach) await client.query(statement);
    const taken = await client.query(resync.takeTouched, [units, 2 * GO_LIVE_KEYS * units.length]);
    for (const unit of units) {
      await store(client, 'store/set-unit-state', [migrationId, unit, 'live', 'live']);
      await addHistory(client, migrationId, 'unit live', { unit });
    }
    const live = new Set([...liveUnits(session), ...units]);
    const others = loadingUnits(session).filter((other) => !units.includes(other));
    const keys = taken.rowCount ?? 0;
    const resynced = keys === 0 ? nothingResynced(session, at) : await resyncLive(session, at, live, others);
    const { rows } = await client.query<{ keys: number }>(resync.countTouched, [units, 1]);
    for (const left of rows) invariant(left.keys === 0, `units ${units.join(', ')} go live while keys are touched`);
    return { ...resynced, keys };
  });
  if (outcome.type !== 'done') return outcome;
  for (const unit of units) session.units.set(unit, 'live');
  adopt(session, outcome.value);
  return { type: 'done', value: outcome.value.keys };
}

/** Rule 7: the repair set's rows as one settled snapshot has them, fenced. Called between two transactions of the stream. */
export async function repairKeys(session: ApplierSession): Promise<SnapshotOutcome<number>> {
  const { client, resync } = session;
  const outcome = await inSettledSnapshot(session, async (at) => {
    const taken = await client.query(resync.takeRepair);
    const resynced = await resyncLive(session, at, liveUnits(session), loadingUnits(session));
    return { ...resynced, keys: taken.rowCount ?? 0 };
  });
  if (outcome.type !== 'done') return outcome;
  session.repair.clear();
  adopt(session, outcome.value);
  return { type: 'done', value: outcome.value.keys };
}

export interface Resynced {
  readonly fenced: readonly CanonicalKey[];
  readonly snapshot: string;
  readonly lsn: Lsn;
  readonly leaves: LeafMap;
  readonly made: readonly LeafRange[];
}

/** No key was touched any more: the statements over all live leaves would plan for nothing, while the stream waits. */
function nothingResynced(session: ApplierSession, { snapshot, walLsn }: SettledPosition): Resynced {
  return { fenced: [], snapshot, lsn: walLsn, leaves: session.leaves, made: [] };
}

/** Puts the job's keys into the state of the transaction's snapshot in every live leaf, fences them, and touches them where units load. */
export async function resyncLive(
  session: ApplierSession,
  at: SettledPosition,
  live: ReadonlySet<number>,
  loading: readonly number[],
): Promise<Resynced> {
  const { client, resync, plan } = session;
  const leaves = new LeafMap(session.leaves.leaves);
  // A row outside of every leaf is one whose insert is still to come in the stream; behind its fence it would be lost.
  const { rows: strays } = await client.query<{ value: string }>(resync.strayJob(joinIntervals(leaves.leaves)));
  const made: LeafRange[] = [];
  for (const { value } of strays) {
    const key = parseKeyText(plan.partitionKey.kind, value);
    if (leaves.find(key)) continue;
    const leaf = planMissingLeaf(session, leaves, key);
    await makeLiveLeaf(session, leaf);
    made.push(leaf);
  }
  const targets = new Set([...live, ...made.map(({ unit }) => unit)]);
  await client.query(resync.deleteJob(plan.target));
  await client.query(resync.insertJob(plan.target, joinIntervals(leaves.leaves.filter(({ unit }) => targets.has(unit)))));
  if (loading.length > 0) await client.query(resync.touchJob, [loading]);
  await client.query(session.verify.logJob);
  // The fence's position: everything that the snapshot sees committed before it, so it may dissolve once that is passed.
  const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
  const lsn = rows[0]!.lsn;
  await client.query(resync.fenceJob, [at.snapshot, lsn]);
  const keys = await copyOutRows(client, resync.copyJobKeys);
  const fenced = keys.map((row) => canonicalKey(wholeKey(row, plan.key.length), session.keyCanons));
  return { fenced, snapshot: at.snapshot, lsn: parseLsn(lsn), leaves, made };
}

/** Takes over what the committed transaction has made. */
export function adopt(session: ApplierSession, { fenced, snapshot, lsn, leaves, made }: Resynced): void {
  const fence = { snapshot: parseSnapshot(snapshot), lsn };
  for (const key of fenced) session.fences.set(key, fence);
  session.leaves = leaves;
  adoptMade(session, made);
}
