import { isDaemonAlive } from '../actions/command.ts';
import { fetchStatus } from '../actions/status.ts';
import { tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import { requireMigration, requirePhase } from './find-migration.ts';
import { runAfter, runBefore } from './hooks.ts';
import { print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { renderReceipt } from './render-receipt.ts';
import { reportError } from './report-error.ts';
import { oneTable, openSession, withSession } from './session.ts';
import { argumentsOf, noDaemon, refuseWhileRunning, switchOver } from './switch-over.ts';

/** `rollback`: has the daemon switch back, with the hooks around it, and prints the receipt. */
export const rollback: Verb = async (invocation) => {
  const session = openSession(invocation);
  const table = oneTable(invocation, session.config, 'rollback');
  const settings = session.settings(table);
  const { before, after } = settings;
  return withSession(session, async (client) => {
    const migration = await requireMigration(client, table);
    requirePhase('rollback', migration);
    const [status] = await fetchStatus(client, migration.source);
    if (status?.wayBack?.open === false) {
      throw new MigratorError('WAY_BACK_CLOSED', `there is no way back for ${migration.source}: ${status.wayBack.reason ?? ''}`, {
        hint: `the application goes on with the partitioned table; partitioner finish ${tableWord(migration.source)} removes what is left`,
      });
    }
    const { id, source } = migration;
    if (!(await isDaemonAlive(client, id))) throw noDaemon(migration);
    if (before !== undefined) {
      await refuseWhileRunning(client, migration, 'rollback');
      await runBefore(before, { verb: 'rollback', source, migration: id, phase: 'switched' });
    }
    const receipt = await switchOver(client, migration, 'rollback', argumentsOf(settings, false));
    if (invocation.json) printJson(receipt);
    else print(renderReceipt(receipt, 'rollback'));
    if (after === undefined) return 0;
    const failure = await runAfter(after, { verb: 'rollback', source, migration: id, phase: 'rolled_back', receipt });
    return failure ? reportError(failure, false) : 0;
  });
};
