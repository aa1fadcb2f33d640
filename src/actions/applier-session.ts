import { quoteLiteral } from '../domain/identifier.ts';
import { LeafMap, type LeafRange } from '../domain/leaf-map.ts';
import { parseLsn, type Lsn } from '../domain/lsn.ts';
import type { RowLayout } from '../domain/net-effect.ts';
import { parseSnapshot, type PgSnapshot } from '../domain/pg-snapshot.ts';
import { canonicalKey, keyCanon, type CanonicalKey, type KeyCanon } from '../domain/row-key.ts';
import type { SourceTable } from '../domain/table.ts';
import { invariant } from '../errors.ts';
import type { UnitState } from '../migration/phase.ts';
import { connect, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { fetchPosition, listLeaves, listUnits, store, type Position } from '../pg/control-store.ts';
import { copyOutRows } from '../pg/copy.ts';
import { fetchPadding } from './added-columns.ts';
import { listOwedIndexes } from './owed-indexes.ts';
import { fetchRecovery } from '../pg/recovery-store.ts';
import { createStageBuffers, type StageBuffers } from './stage-buffers.ts';
import { padTuple, type PadTuple } from '../domain/pad-tuple.ts';
import { withoutLate } from '../plan/follow/late.ts';
import { planApplySql, type ApplySql } from '../plan/apply-sql.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { passGuard } from '../plan/guard.ts';
import { passRefusal } from '../plan/refuse-retired.ts';
import { KEPT_UNIT, planResyncSql, type ResyncSql } from '../plan/resync-sql.ts';
import { comparedColumns, planVerifySql, type VerifySql } from '../plan/verify-sql.ts';

/** A key that the live leaves hold as a snapshot saw it, until the applied position has passed the LSN. */
export interface Fence {
  readonly snapshot: PgSnapshot;
  readonly lsn: Lsn;
}

/**
 * What the applier works with: its database session, and the state that only it changes. The state mirrors what the
 * session has committed; it is changed after a commit, never before.
 */
export interface ApplierSession {
  readonly client: Client;
  readonly migrationId: number;
  readonly plan: MigrationPlan;
  readonly table: SourceTable;
  readonly baseTypes: readonly string[];
  readonly keyCanons: readonly KeyCanon[];
  /** The server's own encoding: values pass through in it. */
  readonly clientEncoding: string;
  readonly buffers: StageBuffers;
  /** Fills up the tuples of changes that lack the last columns, so many of them. */
  readonly pad: (missing: number) => PadTuple;
  readonly sql: ApplySql;
  readonly resync: ResyncSql;
  readonly verify: VerifySql;
  layout: RowLayout | null;
  position: Position;
  anomalies: number;
  /** Whether new leaves are guarded against other writers, as the planned ones are. */
  readonly isGuarded: boolean;
  /** Indexes of the source that the target has not yet: they came meanwhile. */
  owedIndexes: number;
  /** An xid8 near those in the stream, to widen its 32-bit xids. */
  xidReference: bigint;
  leaves: LeafMap;
  readonly units: Map<number, UnitState>;
  /**
   * A fence of every key: leaves that the plan's snapshot saw empty are live as of that snapshot. A row of theirs that was
   * there when the slot began and was gone in the snapshot is not to be missed when the stream brings its last changes.
   */
  baseFence: Fence | null;
  readonly fences: Map<CanonicalKey, Fence>;
  readonly repair: Set<CanonicalKey>;
  /** A slot was lost: no leaf is live, all that were are one unit whose keys are touched (docs/slot.md). */
  isRecovering: boolean;
}

/** Plans are made for small stages joined to indexed leaves: anything but a nested loop over an index scan is wrong there. */
const PLANNER = ['enable_hashjoin', 'enable_mergejoin', 'enable_seqscan', 'enable_memoize', 'enable_material'].map(
  (name) => `set ${name} = off`,
);

/** Opens the applier's session and reads its state. The caller ends the client. */
export async function openApplierSession(
  settings: ConnectionSettings,
  migrationId: number,
  plan: MigrationPlan,
  table: SourceTable,
): Promise<ApplierSession> {
  const client = await connect(settings, { applicationName: 'partitioner applier' });
  try {
    await client.query(
      [
        ...PLANNER,
        'set plan_cache_mode = force_generic_plan',
        `set temp_buffers = '32MB'`,
        ...passRefusal(plan, migrationId),
        passGuard(migrationId),
      ].join('; '),
    );
    const baseTypes = await fetchBaseTypes(client, plan);
    const verify = planVerifySql(plan, migrationId, comparedColumns(table));
    const sql = planApplySql(plan, baseTypes, verify.logDeleted);
    const resync = planResyncSql(plan, migrationId);
    const clientEncoding = await fetchServerEncoding(client);
    await client.query(`set client_encoding = ${quoteLiteral(clientEncoding)}`);
    for (const statement of [...sql.createStage, resync.createJob]) await client.query(statement);
    const padding = await fetchPadding(client, migrationId, plan);
    const { anomalies, base, ...position } = await fetchPosition(client, migrationId);
    const session: ApplierSession = {
      client,
      migrationId,
      plan,
      table: withoutLate(table, plan),
      baseTypes,
      keyCanons: plan.key.map((i) => keyCanon(baseTypes[i]!, plan.columns[i]!.wire)),
      clientEncoding,
      buffers: createStageBuffers(),
      pad: (missing) => padTuple(padding.slice(padding.length - missing)),
      sql,
      resync,
      verify,
      layout: null,
      position,
      anomalies,
      isGuarded: await isGuarded(client, migrationId),
      owedIndexes: (await listOwedIndexes(client, migrationId, plan, table)).length,
      xidReference: await fetchNextXid(client),
      leaves: new LeafMap(await listLeaves(client, migrationId)),
      units: new Map((await listUnits(client, migrationId)).map(({ unit, state }) => [unit, state])),
      baseFence: base && base.lsn > position.lsn ? { snapshot: parseSnapshot(base.snapshot), lsn: base.lsn } : null,
      fences: new Map(),
      repair: new Set(),
      isRecovering: (await fetchRecovery(client, migrationId)) !== null,
    };
    const keys = plan.key.length;
    for (const row of await copyOutRows(client, resync.copyRepairKeys))
      session.repair.add(canonicalKey(wholeKey(row, keys), session.keyCanons));
    for (const row of await copyOutRows(client, resync.copyFences)) {
      const fence = { snapshot: parseSnapshot(row[keys]!.toString()), lsn: parseLsn(row[keys + 1]!.toString()) };
      session.fences.set(canonicalKey(wholeKey(row, keys), session.keyCanons), fence);
    }
    return session;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

/** What becomes of a leaf that nobody planned. */
export function adoptMade(session: ApplierSession, made: readonly LeafRange[]): void {
  for (const { unit } of made) session.units.set(unit, session.isRecovering ? 'loading' : 'live');
}

export function wholeKey(row: readonly (Buffer | null)[], keys: number): Buffer[] {
  return row.slice(0, keys).map((field) => {
    invariant(field !== null, 'a key of the bookkeeping holds a NULL');
    return field;
  });
}

export function liveUnits(session: ApplierSession): ReadonlySet<number> {
  return new Set([...session.units].filter(([, state]) => state === 'live').map(([unit]) => unit));
}

/** Whose keys are touched by every change. */
export function loadingUnits(session: ApplierSession): number[] {
  if (session.isRecovering) return [KEPT_UNIT];
  return [...session.units].filter(([, state]) => state === 'loading').map(([unit]) => unit);
}

async function fetchBaseTypes(client: Client, plan: MigrationPlan): Promise<string[]> {
  const rows = await store(client, 'apply/base-types', [plan.sourceOid]);
  return plan.columns.map(({ name }) => {
    const row = rows.find((candidate) => candidate.name === name);
    invariant(row, `column "${name}" of the source is not in the catalog`);
    return row.type as string;
  });
}

async function isGuarded(client: Client, id: number): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>('select to_regprocedure($1) is not null as there', [`partitioner.guard_${id}()`]);
  return rows[0]!.there;
}

async function fetchNextXid(client: Client): Promise<bigint> {
  const { rows } = await client.query<{ xid: string }>('select pg_snapshot_xmax(pg_current_snapshot())::text as xid');
  return BigInt(rows[0]!.xid);
}

async function fetchServerEncoding(client: Client): Promise<string> {
  const { rows } = await client.query<{ encoding: string }>(`select current_setting('server_encoding') as encoding`);
  return rows[0]!.encoding;
}
