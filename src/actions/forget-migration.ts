import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import { inTransaction, sqlState, type Client } from '../pg/client.ts';
import { KEY_TABLES, keyTable } from '../plan/apply-sql.ts';
import { refusalFunction } from '../plan/refuse-retired.ts';
import { fetchMigrationById, store, type Migration } from '../pg/control-store.ts';
import { dropGuard, unguardTable } from '../plan/guard.ts';
import { listWaysBack } from '../pg/way-back-store.ts';
import { dropWaysBack, stopStream } from './way-back.ts';

/** How long we may wait for a lock on what others use: the application's statements stand behind us as long. */
export const BRIEF_LOCK_MS = 200;
/** lock_not_available, deadlock_detected */
const IN_USE: ReadonlySet<string | undefined> = new Set(['55P03', '40P01']);

export interface TraceLog {
  info(fields: object, message: string): void;
}

/** The stream ends: slot and publication gone. */
export async function stopFollowing(client: Client, migration: Migration): Promise<void> {
  await stopStream(client, migration);
  for (const wayBack of await listWaysBack(client, migration.id)) await stopStream(client, wayBack);
}

/**
 * Removes the migration's bookkeeping, and with the last one the control schema.
 *
 * @param guards what becomes of guards that are still on a table, see dropGuard; with `restrict` PostgreSQL refuses.
 */
export async function forgetMigration(client: Client, migrationId: number, guards: 'cascade' | 'restrict' = 'cascade'): Promise<void> {
  await dropWaysBack(client, migrationId);
  await dropKeyTables(client, migrationId);
  await client.query(`drop function if exists ${quoteName(refusalFunction(migrationId))} cascade`); // with its trigger, where the retired table is kept
  await client.query(dropGuard(migrationId, guards));
  await client.query('delete from partitioner.history where migration = $1', [migrationId]);
  await client.query('delete from partitioner.migration where id = $1', [migrationId]);
  const { rows } = await client.query<{ left: boolean }>('select exists (select from partitioner.migration) as left');
  if (!rows[0]!.left) await client.query('drop schema partitioner cascade');
}

export async function requireMigration(client: Client, migrationId: number): Promise<Migration> {
  const migration = await fetchMigrationById(client, migrationId);
  if (!migration) throw new MigratorError('WRONG_PHASE', `there is no migration ${migrationId}`, { hint: 'partitioner status lists them' });
  return migration;
}

/** After the cutover the stream is not needed: the daemon removes it at once, so that the slot retains no WAL, and the key tables with it. */
export async function settleSwitched(client: Client, migration: Migration, { keepsKeys }: { readonly keepsKeys: boolean }): Promise<void> {
  await stopStream(client, migration);
  await unguardLeaves(client, migration);
  if (keepsKeys) return; // the stream may begin anew
  await dropKeyTables(client, migration.id);
  await store(client, 'store/add-history', [migration.id, 'stream ended', '{}']);
}

/**
 * Removes the guards of the leaves, which the switch has opened. A leaf that is busy just now keeps one that does nothing, for the next call.
 * Resolves with whether none is left.
 *
 * @param onBusy is awaited after each leaf that was busy: statements that read all of them must not stand behind us again at once.
 */
export async function unguardLeaves(
  client: Client,
  { id }: Pick<Migration, 'id'>,
  onBusy: () => Promise<void> = () => Promise.resolve(),
): Promise<boolean> {
  const guard = `partitioner.guard_${id}()`;
  let left = 0;
  for (const table of (await store(client, 'cutover/guarded', [guard])) as unknown as QualifiedName[]) {
    if (await unlessInUse(client, () => client.query(unguardTable(table)))) continue;
    left++;
    await onBusy();
  }
  if (left > 0) return false;
  await client.query(dropGuard(id, 'restrict'));
  return true;
}

/** Commits what `use` did, or nothing of it: false when it met a lock that somebody keeps. */
export async function unlessInUse(client: Client, use: () => Promise<unknown>): Promise<boolean> {
  try {
    await inTransaction(client, async () => {
      await client.query(`set local lock_timeout = ${BRIEF_LOCK_MS}`);
      await use();
    });
    return true;
  } catch (error) {
    if (IN_USE.has(sqlState(error))) return false;
    throw error;
  }
}

async function dropKeyTables(client: Client, migrationId: number): Promise<void> {
  await client.query(`drop table if exists ${KEY_TABLES.map((kind) => quoteName(keyTable(kind, migrationId))).join(', ')}`);
}
