import { outcomeError, sendCommand } from '../actions/command.ts';
import { fetchStatus } from '../actions/status.ts';
import { MigratorError } from '../errors.ts';
import { argumentsOf, noDaemon } from './cutover.ts';
import { requireMigration, requirePhase } from './find-migration.ts';
import { print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { renderReceipt } from './render-receipt.ts';
import { oneTable, openSession, withSession } from './session.ts';

/** `rollback`: has the daemon switch back, and prints the receipt. */
export const rollback: Verb = async (invocation) => {
  const session = openSession(invocation);
  const table = oneTable(invocation, session.config, 'rollback');
  const limits = argumentsOf(session.settings(table), false);
  await withSession(session, async (client) => {
    const migration = await requireMigration(client, table);
    requirePhase('rollback', migration);
    const [status] = await fetchStatus(client, migration.source);
    if (status?.wayBack?.open === false) {
      throw new MigratorError('WAY_BACK_CLOSED', `there is no way back for ${migration.source}: ${status.wayBack.reason ?? ''}`, {
        hint: `the application goes on with the partitioned table; partitioner finish ${migration.source} removes what is left`,
      });
    }
    const outcome = await sendCommand(client, migration.id, 'rollback', limits, { waitMs: Infinity });
    if (!outcome) throw noDaemon(migration);
    if (!outcome.ok) throw outcomeError(outcome);
    if (invocation.json) printJson(outcome.receipt ?? {});
    else print(renderReceipt(outcome.receipt, 'rollback'));
  });
  return 0;
};
