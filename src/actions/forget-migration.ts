import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import type { Client } from '../pg/client.ts';
import { KEY_TABLES, keyTable } from '../plan/apply-sql.ts';
import { refusalFunction } from '../plan/refuse-retired.ts';
import { fetchMigrationById, store, type Migration } from '../pg/control-store.ts';
import { listWaysBack } from '../pg/way-back-store.ts';
import { dropWaysBack, stopStream } from './way-back.ts';

export interface TraceLog {
  info(fields: object, message: string): void;
}

/** The stream ends: slot and publication gone. */
export async function stopFollowing(client: Client, migration: Migration): Promise<void> {
  await stopStream(client, migration);
  for (const wayBack of await listWaysBack(client, migration.id)) await stopStream(client, wayBack);
}

/** Removes the migration's bookkeeping, and with the last one the control schema. */
export async function forgetMigration(client: Client, migrationId: number): Promise<void> {
  await dropWaysBack(client, migrationId);
  await dropKeyTables(client, migrationId);
  await client.query(`drop function if exists ${quoteName(refusalFunction(migrationId))} cascade`); // with its trigger, where the retired table is kept
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
  if (keepsKeys) return; // the stream may begin anew
  await dropKeyTables(client, migration.id);
  await store(client, 'store/add-history', [migration.id, 'stream ended', '{}']);
}

async function dropKeyTables(client: Client, migrationId: number): Promise<void> {
  await client.query(`drop table if exists ${KEY_TABLES.map((kind) => quoteName(keyTable(kind, migrationId))).join(', ')}`);
}
