import { setTimeout as sleep } from 'node:timers/promises';
import { adviseOnBlockers, describeBlockers, type Blocker } from '../domain/blocker.ts';
import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import { fitsPhase } from '../migration/phase.ts';
import { withClient } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import type { Migration } from '../pg/control-store.ts';
import { dropRetiredViews } from './twins.ts';
import { runAfterSteps, type AfterLog } from './after-steps.ts';
import { BRIEF_LOCK_MS, forgetMigration, requireMigration, stopFollowing, unguardLeaves, unlessInUse } from './forget-migration.ts';
import { watchLocks } from './lock-watch.ts';

export interface FinishLog extends AfterLog {
  warn(fields: object, message: string): void;
}

export interface FinishOptions {
  readonly dropRetired: boolean;
  /** Ends it where it waits; the next call goes on there. */
  readonly signal?: AbortSignal;
}

const SESSION = { applicationName: 'partitioner finish' };

/** Between two attempts the application has the tables to itself. */
const PAUSE_MS = 500;

/**
 * Ends a migration after its cutover: bookkeeping gone, the retired table dropped only on demand (RESTRICT: what still
 * refers to it is named by PostgreSQL and nothing is dropped). What is in use is waited for, in short attempts, without a limit: the log says
 * for whom. Throws WRONG_PHASE before the cutover, and the signal's reason.
 */
export async function finishMigration(
  settings: ConnectionSettings,
  migrationId: number,
  { dropRetired, signal = new AbortController().signal }: FinishOptions,
  log: FinishLog,
): Promise<void> {
  const migration = await withClient(settings, SESSION, async (client) => {
    const found = await requireMigration(client, migrationId);
    if (!fitsPhase('finish', found.phase)) {
      throw new MigratorError('WRONG_PHASE', `migration ${migrationId} is ${found.phase}: its cutover has not happened`, {
        hint: 'partitioner cutover TABLE, or partitioner abort TABLE',
      });
    }
    await stopFollowing(client, found);
    return found;
  });
  const failed = await runAfterSteps(settings, migrationId, log, signal);
  if (failed.length > 0) log.error({ objects: failed }, 'stays NOT VALID: its old rows do not fit; new ones are checked');
  await removeTraces(settings, migration, { dropRetired, signal }, log);
  log.info({ migration: migrationId, dropRetired }, 'finished');
}

/**
 * The guards that are left on leaves go one by one, and what was done stays done; all else in one transaction. A DROP that waits for a report
 * on a table would have every later statement on it wait too: no attempt waits for long.
 */
async function removeTraces(
  settings: ConnectionSettings,
  migration: Migration,
  { dropRetired, signal }: Required<FinishOptions>,
  log: FinishLog,
): Promise<void> {
  const retired = quoteName({ schema: migration.source.schema, name: migration.retiredName });
  await withClient(settings, SESSION, (client) =>
    withClient(settings, SESSION, async (asking) => {
      const { during } = watchLocks(client, asking, BRIEF_LOCK_MS, onceForEach(log));
      const pause = (): Promise<void> => sleep(PAUSE_MS, undefined, { signal });
      const attempt = async (): Promise<boolean> =>
        (await unguardLeaves(client, migration, pause)) &&
        (await unlessInUse(client, async () => {
          if (dropRetired) await dropRetiredViews(client, migration.id);
          if (dropRetired) await client.query(`drop table if exists ${retired} restrict`);
          await forgetMigration(client, migration.id, 'restrict');
        }));
      while (!(await during(attempt))) await pause();
    }),
  );
}

/** Tells of the one that is longest in the way, whenever that is another one than before. */
function onceForEach(log: FinishLog): (blockers: readonly Blocker[]) => void {
  let last = '';
  return ([first]) => {
    const is = first ? `${first.pid} ${first.gid ?? ''}` : last;
    if (!first || is === last) return;
    last = is;
    const advice = adviseOnBlockers([first]);
    log.warn(
      { blockedBy: describeBlockers([first]), ...(advice === null ? {} : { hint: advice }) },
      'waiting for who uses what is removed',
    );
  };
}
