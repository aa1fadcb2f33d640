import { outcomeError, sendCommand, type CutoverArguments } from '../actions/command.ts';
import type { CutoverReceipt } from '../actions/cutover-context.ts';
import { findHoldUps } from '../actions/lock-watch.ts';
import type { SwapDirection } from '../actions/swap-direction.ts';
import { describeBlockers } from '../domain/blocker.ts';
import { tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import type { Client } from '../pg/client.ts';
import { fetchMigrationById, store } from '../pg/control-store.ts';
import type { FoundMigration } from './find-migration.ts';
import { createProgressLine, tell } from './output.ts';
import type { SettingValues } from './settings.ts';
import { onStopSignal } from './stop-signal.ts';

/** The phase that a switch ends in. */
const SWITCHED = { cutover: 'switched', rollback: 'rolled_back' } as const;

export function argumentsOf(settings: SettingValues, dryRun: boolean): CutoverArguments {
  return {
    lockTimeoutMs: settings['lock-timeout'] ?? 200,
    maxLockHoldMs: settings['max-lock-hold'] ?? 1000,
    attempts: settings.attempts ?? 60,
    ...(dryRun ? { dryRun } : {}),
    ...(settings.decide === undefined ? {} : { decisions: settings.decide }),
  };
}

/** Before a hook of the user's acts on it. The daemon would refuse the command in any case. */
export async function refuseWhileRunning(client: Client, { id, source }: FoundMigration, verb: SwapDirection['verb']): Promise<void> {
  const [running] = await store(client, 'command/running', [id]);
  if (running)
    throw new MigratorError('WRONG_PHASE', `a ${verb} of ${source} is running already, asked for by ${String(running.requested_by)}`, {
      hint: `partitioner status ${tableWord(source)} --watch`,
    });
}

/** Sends the command, shows whom it waits for, and returns the receipt. Ctrl-C calls it off. */
export async function switchOver(
  client: Client,
  migration: FoundMigration,
  verb: SwapDirection['verb'],
  commandArguments: CutoverArguments,
): Promise<CutoverReceipt> {
  const heldUp = await findHoldUps(client, migration.source);
  if (heldUp.length > 0) tell(`warning: what holds a lock on ${migration.source} may hold the ${verb} up: ${describeBlockers(heldUp)}`);
  const stop = onStopSignal();
  const progress = createProgressLine(process.stderr);
  try {
    // As long as the daemon lives: filling the twin of a materialized view takes as long as its query.
    const outcome = await sendCommand(client, migration.id, verb, commandArguments, {
      waitMs: Infinity,
      signal: stop.signal,
      onWait: async () => {
        const waiting = (await fetchMigrationById(client, migration.id))?.waiting ?? null;
        if (waiting !== null) progress.show(`waiting: ${waiting}`);
      },
    });
    if (!outcome) throw noDaemon(migration);
    if (outcome.ok) return outcome.receipt as CutoverReceipt;
    throw outcomeError(outcome);
  } catch (error) {
    // The daemon may have died with the answer; the switch is committed with its receipt, and so is known.
    if (commandArguments.dryRun !== true && error instanceof MigratorError && (error.code === 'NO_DAEMON' || error.code === 'POSTGRES')) {
      const now = await fetchMigrationById(client, migration.id).catch(() => null);
      if (now?.phase === SWITCHED[verb]) return now.receipt as CutoverReceipt;
    }
    throw error;
  } finally {
    progress.end();
    stop.dispose();
  }
}

export function noDaemon({ source }: FoundMigration): MigratorError {
  return new MigratorError('NO_DAEMON', `no daemon runs for ${source}: it follows the changes, and performs the switch`, {
    hint: `partitioner start ${tableWord(source)}`,
  });
}
