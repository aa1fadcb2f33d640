import type { LeafMap, LeafRange } from '../domain/leaf-map.ts';
import { LeafMap as Leaves } from '../domain/leaf-map.ts';
import { formatLsn } from '../domain/lsn.ts';
import { NetEffect, partitionValueOf, type KeyTuple, type RowLayout } from '../domain/net-effect.ts';
import { snapshotSees } from '../domain/pg-snapshot.ts';
import type { CanonicalKey } from '../domain/row-key.ts';
import { TupleFields } from '../domain/tuple.ts';
import { widenXid } from '../domain/xid.ts';
import { invariant, MigratorError } from '../errors.ts';
import { inTransaction, sqlState } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';
import type { Batch } from '../streams/batches.ts';
import { adoptMade, liveUnits, loadingUnits, type ApplierSession } from './applier-session.ts';
import { ChangeLog } from './log-changes.ts';
import { makeLiveLeaf, planMissingLeaf } from './make-leaf.ts';
import { addRepairKeys, copyTuples, mergeDirect, mergeTakingOut, touchKeys, type Merge } from './merge-net-effect.ts';
import { truncateTarget } from './truncate-target.ts';

/** Changes applied, by kind, as counted in the stream. */
export interface Applied {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly truncated: number;
  readonly anomalies: number;
}

type Segment =
  | { readonly kind: 'net'; readonly net: NetEffect }
  /** Inserts alone, and nothing that asks for their keys: they go straight into the live leaves. */
  | { readonly kind: 'inserts'; readonly rows: readonly { readonly tuple: Buffer; readonly partitionValue: bigint }[] }
  | { readonly kind: 'truncate'; readonly xid: bigint };

const UNIQUE_VIOLATION = '23505';

/**
 * Applies a batch and moves the applied position, in one transaction. Rules 1, 6 and 7 of the migration's README.
 * A batch that trips over a unique index although its end state is legal (two rows swap a value) is done again with its
 * rows taken out first. Throws DEFECT when it trips even so: the target holds a row that the source does not.
 */
export async function applyBatch(session: ApplierSession, batch: Batch): Promise<Applied> {
  const { position } = session;
  const moved = batch.position.lsn !== position.lsn || batch.position.partialChanges !== position.partialChanges;
  if (!moved) {
    invariant(batch.changes.length === 0, 'a batch with changes does not move the applied position');
    return { inserted: 0, updated: 0, deleted: 0, truncated: 0, anomalies: 0 };
  }
  const segments = reduce(session, batch);
  const { leaves, made } = placeRows(session, segments);
  const attempt = (merge: Merge): Promise<Attempt> => applySegments(session, batch, segments, leaves, made, merge);
  let done: Attempt;
  try {
    done = await attempt(mergeDirect);
  } catch (error) {
    if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
    try {
      done = await attempt(mergeTakingOut);
    } catch (again) {
      if (sqlState(again) !== UNIQUE_VIOLATION) throw again;
      throw new MigratorError('DEFECT', 'the change stream brings a row that the target holds already', {
        detail: (again as Error).message,
        cause: again,
      });
    }
  }
  session.position = batch.position;
  session.xidReference = done.nextXid;
  session.leaves = leaves;
  adoptMade(session, made);
  for (const key of done.repair) session.repair.add(key);
  for (const [key, fence] of session.fences) if (fence.lsn <= batch.position.lsn) session.fences.delete(key);
  if (session.baseFence && session.baseFence.lsn <= batch.position.lsn) session.baseFence = null;
  session.anomalies += done.applied.anomalies;
  return done.applied;
}

/** The batch's net effects, cut at each TRUNCATE. */
function reduce(session: ApplierSession, batch: Batch): Segment[] {
  if (batch.changes.length === 0) return [];
  const { layout, baseFence, fences, repair } = session;
  invariant(layout, 'a change of the stream came before its relation');
  const loads = loadingUnits(session).length > 0;
  if (!loads && !baseFence && fences.size === 0 && repair.size === 0 && session.plan.columns.every(({ wire }) => wire === 'binary')) {
    const rows = plainInserts(layout, batch);
    if (rows) return [{ kind: 'inserts', rows }];
  }
  const rules = {
    isFenced(key: CanonicalKey, xid: bigint): boolean {
      if (baseFence && snapshotSees(baseFence.snapshot, xid)) return true;
      const fence = fences.size === 0 ? undefined : fences.get(key);
      return fence !== undefined && snapshotSees(fence.snapshot, xid);
    },
    isInRepair: (key: CanonicalKey): boolean => repair.has(key),
  };
  const segments: Segment[] = [];
  let net: NetEffect | null = null;
  let at = 0;
  for (const run of batch.runs) {
    const xid = widenXid(run.xid, session.xidReference);
    for (const end = at + run.changes; at < end; at++) {
      const change = batch.changes[at]!;
      if (change.kind === 'truncate') {
        segments.push({ kind: 'truncate', xid });
        net = null;
        continue;
      }
      if (!net) segments.push({ kind: 'net', net: (net = new NetEffect(layout, rules, loads)) });
      if (change.kind === 'insert') net.insert(change.tuple, xid);
      else if (change.kind === 'update') net.update(change.old, change.tuple, xid);
      else net.delete(change.old, xid);
    }
  }
  invariant(at === batch.changes.length, 'a batch has changes of no transaction');
  return segments;
}

function plainInserts(layout: RowLayout, { changes }: Batch): { tuple: Buffer; partitionValue: bigint }[] | null {
  const fields = new TupleFields();
  const rows: { tuple: Buffer; partitionValue: bigint }[] = [];
  for (const change of changes) {
    if (change.kind !== 'insert') return null;
    rows.push({ tuple: change.tuple, partitionValue: partitionValueOf(layout, fields.read(change.tuple), change.tuple) });
  }
  return rows;
}

/** The leaves with those that the batch's rows need and that nobody planned. */
function placeRows(session: ApplierSession, segments: readonly Segment[]): { leaves: LeafMap; made: LeafRange[] } {
  const leaves = new Leaves(session.leaves.leaves);
  const made: LeafRange[] = [];
  for (const segment of segments) {
    if (segment.kind === 'truncate') continue;
    for (const { partitionValue } of segment.kind === 'net' ? segment.net.rows.values() : segment.rows) {
      if (!leaves.find(partitionValue)) made.push(planMissingLeaf(session, leaves, partitionValue));
    }
  }
  return { leaves, made };
}

interface Attempt {
  readonly applied: Applied;
  readonly repair: readonly CanonicalKey[];
  readonly nextXid: bigint;
}

async function applySegments(
  session: ApplierSession,
  batch: Batch,
  segments: readonly Segment[],
  leaves: LeafMap,
  made: readonly LeafRange[],
  merge: Merge,
): Promise<Attempt> {
  const { client, migrationId } = session;
  const live = new Set(liveUnits(session));
  if (!session.isRecovering) for (const leaf of made) live.add(leaf.unit);
  const allLive = live.size === new Set([...session.units.keys(), ...made.map(({ unit }) => unit)]).size;
  const isLive = (value: bigint): boolean => live.has(leaves.find(value)!.unit);
  return inTransaction(client, async () => {
    const counts = { inserted: 0, updated: 0, deleted: 0, truncated: 0, anomalies: 0 };
    const repair = new Map<CanonicalKey, KeyTuple>();
    for (const leaf of made) await makeLiveLeaf(session, leaf);
    const loading = loadingUnits(session);
    const log = new ChangeLog(session);
    for (const segment of segments) {
      if (segment.kind === 'truncate') {
        counts.truncated++;
        await truncateTarget(session, segment.xid);
        continue;
      }
      if (segment.kind === 'inserts') {
        const rows = segment.rows.filter(({ partitionValue }) => isLive(partitionValue));
        await copyTuples(session, rows);
        log.inserts(rows);
        counts.inserted += segment.rows.length;
        continue;
      }
      const { net } = segment;
      if (loading.length > 0) await touchKeys(session, net.touched, loading);
      if (live.size > 0) {
        const merged = await merge(session, net, isLive, allLive);
        counts.anomalies += merged.anomalies;
        for (const [key, fields] of merged.repair) repair.set(key, fields);
        log.net(net, merged.moved);
      }
      for (const [key, fields] of net.repair) repair.set(key, fields);
      counts.inserted += net.inserted;
      counts.updated += net.updated;
      counts.deleted += net.deleted;
      counts.anomalies += net.anomalies;
    }
    await log.write();
    if (repair.size > 0) await addRepairKeys(session, repair);
    const { lsn, partialLsn, partialChanges } = batch.position;
    if (session.fences.size > 0) await client.query(session.resync.dissolveFences, [formatLsn(lsn)]);
    const xids = batch.runs.map(({ xid }) => widenXid(xid, session.xidReference).toString());
    const [moved] = await store(client, 'apply/move-position', [
      migrationId,
      formatLsn(lsn),
      partialLsn === null ? null : formatLsn(partialLsn),
      partialChanges,
      xids,
      batch.commitTimeUs === null ? null : new Date(Number(batch.commitTimeUs / 1000n) + POSTGRES_EPOCH_MS).toISOString(),
      counts.inserted,
      counts.updated,
      counts.deleted,
      counts.truncated,
      counts.anomalies,
      formatLsn(session.position.lsn),
      session.position.partialChanges,
    ]);
    if (!moved)
      throw new MigratorError('POSTGRES', 'another daemon has moved the applied position', {
        detail: `it stood at ${formatLsn(session.position.lsn)}`,
      });
    return { applied: counts, repair: [...repair.keys()], nextXid: BigInt(moved.next_xid as string) };
  });
}

/** 2000-01-01 UTC in Unix milliseconds: PostgreSQL's epoch. */
const POSTGRES_EPOCH_MS = 946_684_800_000;
