import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import { inTransaction, withClient } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { listLeaves } from '../pg/control-store.ts';
import { fitsPhase } from '../migration/phase.ts';
import { forgetMigration, requireMigration, stopFollowing, type TraceLog } from './forget-migration.ts';
import { dropTwins } from './twins.ts';

/**
 * Undoes everything before the cutover: slot, publication, target, leaves, bookkeeping. The source is as it was.
 * Throws WRONG_PHASE after the cutover, and when a daemon still holds the slot. Safe to repeat.
 */
export async function abortMigration(settings: ConnectionSettings, migrationId: number, log: TraceLog): Promise<void> {
  await withClient(settings, { applicationName: 'partitioner abort' }, async (client) => {
    const migration = await requireMigration(client, migrationId);
    if (!fitsPhase('abort', migration.phase)) {
      throw new MigratorError('WRONG_PHASE', `migration ${migrationId} is ${migration.phase}: there is nothing to abort`, {
        hint: 'partitioner finish TABLE ends a migration after its cutover',
      });
    }
    await stopFollowing(client, migration);
    const schema = migration.source.schema;
    const leaves = await listLeaves(client, migrationId);
    await inTransaction(client, async () => {
      const tables = [migration.targetName, `partitioner_${migrationId}_staging`, ...leaves.map(({ name }) => name)].filter(
        (name) => name !== '',
      );
      await dropTwins(client, migrationId);
      for (const name of tables) await client.query(`drop table if exists ${quoteName({ schema, name })}`);
      await forgetMigration(client, migrationId);
    });
    log.info({ migration: migrationId, leaves: leaves.length }, 'aborted: every object of the migration is gone');
  });
}
