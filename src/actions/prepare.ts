import { setTimeout as sleep } from 'node:timers/promises';
import { tableWord } from '../domain/command-word.ts';
import { quoteIdent, quoteName } from '../domain/identifier.ts';
import { formatLsn } from '../domain/lsn.ts';
import type { SourceTable } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import { fetchFingerprint } from '../pg/catalog.ts';
import { inTransaction, type Client } from '../pg/client.ts';
import {
  addHistory,
  createControlSchema,
  fetchMigrationById,
  readSettledPosition,
  store,
  type Migration,
  type SettledPosition,
} from '../pg/control-store.ts';
import { fetchDefinitionNow, writeDefinition } from '../pg/definition.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { createGuard, guardTable } from '../plan/guard.ts';
import { publicationName, retiredName, slotName, targetName } from '../plan/names.ts';
import type { PlanOptions } from '../plan/options.ts';
import { planResyncSql } from '../plan/resync-sql.ts';
import { comparedColumns, planVerifySql } from '../plan/verify-sql.ts';
import { planStaging } from '../plan/staging.ts';
import { bindIdentifiers, loadSql } from '../sql/load.ts';
import { buildPlan } from './build-plan.ts';
import { dropSlot } from './drop-slot.ts';
import { createPublication, createSlot, type FollowHooks } from './follow.ts';

const SETTLE_RETRY_MS = 50;

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
export async function prepare(client: Client, migration: Migration, table: SourceTable, hooks: FollowHooks): Promise<MigrationPlan> {
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
  const plan = await inSettledSnapshot(client, migration, hooks, (at) => planAndMake(client, migration, table, at));
  await addHistory(client, id, 'prepared', { slotLsn: lsn, leaves: plan.leaves.length, units: plan.units.length });
  return plan;
}

async function planAndMake(client: Client, migration: Migration, table: SourceTable, at: SettledPosition): Promise<MigrationPlan> {
  const { id } = migration;
  const known = { ...(await fetchDefinitionNow(client, table.oid)), table };
  if (known.fingerprint !== migration.fingerprint) throw alteredBefore(migration.source);
  const plan: MigrationPlan = { ...(await buildPlan(client, table, migration.options, id)), filenode: known.storage.filenode };
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
  await client.query(createGuard(plan.source, id));
  await client.query(guardTable(plan.target, id));
  const verify = planVerifySql(plan, id, comparedColumns(table));
  for (const statement of [...planResyncSql(plan, id).createKeyTables, ...verify.createTables]) await client.query(statement);
  await store(client, 'verify/insert-verification', [id, plan.units.some(({ kind }) => kind === 'table')]);
  for (const { create, name } of plan.leaves) {
    for (const step of create) await client.query(step.sql);
    await client.query(guardTable({ schema: plan.source.schema, name }, id));
  }
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
  await writeDefinition(client, id, known);
  return plan;
}

/** Runs in a repeatable read transaction that sees every transaction that ran when the slot began (rule 2). */
async function inSettledSnapshot<T>(
  client: Client,
  { id, source }: Migration,
  { onWaiting, signal }: FollowHooks,
  use: (at: SettledPosition) => Promise<T>,
): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const outcome = await inTransaction(
      client,
      async () => {
        // Before the snapshot: what is planned is what is there, and nobody alters it meanwhile.
        await client.query(`lock table only ${quoteName(source)} in access share mode`);
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

/** Nothing was made yet that would have to fit. */
export function alteredBefore(source: Migration['source']): MigratorError {
  return new MigratorError('SOURCE_CHANGED', `table ${source.schema}.${source.name} was altered before the migration was prepared`, {
    hint: `partitioner abort ${tableWord(source)}, then start again`,
  });
}

/** Reads the migration again: its plan is there now. */
export async function reloadMigration(client: Client, id: number): Promise<Migration & { plan: MigrationPlan }> {
  const migration = await fetchMigrationById(client, id);
  if (!migration?.plan) throw new MigratorError('DEFECT', `migration ${id} has no plan`);
  return { ...migration, plan: migration.plan };
}
