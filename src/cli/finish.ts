import { finishMigration } from '../actions/finish.ts';
import { requireMigration, requirePhase } from './find-migration.ts';
import { print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { oneTable, openSession, withSession } from './session.ts';

/** `finish`: after the cutover, removes what the migration leaves behind. */
export const finish: Verb = async (invocation) => {
  const session = openSession(invocation);
  const table = oneTable(invocation, session.config, 'finish');
  const dropRetired = invocation.own['dropRetired'] === true;
  const migration = await withSession(session, async (client) => {
    const found = await requireMigration(client, table);
    requirePhase('finish', found);
    return found;
  });
  await finishMigration(session.connection, migration.id, { dropRetired }, session.log);
  if (invocation.json) printJson({ migration: migration.id, source: migration.source, finished: true, retiredDropped: dropRetired });
  else
    print(
      `The migration of ${migration.source} is finished${dropRetired ? ', the old table is dropped' : '; the old table stays until you drop it'}.`,
    );
  return 0;
};
