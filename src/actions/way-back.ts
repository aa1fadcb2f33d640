import { quoteIdent, quoteName, type QualifiedName } from '../domain/identifier.ts';
import type { SourceTable } from '../domain/table.ts';
import { invariant, MigratorError } from '../errors.ts';
import { fetchDefinition } from '../pg/catalog.ts';
import { sqlState, withClient, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { store, type Migration } from '../pg/control-store.ts';
import { listWaysBack } from '../pg/way-back-store.ts';
import { KEY_TABLES, keyTable } from '../plan/apply-sql.ts';
import type { CatalogLeaf } from '../plan/leaves-back.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { publicationName, slotName } from '../plan/names.ts';
import { planResyncSql } from '../plan/resync-sql.ts';
import { comparedColumns, planVerifySql } from '../plan/verify-sql.ts';
import { planWayBack, type WayBackFacts } from '../plan/way-back.ts';
import { describeHeld, dropFreeSlot, dropSlot, tryDropSlot } from './drop-slot.ts';
import { createPublication, createSlot, type FollowHooks } from './follow.ts';
import type { SwapDirection } from './swap-direction.ts';
import { WHOLE_TABLE } from './verify-range.ts';

type Planned = Migration & { readonly plan: MigrationPlan };

/** Slot, publication and key tables are made; the row is there, and not open yet. */
export interface PreparedWayBack {
  readonly id: number;
  readonly plan: MigrationPlan;
}

/**
 * Makes what the way back needs before the cutover's lock: a slot that begins before the switch, so that no change after it is missed, and
 * the publication of the partitioned table through its root. Nothing of it is left when it fails.
 */
export async function prepareWayBack(
  settings: ConnectionSettings,
  migration: Planned,
  table: SourceTable,
  hooks: FollowHooks,
): Promise<PreparedWayBack> {
  return withClient(settings, { applicationName: 'partitioner cutover' }, async (client) => {
    await dropWaysBack(client, migration.id);
    const { target } = migration.plan;
    const [row] = await store(client, 'rollback/open-row', [migration.id, await fetchOid(client, target)]);
    const id = row!.id as number;
    try {
      const { rows } = await client.query<{ database: string }>('select current_database() as database');
      const names = { slotName: slotName(id, rows[0]!.database), publicationName: publicationName(id) };
      await store(client, 'rollback/name-objects', [id, names.slotName, names.publicationName]);
      const plan = planWayBack(migration.plan, { ...names, id: migration.id, sourceOid: await fetchOid(client, target) });
      await createPublication(client, names.publicationName, { ...target, columns: table.columns }, hooks, { viaRoot: true });
      await createSlot(client, names.slotName, hooks);
      const verify = planVerifySql(plan, id, comparedColumns(table));
      for (const statement of [...planResyncSql(plan, id).createKeyTables, ...verify.createTables]) await client.query(statement);
      return { id, plan };
    } catch (error) {
      await dropWaysBack(client, migration.id).catch(() => undefined);
      throw explainNoStream(error, 'cutover');
    }
  });
}

/**
 * What mends it when the stream of the other direction cannot be made: a slot that is missing, or a privilege. A cutover may do without it.
 *
 * @param verb the direction of the switch that wants it.
 * @returns the error itself where it has another cause.
 */
export function explainNoStream(error: unknown, verb: SwapDirection['verb']): unknown {
  const state = sqlState(error);
  const mend = state === undefined ? undefined : MENDS[state];
  if (mend === undefined) return error;
  return new MigratorError('PREFLIGHT_REFUSED', `the stream of the other direction cannot be made: ${(error as Error).message}`, {
    detail: 'nothing was switched',
    hint: verb === 'cutover' ? `${mend}, or cutover --no-way-back` : mend,
    cause: error,
  });
}

const MENDS: Readonly<Record<string, string>> = {
  '53400': 'raise max_replication_slots and max_wal_senders by one (restart)', // configuration_limit_exceeded
  '42501': 'give the role what the message names (REPLICATION, CREATE on the database, ownership of the table)', // insufficient_privilege
};

/** Before the lock: the un-partitioned table's definition, to which the switch back returns. */
export async function beforeWayBack(client: Client, { sourceOid }: Migration): Promise<readonly string[]> {
  return (await fetchDefinition(client, sourceOid)).parts;
}

/**
 * In the switch's transaction, which holds ACCESS EXCLUSIVE on the source: the way back is open with its commit. Its position is read here:
 * what was written to the target before is our own applier's, committed before it; what is written after the switch is the application's.
 */
export async function openWayBack(
  locker: Client,
  { id, plan }: PreparedWayBack,
  { sourceOid }: Migration,
  facts: Omit<WayBackFacts, 'partitionedParts' | 'retiredParts' | 'leafFiles'>,
): Promise<void> {
  const { fingerprint, parts: partitionedParts } = await fetchDefinition(locker, plan.sourceOid);
  const { parts: retiredParts } = await fetchDefinition(locker, sourceOid);
  const leaves = (await store(locker, 'rollback/leaves', [plan.sourceOid])) as unknown as CatalogLeaf[];
  const leafFiles = Object.fromEntries(leaves.map(({ oid, filenode }) => [oid, filenode]));
  const whole: WayBackFacts = { ...facts, partitionedParts, retiredParts, leafFiles };
  await store(locker, 'rollback/open', [id, JSON.stringify(plan), JSON.stringify(whole), fingerprint]);
  await store(locker, 'rollback/start-position', [id]);
  await store(locker, 'store/insert-unit', [id, 0, 'live', 'live', 0, 0, 0]);
  await store(locker, 'store/insert-leaf', [id, 0, 0, plan.target.name, null, null]);
  // The cutover has proven both tables equal: what is compared from here on is what changes.
  await store(locker, 'verify/insert-verification', [id, true]);
  await store(locker, 'verify/advance-part', [id, WHOLE_TABLE, null, 0]);
}

/** A cutover that fails leaves nothing behind. One whose commit got lost on the way has opened it: that stays. */
export async function dropUnopened(client: Client, migrationId: number): Promise<void> {
  const opened = (await listWaysBack(client, migrationId)).some(({ phase }) => phase === 'ready');
  if (!opened) await dropWaysBack(client, migrationId);
}

/**
 * Removes every way back of a migration, open or not: slots, publications, key tables, rows; and what is left of one that nobody knows. Safe to repeat.
 * `hooks` as for stopStream.
 */
export async function dropWaysBack(client: Client, migrationId: number, hooks?: FollowHooks): Promise<void> {
  for (const { id, slotName: slot, publicationName: publication } of await listWaysBack(client, migrationId)) {
    await stopStream(client, { slotName: slot, publicationName: publication }, hooks);
    await client.query(`drop table if exists ${KEY_TABLES.map((kind) => quoteName(keyTable(kind, id))).join(', ')}`);
    await client.query('delete from partitioner.migration where id = $1', [id]);
  }
  for (const { name, kind } of await store(client, 'store/orphans'))
    await stopStream(client, {
      slotName: kind === 'slot' ? String(name) : '',
      publicationName: kind === 'publication' ? String(name) : '',
    });
}

/**
 * A stream ends, of whichever direction: nothing retains WAL any more. With `hooks` a slot that somebody else reads is waited for, as long as it takes: for
 * who stays. Without them it throws WRONG_PHASE soon.
 */
export async function stopStream(
  client: Client,
  { slotName: slot, publicationName: publication }: Pick<Migration, 'slotName' | 'publicationName'>,
  hooks?: FollowHooks,
): Promise<void> {
  await (hooks ? dropFreeSlot(client, slot, hooks) : dropSlot(client, slot));
  if (publication !== '') await client.query(`drop publication if exists ${quoteIdent(publication)}`);
}

/** The same at once, for who has more to do than to wait: whether it has ended. */
export async function tryStopStream(
  client: Client,
  stream: Pick<Migration, 'slotName' | 'publicationName'>,
  { onWaiting }: Pick<FollowHooks, 'onWaiting'>,
): Promise<boolean> {
  const held = await tryDropSlot(client, stream.slotName);
  onWaiting(held === null ? null : describeHeld(stream.slotName, held));
  if (held === null) await stopStream(client, stream);
  return held === null;
}

async function fetchOid(client: Client, name: QualifiedName): Promise<number> {
  const { rows } = await client.query<{ oid: string }>('select $1::regclass::oid::text as oid', [quoteName(name)]);
  const oid = Number(rows[0]?.oid);
  invariant(oid > 0, `${quoteName(name)} is not there`);
  return oid;
}
