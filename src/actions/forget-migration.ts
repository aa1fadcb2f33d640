import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import type { Client } from '../pg/client.ts';
import { KEY_TABLES, keyTable } from '../plan/apply-sql.ts';
import { refusalFunction } from '../plan/refuse-retired.ts';
import { fetchMigrationById, store, type Migration } from '../pg/control-store.ts';
import { dropGuard, unguardTable } from '../plan/guard.ts';
import { sqlState } from '../pg/client.ts';
import { listWaysBack } from '../pg/way-back-store.ts';
import { dropWaysBack, stopStream } from './way-back.ts';

/** Between two statements of the application nobody waits for long. */
const UNGUARD_LOCK_TIMEOUT_MS = 200;

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
  await client.query(dropGuard(migrationId));
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

/** The switch has opened the guards; a leaf that is busy just now keeps one that does nothing, until the migration is finished. */
async function unguardLeaves(client: Client, { id, source }: Migration): Promise<void> {
  const names = await listGuarded(client, id);
  try {
    await client.query(`set lock_timeout = ${UNGUARD_LOCK_TIMEOUT_MS}`);
    for (const name of names) {
      await client.query(unguardTable({ schema: source.schema, name })).catch((error: unknown) => {
        if (sqlState(error) !== '55P03') throw error; // lock_not_available
      });
    }
    if ((await listGuarded(client, id)).length === 0) await client.query(dropGuard(id));
  } finally {
    await client.query('set lock_timeout = 0').catch(() => undefined);
  }
}

/** Tables that still have the guard's trigger. */
async function listGuarded(client: Client, id: number): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name from pg_trigger t join pg_class c on c.oid = t.tgrelid where t.tgfoid = to_regprocedure($1)::oid order by 1`,
    [`partitioner.guard_${id}()`],
  );
  return rows.map(({ name }) => name);
}

async function dropKeyTables(client: Client, migrationId: number): Promise<void> {
  await client.query(`drop table if exists ${KEY_TABLES.map((kind) => quoteName(keyTable(kind, migrationId))).join(', ')}`);
}
