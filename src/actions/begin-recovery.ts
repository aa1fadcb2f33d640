import { quoteIdent, quoteName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { invariant } from '../errors.ts';
import { inTransaction, type Client } from '../pg/client.ts';
import { addHistory, listLeaves, store, type Migration } from '../pg/control-store.ts';
import type { Recovery } from '../pg/recovery-store.ts';
import { KEY_TABLES, keyTable } from '../plan/apply-sql.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { planStaging, stagingName } from '../plan/staging.ts';
import { dropFreeSlot } from './drop-slot.ts';
import { createPublication, createSlot, type FollowHooks } from './follow.ts';

type Planned = Migration & { readonly plan: MigrationPlan };

/**
 * Makes a slot anew, and with its first position, in one transaction, a state that owes nothing to the old one: what was loading is loaded
 * from its beginning, what was live keeps its rows and is not believed. docs/slot.md has the argument. Killed anywhere, it is called
 * again: a slot without that transaction is ahead of the applied position, and so lost too.
 */
export async function beginRecovery(
  client: Client,
  migration: Planned,
  table: SourceTable,
  { number, reason }: Recovery,
  hooks: FollowHooks,
): Promise<void> {
  const { id, plan } = migration;
  await dropFreeSlot(client, plan.slotName, hooks);
  await ensurePublication(client, plan, table, hooks);
  const lsn = await createSlot(client, plan.slotName, hooks);
  await inTransaction(client, async () => {
    await client.query('select pg_current_xact_id()');
    const [running] = await store(client, 'backfill/running-transactions');
    await store(client, 'recover/reset-position', [id, lsn, running!.xids]);
    const units = (await store(client, 'recover/reset-units', [id])).map(({ unit }) => unit as number);
    await makeAnew(client, migration, units);
    await store(client, 'recover/reset-chunks', [id, units]);
    await store(client, 'recover/keep-units', [id]);
    // What these tell of keys is told of the old stream.
    await client.query(`truncate ${KEY_TABLES.map((kind) => quoteName(keyTable(kind, id))).join(', ')}`);
    await store(client, 'verify/begin-pass', [id]);
    await store(client, 'recover/begin', [id, number, lsn]);
    await store(client, 'store/set-phase', [id, 'catchup', null]);
    await addHistory(client, id, 'slot made anew', { reason, slotLsn: lsn, loadedAnew: units });
  });
}

/** Somebody may have dropped it with the slot. A publication that comes after its slot is not there for what the slot decodes first. */
async function ensurePublication(client: Client, plan: MigrationPlan, table: SourceTable, hooks: FollowHooks): Promise<void> {
  const [row] = await store(client, 'recover/is-published', [plan.publicationName, plan.sourceOid]);
  if (row!.published === true) return;
  await client.query(`drop publication if exists ${quoteIdent(plan.publicationName)}`);
  await createPublication(client, plan.publicationName, table, hooks);
}

/** The leaves of units that are loaded anew: none of them is attached, and each has what its load had come to. */
async function makeAnew(client: Client, { id, plan }: Planned, units: readonly number[]): Promise<void> {
  if (units.length === 0) return;
  const leaves = await listLeaves(client, id);
  for (const number of units) {
    const unit = plan.units.find((candidate) => candidate.unit === number);
    invariant(unit, `unit ${number} is not in the plan`);
    const own = leaves.filter((leaf) => leaf.unit === number);
    if (unit.kind === 'table') await client.query(`drop table if exists ${quoteName(stagingName(plan, id))}`);
    for (const leaf of own) {
      const planned = plan.leaves.find((candidate) => candidate.leaf === leaf.leaf);
      invariant(planned, `leaf ${leaf.name} is not in the plan`);
      await client.query(`drop table if exists ${quoteName({ schema: plan.source.schema, name: leaf.name })}`);
      for (const step of planned.create) await client.query(step.sql);
    }
    if (unit.kind === 'table') for (const step of planStaging(plan, id, own)) await client.query(step.sql);
  }
}
