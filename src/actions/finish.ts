import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import { fitsPhase } from '../migration/phase.ts';
import { inTransaction, withClient } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { dropRetiredViews } from './twins.ts';
import { runAfterSteps, type AfterLog } from './after-steps.ts';
import { forgetMigration, requireMigration, stopFollowing } from './forget-migration.ts';

/**
 * Ends a migration after its cutover: bookkeeping gone, the retired table dropped only on demand (RESTRICT: what still
 * refers to it is named by PostgreSQL and nothing is dropped).
 */
export async function finishMigration(
  settings: ConnectionSettings,
  migrationId: number,
  { dropRetired }: { dropRetired: boolean },
  log: AfterLog,
): Promise<void> {
  await withClient(settings, { applicationName: 'partitioner finish' }, async (client) => {
    const migration = await requireMigration(client, migrationId);
    if (!fitsPhase('finish', migration.phase)) {
      throw new MigratorError('WRONG_PHASE', `migration ${migrationId} is ${migration.phase}: its cutover has not happened`, {
        hint: 'partitioner cutover TABLE, or partitioner abort TABLE',
      });
    }
    await stopFollowing(client, migration);
    const failed = await runAfterSteps(settings, migrationId, log);
    if (failed.length > 0) log.error({ objects: failed }, 'stays NOT VALID: its old rows do not fit; new ones are checked');
    await inTransaction(client, async () => {
      if (dropRetired) await dropRetiredViews(client, migrationId);
      if (dropRetired)
        await client.query(`drop table if exists ${quoteName({ schema: migration.source.schema, name: migration.retiredName })} restrict`);
      await forgetMigration(client, migrationId);
    });
    log.info({ migration: migrationId, dropRetired }, 'finished');
  });
}
