import { outcomeError, sendCommand, setPaused } from '../actions/command.ts';
import { requireMigration, requirePhase } from './find-migration.ts';
import { print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { oneTable, openSession, withSession } from './session.ts';

const WAIT_MS = 30_000;

/** `pause`: stops the copy; changes are still followed. */
export const pause: Verb = (invocation) => setCopying(invocation, 'pause');

/** `resume`: goes on with the copy. */
export const resume: Verb = (invocation) => setCopying(invocation, 'resume');

async function setCopying(invocation: Parameters<Verb>[0], verb: 'pause' | 'resume'): Promise<number> {
  const session = openSession(invocation);
  const table = oneTable(invocation, session.config, verb);
  const paused = verb === 'pause';
  await withSession(session, async (client) => {
    const migration = await requireMigration(client, table);
    requirePhase(verb, migration);
    const outcome = await sendCommand(client, migration.id, verb, {}, { waitMs: WAIT_MS });
    if (outcome?.ok === false) throw outcomeError(outcome);
    if (!outcome) await setPaused(client, migration.id, paused);
    if (invocation.json) printJson({ migration: migration.id, source: migration.source, paused, daemon: outcome !== null });
    else if (outcome) print(`The copy of ${migration.source} ${paused ? 'is paused; changes are still followed' : 'goes on'}.`);
    else
      print(
        `No daemon runs for ${migration.source}; the next one ${paused ? 'only follows the changes until: partitioner resume' : 'goes on with the copy'}.`,
      );
  });
  return 0;
}
