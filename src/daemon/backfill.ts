import { finishLeaf, purgeUnit } from '../actions/finish-leaf.ts';
import { abandonCopier, closeCopier, openCopier, type Copier } from '../actions/load-chunk.ts';
import { buildOwedIndexes, listOwedIndexes } from '../actions/owed-indexes.ts';
import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { LeafRange } from '../domain/leaf-map.ts';
import type { Lsn } from '../domain/lsn.ts';
import { invariant } from '../errors.ts';
import { abandon, close, connect, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { addHistory, emitMessage, listOpenChunks, listUnits, store, type Migration, type StoredUnit } from '../pg/control-store.ts';
import type { MigrationPlan, PlannedLeaf, PlannedUnit } from '../plan/migration-plan.ts';
import { passGuard } from '../plan/guard.ts';
import { joinIntervals } from '../plan/resync-sql.ts';
import { planUnstage, stagingName } from '../plan/staging.ts';
import { loadSql } from '../sql/load.ts';
import type { Applier } from './applier.ts';
import { copyChunk, type CopyPace } from './copy-chunk.ts';
import { GoLives } from './go-live.ts';
import { Pool } from './pool.ts';
import type { Rate } from './rate.ts';

export interface BackfillOptions {
  readonly settings: ConnectionSettings;
  readonly migration: Migration & { readonly plan: MigrationPlan };
  readonly applier: Applier;
  /** Copy streams at a time, and as many index builders beside them. */
  readonly jobs: number;
  readonly clientEncoding: string;
  readonly pace: CopyPace;
  /** The ceiling of what is copied in a second. */
  readonly rate: Rate;
  /** Whether the work is to go on half of the time only. */
  readonly isSlow: () => boolean;
  /** A session for the bookkeeping, one statement at a time. */
  readonly desk: Pool<Client>;
  /** Resolves when the backfill is not paused, rejects when the signal aborts. */
  readonly unpaused: (signal: AbortSignal) => Promise<void>;
  /** Resolves when the applied position is at or past the LSN; pushes the WAL when it is idle. */
  readonly passed: (lsn: Lsn) => Promise<void>;
  readonly onCopied: (rows: number, bytes: number) => void;
  readonly onWaiting: (what: string | null) => void;
  readonly onUnit: (unit: number, event: 'loading' | 'copied' | 'indexed' | 'live') => void;
  readonly signal: AbortSignal;
}

/** Loaded units that wait for others to have gone live. */
const MOST_WAITING = 8;

/**
 * Takes every unit that is not live through chunks, purge, indexes and resync to live, in load order. Copying and
 * index building overlap: while one unit's leaves are indexed, the next unit is copied. Resumes each unit where its row stands.
 */
export async function runBackfill(options: BackfillOptions): Promise<void> {
  const { settings, jobs, desk, migration } = options;
  const copiers = new Pool<Copier>({
    size: jobs,
    make: () => openCopier(settings, options.clientEncoding, migration.id),
    dispose: closeCopier,
    abandon: abandonCopier,
  });
  const finishers = new Pool<Client>({ size: jobs, make: () => openFinisher(settings, migration.id), dispose: close, abandon });
  // One unit more than there are copiers is loading, so that none of them waits for a unit to begin.
  const copying = new Pool<null>({ size: jobs + 1, make: () => Promise.resolve(null), dispose: () => Promise.resolve() });
  // Each change of the stream touches its keys in all that load. Enough for the copiers and builders to be busy while others wait to go live, which they do together.
  const loading = new Pool<null>({ size: 2 * jobs + MOST_WAITING, make: () => Promise.resolve(null), dispose: () => Promise.resolve() });
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  signal.addEventListener('abort', () => {
    copiers.abandon(signal.reason);
    finishers.abandon(signal.reason); // an index build of an hour must not hold up a stop: what it made is found or made again
  });
  const goLives = new GoLives({ ...options, signal });
  try {
    const units = (await desk.use((client) => listUnits(client, migration.id))).filter(({ state }) => state !== 'live');
    const work = units.map(async (unit) => {
      try {
        await loading.use(() => runUnit({ ...options, signal }, unit, { copiers, finishers, copying, goLives }));
      } catch (error) {
        failed.abort(error); // the others stop at their next step
        throw error;
      }
    });
    const outcomes = await Promise.allSettled(work);
    if (failed.signal.aborted) throw failed.signal.reason;
    const rejected = outcomes.find((outcome) => outcome.status === 'rejected');
    if (rejected) throw rejected.reason;
    await finishers.use(async (client) => {
      await followIndexes(options, client);
      await analyzeTarget(client, migration.plan.target);
    });
  } finally {
    await Promise.all([copiers.close(), finishers.close()]);
  }
}

interface Pools {
  readonly copiers: Pool<Copier>;
  readonly finishers: Pool<Client>;
  /** Units whose chunks are copied at a time. */
  readonly copying: Pool<null>;
  readonly goLives: GoLives;
}

async function runUnit(options: BackfillOptions, stored: StoredUnit, pools: Pools): Promise<void> {
  const { migration, applier, signal } = options;
  const planned = migration.plan.units.find(({ unit }) => unit === stored.unit);
  invariant(planned, `unit ${stored.unit} is not in the plan`);
  const leaves = applier.session.leaves.leaves.filter((leaf) => leaf.unit === stored.unit);
  const into =
    planned.kind === 'table' ? stagingName(migration.plan, migration.id) : { schema: migration.plan.source.schema, name: leaves[0]!.name };
  if (stored.step === 'chunks' || stored.step === 'purge') {
    await pools.copying.use(async () => {
      await options.unpaused(signal);
      signal.throwIfAborted();
      if (stored.state === 'pending') await beginLoading(options, stored.unit);
      await copyChunks(options, planned, leaves, into, pools.copiers);
    });
    options.onUnit(stored.unit, 'copied');
    await purge(options, stored.unit, into, pools.finishers);
  }
  await Promise.all(
    leaves.map((leaf) =>
      pools.finishers.use(async (client) => {
        signal.throwIfAborted();
        await finishLeaf(client, migration.plan.source.schema, leaf, plannedLeaf(migration.plan, leaf).finish, () =>
          options.unpaused(signal),
        );
      }),
    ),
  );
  options.onUnit(stored.unit, 'indexed');
  const attach = (leaf: LeafRange): PlannedLeaf['attach'] => plannedLeaf(migration.plan, leaf).attach;
  const steps = planned.kind === 'table' ? planUnstage(migration.plan, migration.id, leaves, attach) : leaves.flatMap(attach);
  await pools.goLives.take({ unit: planned, into, attach: steps.map(({ sql }) => sql) });
  options.onUnit(stored.unit, 'live');
}

/** The state changes between two transactions of the stream, and before the first chunk's snapshot is taken. */
async function beginLoading({ applier, migration, onUnit }: BackfillOptions, unit: number): Promise<void> {
  await applier.between(async () => {
    await store(applier.session.client, 'store/set-unit-state', [migration.id, unit, 'loading', 'chunks']);
    await addHistory(applier.session.client, migration.id, 'unit loading', { unit });
    applier.session.units.set(unit, 'loading');
  });
  onUnit(unit, 'loading');
}

async function copyChunks(
  options: BackfillOptions,
  unit: PlannedUnit,
  leaves: readonly LeafRange[],
  into: QualifiedName,
  copiers: Pool<Copier>,
): Promise<void> {
  const { desk, migration } = options;
  const extents = joinIntervals(leaves);
  invariant(extents.length === 1, `the leaves of unit ${unit.unit} do not follow each other`);
  const chunks = await desk.use((client) => listOpenChunks(client, migration.id, unit.unit));
  await Promise.all(chunks.map((chunk) => copiers.use((copier) => copyChunk(options, copier, { unit, extent: extents[0]!, into }, chunk))));
}

async function purge(options: BackfillOptions, unit: number, into: QualifiedName, finishers: Pool<Client>): Promise<void> {
  const { applier, migration } = options;
  await options.passed(await lastSnapshotLsn(options, unit));
  await finishers.use((client) => purgeUnit(client, migration.id, unit, into, applier.session.resync));
}

async function lastSnapshotLsn({ applier, migration }: BackfillOptions, unit: number): Promise<Lsn> {
  const units = await applier.between(() => listUnits(applier.session.client, migration.id));
  return units.find((candidate) => candidate.unit === unit)!.lastSnapshotLsn;
}

function plannedLeaf(plan: MigrationPlan, leaf: LeafRange): PlannedLeaf {
  const planned = plan.leaves.find((candidate) => candidate.leaf === leaf.leaf);
  invariant(planned, `leaf ${leaf.name} is not in the plan`);
  return planned;
}

/** Indexes that came meanwhile. The stream is followed up to where they were seen first: before, rows may have broken what is unique now. */
async function followIndexes({ applier, migration: { id, plan }, passed }: BackfillOptions, client: Client): Promise<void> {
  const { session } = applier;
  const owed = await listOwedIndexes(client, id, plan, session.table);
  if (owed.length === 0) return;
  await passed(await emitMessage(client, 'indexes'));
  await buildOwedIndexes(client, owed, { plan, table: session.table, leaves: session.leaves.leaves });
  session.owedIndexes = 0;
}

/** Autovacuum never analyzes a partitioned table; until somebody has, plans over all leaves are guesses (pg_class.reltuples is -1). */
async function analyzeTarget(client: Client, target: QualifiedName): Promise<void> {
  const { rows } = await client.query<{ never: boolean }>(loadSql('backfill/never-analyzed'), [target.schema, target.name]);
  if (rows[0]?.never === true) await client.query(`analyze ${quoteName(target)}`);
}

async function openFinisher(settings: ConnectionSettings, migrationId: number): Promise<Client> {
  const client = await connect(settings, { applicationName: 'partitioner builder' });
  try {
    await client.query(`set maintenance_work_mem = '256MB'; set work_mem = '64MB'; ${passGuard(migrationId)}`);
    // Not every platform can notice a client that is gone; then a build that nobody waits for runs to its end.
    await client.query(`set client_connection_check_interval = '5s'`).catch(() => undefined);
    return client;
  } catch (error) {
    await close(client);
    throw error;
  }
}
