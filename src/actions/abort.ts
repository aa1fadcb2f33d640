import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import { inTransaction, withClient, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { listLeaves, store } from '../pg/control-store.ts';
import { fitsPhase, type Phase } from '../migration/phase.ts';
import { forgetMigration, requireMigration, stopFollowing, type TraceLog } from './forget-migration.ts';
import { dropTwins } from './twins.ts';

/**
 * Undoes everything before the cutover: slot, publication, target, leaves, bookkeeping. The source is as it was.
 * Throws WRONG_PHASE after the cutover, and when a daemon still holds the slot. Safe to repeat.
 */
export async function abortMigration(settings: ConnectionSettings, migrationId: number, log: TraceLog): Promise<void> {
  await withClient(settings, { applicationName: 'partitioner abort' }, async (client) => {
    const migration = await requireMigration(client, migrationId);
    assertAbortable(migrationId, migration.phase);
    const { schema } = migration.source;
    const leaves = (await listLeaves(client, migrationId)).map(({ name }) => name);
    const own = [migration.targetName, `partitioner_${migrationId}_staging`].filter((name) => name !== '');
    await refuseSwitched(client, schema, leaves, own);
    await stopFollowing(client, migration);
    await inTransaction(client, async () => {
      const [row] = await store(client, 'abort/lock-migration', [migrationId]);
      if (!row) return; // somebody else has aborted it
      assertAbortable(migrationId, row.phase as Phase);
      await refuseSwitched(client, schema, leaves, own);
      const tables = [...own, ...leaves];
      await dropTwins(client, migrationId);
      for (const name of tables) await client.query(`drop table if exists ${quoteName({ schema, name })}`);
      await forgetMigration(client, migrationId);
    });
    log.info({ migration: migrationId, leaves: leaves.length }, 'aborted: every object of the migration is gone');
  });
}

function assertAbortable(migrationId: number, phase: Phase): void {
  if (fitsPhase('abort', phase)) return;
  throw new MigratorError('WRONG_PHASE', `migration ${migrationId} is ${phase}: there is nothing to abort`, {
    hint: 'partitioner finish TABLE ends a migration after its cutover',
  });
}

/** Whatever the bookkeeping says: the rows of a table that the application writes are not ours to drop. */
async function refuseSwitched(client: Client, schema: string, leaves: readonly string[], own: readonly string[]): Promise<void> {
  const [foreign] = await store(client, 'abort/foreign-leaves', [schema, leaves, own]);
  if (!foreign) return;
  throw new MigratorError('WRONG_PHASE', `${String(foreign.leaf)} is a partition of ${String(foreign.parent)}: nothing was dropped`, {
    hint: 'partitioner status TABLE; a migration that was switched ends with finish',
  });
}
