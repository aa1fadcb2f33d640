import { setTimeout as sleep } from 'node:timers/promises';
import { quoteIdent, quoteName } from '../domain/identifier.ts';
import { formatLsn, parseLsn, type Lsn } from '../domain/lsn.ts';
import type { SourceTable } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import { fetchFingerprint } from '../pg/catalog.ts';
import { inTransaction, sqlState, type Client } from '../pg/client.ts';
import { fetchVersion } from '../pg/version.ts';
import {
  addHistory,
  createControlSchema,
  fetchMigrationById,
  readSettledPosition,
  store,
  type Migration,
  type SettledPosition,
} from '../pg/control-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { publicationName, retiredName, slotName, targetName } from '../plan/names.ts';
import type { PlanOptions } from '../plan/options.ts';
import { planResyncSql } from '../plan/resync-sql.ts';
import { comparedColumns, planVerifySql } from '../plan/verify-sql.ts';
import { planStaging } from '../plan/staging.ts';
import { bindIdentifiers, loadSql } from '../sql/load.ts';
import { buildPlan } from './build-plan.ts';
import { dropSlot } from './drop-slot.ts';

/** The slot's creation waits for every running transaction; at most this long at a time. */
const SLOT_LOCK_TIMEOUT_MS = 10_000;
const SETTLE_RETRY_MS = 50;

export interface PrepareHooks {
  /** Says what is waited for, null when it is over. */
  readonly onWaiting: (what: string | null) => void;
  readonly signal: AbortSignal;
}

/** Opens the migration's row, which claims the table: a second start of the same table finds it and stands by. */
export async function openMigration(client: Client, table: SourceTable, options: PlanOptions): Promise<number> {
  return inTransaction(client, async () => {
    await client.query('select pg_advisory_xact_lock(1886545776, 0)'); // two first starts in one database
    await createControlSchema(client);
    const fingerprint = await fetchFingerprint(client, table.oid);
    const [row] = await store(client, 'store/insert-migration', [
      table.schema,
      table.name,
      table.oid,
      JSON.stringify(options),
      fingerprint,
    ]);
    const id = row!.id as number;
    const { rows } = await client.query<{ database: string }>('select current_database() as database');
    const names = [targetName(id, table.name), retiredName(id, table.name), slotName(id, rows[0]!.database), publicationName(id)];
    await store(client, 'store/name-objects', [id, ...names]);
    await addHistory(client, id, 'opened', { source: `${table.schema}.${table.name}`, options });
    return id;
  });
}

/**
 * Makes publication and slot, then, in a settled snapshot, reads the data's bounds, plans, and makes target and leaves.
 * The slot comes first: a row outside of every planned leaf can then only come through the stream. Killed anywhere, it is
 * called again and begins anew; what it made before is dropped first.
 */
export async function prepare(client: Client, migration: Migration, table: SourceTable, hooks: PrepareHooks): Promise<MigrationPlan> {
  const { id, slotName: slot, publicationName: publication } = migration;
  await dropSlot(client, slot);
  await client.query(`drop publication if exists ${quoteIdent(publication)}`);
  await createPublication(client, publication, table, hooks);
  const lsn = await createSlot(client, slot, hooks);
  await inTransaction(client, async () => {
    await client.query('select pg_current_xact_id()');
    const [running] = await store(client, 'backfill/running-transactions');
    await store(client, 'store/insert-position', [id, lsn, running!.xids]);
  });
  const plan = await inSettledSnapshot(client, id, hooks, (at) => planAndMake(client, migration, table, at));
  await addHistory(client, id, 'prepared', { slotLsn: lsn, leaves: plan.leaves.length, units: plan.units.length });
  return plan;
}

async function planAndMake(client: Client, migration: Migration, table: SourceTable, at: SettledPosition): Promise<MigrationPlan> {
  const { id } = migration;
  const plan = await buildPlan(client, table, migration.options, id);
  await store(client, 'store/set-base-fence', [id, at.snapshot, formatLsn(at.walLsn)]);
  const sql = bindIdentifiers(loadSql('backfill/null-key'), { source: plan.source, key: plan.partitionKey.name });
  const nulls = await client.query<{ found: boolean }>(sql);
  if (nulls.rows[0]!.found) {
    throw new MigratorError(
      'ROW_REFUSED',
      `column "${plan.partitionKey.name}" of ${table.schema}.${table.name} holds a NULL, and a partition key may not`,
      {
        hint: `update the rows where ${quoteIdent(plan.partitionKey.name)} is null, then set the column not null`,
      },
    );
  }
  for (const step of plan.createTarget) await client.query(step.sql);
  const verify = planVerifySql(plan, id, comparedColumns(table));
  for (const statement of [...planResyncSql(plan, id).createKeyTables, ...verify.createTables]) await client.query(statement);
  await store(client, 'verify/insert-verification', [id, plan.units.some(({ kind }) => kind === 'table')]);
  for (const leaf of plan.leaves) for (const step of leaf.create) await client.query(step.sql);
  for (const unit of plan.units) {
    const live = unit.kind === 'empty';
    const leaves = plan.leaves.filter((leaf) => leaf.unit === unit.unit);
    await store(client, 'store/insert-unit', [
      id,
      unit.unit,
      live ? 'live' : 'pending',
      live ? 'live' : 'chunks',
      unit.loadOrder,
      unit.rowsEstimated,
      unit.bytesEstimated,
    ]);
    for (const leaf of leaves) {
      await store(client, 'store/insert-leaf', [id, leaf.leaf, leaf.unit, leaf.name, leaf.lower, leaf.upper]);
      if (live) for (const step of [...leaf.finish, ...leaf.attach]) await client.query(step.sql);
    }
    await store(client, 'store/insert-chunks', [
      id,
      unit.unit,
      unit.chunks.map(({ lower }) => lower),
      unit.chunks.map(({ upper }) => upper),
    ]);
    if (unit.kind === 'table') {
      const ranges = leaves.map((leaf) => ({
        ...leaf,
        lower: leaf.lower === null ? null : BigInt(leaf.lower),
        upper: leaf.upper === null ? null : BigInt(leaf.upper),
      }));
      for (const step of planStaging(plan, id, ranges)) await client.query(step.sql);
    }
  }
  await store(client, 'store/complete-migration', [id, JSON.stringify(plan)]);
  return plan;
}

/** Runs in a repeatable read transaction that sees every transaction that ran when the slot began (rule 2). */
async function inSettledSnapshot<T>(
  client: Client,
  id: number,
  { onWaiting, signal }: PrepareHooks,
  use: (at: SettledPosition) => Promise<T>,
): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const outcome = await inTransaction(
      client,
      async () => {
        const at = await readSettledPosition(client, id);
        return at.unseen > 0 ? { unseenXids: at.unseenXids } : { value: await use(at) };
      },
      'begin isolation level repeatable read',
    );
    if ('value' in outcome) {
      onWaiting(null);
      return outcome.value;
    }
    onWaiting(`transactions that ran when the slot was made: ${outcome.unseenXids.slice(0, 5).join(', ')}`);
    await sleep(SETTLE_RETRY_MS);
  }
}

/** Locks the source SHARE UPDATE EXCLUSIVE for a moment: retried, so that nothing queues behind us. */
async function createPublication(client: Client, publication: string, table: SourceTable, hooks: PrepareHooks): Promise<void> {
  // From PostgreSQL 18 on a replica identity that holds a generated column must be published with it, or the
  // application's own UPDATE and DELETE would be refused from here on.
  const isGeneratedPublished = (await fetchVersion(client)) >= 180_000 && table.columns.some(({ generated }) => generated === 's');
  const options = ["publish = 'insert, update, delete, truncate'", ...(isGeneratedPublished ? ['publish_generated_columns = stored'] : [])];
  const sql = `create publication ${quoteIdent(publication)} for table only ${quoteName(table)} with (${options.join(', ')})`;
  await untilLocked(client, { text: sql, values: [] }, 1_000, hooks, () =>
    Promise.resolve('a lock on the table (VACUUM or DDL holds it) to make the publication'),
  );
}

async function createSlot(client: Client, slot: string, hooks: PrepareHooks): Promise<string> {
  const rows = await untilLocked(
    client,
    { text: loadSql('backfill/create-slot'), values: [slot] },
    SLOT_LOCK_TIMEOUT_MS,
    hooks,
    async () => {
      const blockers = (await store(client, 'backfill/slot-blockers')) as unknown as {
        pid: number | null;
        usename: string;
        seconds: number;
        query: string;
      }[];
      const names = blockers.map(
        ({ pid, usename, seconds, query }) =>
          `${pid === null ? `prepared transaction ${query}` : `pid ${pid}`} of ${usename} (${seconds} s)`,
      );
      return `transactions that must end before the slot can begin: ${names.join(', ') || 'unknown'}`;
    },
  );
  const lsn = rows[0]!.lsn as string;
  const parsed: Lsn = parseLsn(lsn);
  if (parsed === 0n) throw new MigratorError('DEFECT', `slot "${slot}" has no first position`);
  return lsn;
}

const LOCK_NOT_AVAILABLE = '55P03';

async function untilLocked(
  client: Client,
  statement: { readonly text: string; readonly values: unknown[] },
  lockTimeoutMs: number,
  { onWaiting, signal }: PrepareHooks,
  describe: () => Promise<string>,
): Promise<Record<string, unknown>[]> {
  for (;;) {
    signal.throwIfAborted();
    try {
      await client.query(`set lock_timeout = ${lockTimeoutMs}`);
      const { rows } = await client.query<Record<string, unknown>>(statement);
      await client.query('set lock_timeout = 0');
      onWaiting(null);
      return rows;
    } catch (error) {
      if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
      onWaiting(await describe());
      await sleep(200);
    }
  }
}

/** Reads the migration again: its plan is there now. */
export async function reloadMigration(client: Client, id: number): Promise<Migration & { plan: MigrationPlan }> {
  const migration = await fetchMigrationById(client, id);
  if (!migration?.plan) throw new MigratorError('DEFECT', `migration ${id} has no plan`);
  return { ...migration, plan: migration.plan };
}
