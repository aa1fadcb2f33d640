import { setTimeout as sleep } from 'node:timers/promises';
import { isDaemonAlive, outcomeError, sendCommand } from '../actions/command.ts';
import { finishMigration } from '../actions/finish.ts';
import { tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import type { Client } from '../pg/client.ts';
import { fetchWayBack } from '../pg/way-back-store.ts';
import { requireMigration, requirePhase, type FoundMigration } from './find-migration.ts';
import { print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { oneTable, openSession, withSession } from './session.ts';
import { onStopSignal } from './stop-signal.ts';

const WAIT_MS = 300_000;
const POLL_MS = 50;

/** `finish`: after the cutover, removes what the migration leaves behind. */
export const finish: Verb = async (invocation) => {
  const session = openSession(invocation);
  const table = oneTable(invocation, session.config, 'finish');
  const dropRetired = invocation.own['dropRetired'] === true;
  const migration = await withSession(session, async (client) => {
    const found = await requireMigration(client, table);
    requirePhase('finish', found);
    // Who follows the way back has to let go of its slot.
    const wayBack = await fetchWayBack(client, found.id);
    if (wayBack?.phase === 'ready' || wayBack?.phase === 'failed') {
      const outcome = await sendCommand(client, found.id, 'finish', {}, { waitMs: WAIT_MS });
      if (outcome?.ok === false) throw outcomeError(outcome);
      await untilDaemonEnded(client, found);
    }
    return found;
  });
  await interruptibly(migration, (signal) => finishMigration(session.connection, migration.id, { dropRetired, signal }, session.log));
  if (invocation.json) printJson({ migration: migration.id, source: migration.source, finished: true, retiredDropped: dropRetired });
  else
    print(
      `The migration of ${migration.source} is finished${dropRetired ? ', the old table is dropped' : '; the old table stays until you drop it'}.`,
    );
  return 0;
};

/** It waits for whoever uses a leaf or the retired table: Ctrl-C ends that, and nothing is half-done. */
async function interruptibly({ source }: FoundMigration, run: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const stop = onStopSignal();
  try {
    await run(stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    throw new MigratorError('WRONG_PHASE', `interrupted before the migration of ${source} was finished`, {
      detail: 'the application goes on with the partitioned table; nothing is half-done',
      hint: `partitioner finish ${tableWord(source)} goes on`,
    });
  } finally {
    stop.dispose();
  }
}

/** It has answered, and still writes down how it ended: what it writes to must not be taken away meanwhile. */
async function untilDaemonEnded(client: Client, { id, source }: FoundMigration): Promise<void> {
  for (const deadline = Date.now() + WAIT_MS; await isDaemonAlive(client, id); await sleep(POLL_MS)) {
    if (Date.now() < deadline) continue;
    throw new MigratorError('NO_DAEMON', `the daemon of ${source} has not ended within ${String(WAIT_MS / 1000)} s`, {
      hint: `end it, then partitioner finish ${tableWord(source)}`,
    });
  }
}
