import { passedColumns } from '../domain/definition.ts';
import { followDefinition } from '../actions/follow-definition.ts';
import { reloadMigration } from '../actions/prepare.ts';
import { areTypesAltered, fetchDefinitionNow, readDefinition } from '../pg/definition.ts';
import type { Client } from '../pg/client.ts';
import type { Migration } from '../pg/control-store.ts';
import { LooksAltered } from '../plan/row-layout.ts';
import type { CommandEnd } from './command-context.ts';
import { decideRetry } from './retry.ts';
import { runMigration } from './run-migration.ts';
import { settleSlot } from './settle-slot.ts';
import { isAt, type Worker } from './way-back.ts';

/**
 * Runs a prepared migration, and follows what is altered of its source meanwhile: whoever notices it (the watch, a chunk, the stream, the lock of the
 * cutover) ends the run; with nothing of ours under way the target is altered likewise, or SOURCE_CHANGED is thrown; then it goes on from what is
 * committed.
 */
export async function runFollowing(worker: Worker, migrationId: number): Promise<CommandEnd | null> {
  const { control, log, signal } = worker;
  for (;;) {
    const table = await followDefinition(control, await reloadMigration(control, migrationId), log);
    const end = await settleSlot(worker, await reloadMigration(control, migrationId), table);
    if (end) return end;
    const migration = await reloadMigration(control, migrationId);
    try {
      return await runMigration({ ...worker, migration, table, wayBack: null });
    } catch (error) {
      // A statement may fail of what was altered before anybody has looked: a column that is gone, a NULL where none was allowed.
      const isOver = signal.aborted || decideRetry(error) === 'timed' || (await isAt(control, migrationId, 'switched'));
      if (isOver) throw error;
      const isStill = await isAltered(control, migration);
      // What was seen and is undone by now has not happened: an index that was dropped again, a comment taken back.
      if (!isStill && !(error instanceof LooksAltered)) throw error;
      log.info(
        { migration: migrationId, err: (error as Error).message },
        isStill ? 'the source was altered' : 'the source was altered, and altered back',
      );
    }
  }
}

async function isAltered(control: Client, { id, sourceOid, fingerprint, plan }: Migration): Promise<boolean> {
  const now = await fetchDefinitionNow(control, sourceOid);
  const known = await readDefinition(control, id);
  if (known && passedColumns(known.storage, now.storage).length > 0) return true;
  return now.fingerprint !== fingerprint || now.storage.filenode !== plan?.filenode || areTypesAltered(control, id, sourceOid);
}
