import { abortMigration } from '../actions/abort.ts';
import { outcomeError, sendCommand } from '../actions/command.ts';
import { requireMigration, requirePhase } from './find-migration.ts';
import { print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { oneTable, openSession, withSession } from './session.ts';

const WAIT_MS = 300_000;

/** `abort`: the daemon takes everything back, or this process when none runs. */
export const abort: Verb = async (invocation) => {
  const session = openSession(invocation);
  const table = oneTable(invocation, session.config, 'abort');
  const { migration, outcome } = await withSession(session, async (client) => {
    const found = await requireMigration(client, table);
    requirePhase('abort', found);
    return { migration: found, outcome: await sendCommand(client, found.id, 'abort', {}, { waitMs: WAIT_MS }) };
  });
  if (outcome?.ok === false) throw outcomeError(outcome);
  // On its own connection, once ours is closed: it drops the control schema.
  if (!outcome) await abortMigration(session.connection, migration.id, session.log);
  if (invocation.json) printJson({ migration: migration.id, source: migration.source, aborted: true });
  else print(`The migration of ${migration.source} is aborted: everything that start made is removed, the table is as it was.`);
  return 0;
};
