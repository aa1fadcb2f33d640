import { hostname } from 'node:os';
import { settleSwitched } from '../actions/forget-migration.ts';
import { runAfterSteps } from '../actions/after-steps.ts';
import { stopStream } from '../actions/way-back.ts';
import { tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import type { Metrics } from '../http/metrics.ts';
import { sqlState, type Client } from '../pg/client.ts';
import { addHistory, fetchMigrationById, store, type Migration } from '../pg/control-store.ts';
import { fetchWayBack, isOpenWayBack, type OpenWayBack, type WayBack } from '../pg/way-back-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import { createAfterRunner } from './after-runner.ts';
import { serveClosed } from './closed-way-back.ts';
import { whileHeld } from './held-slot.ts';
import type { DaemonOptions } from './options.ts';
import { decideRetry, explainError } from './retry.ts';
import { runMigration } from './run-migration.ts';

/** What a daemon works with, whichever direction it follows. */
export interface Worker extends DaemonOptions {
  readonly control: Client;
  readonly metrics: Metrics;
  readonly beat: (client: Client) => Promise<unknown>;
  /** Ends the heartbeat: before the bookkeeping is removed. */
  readonly hush: () => Promise<void>;
  readonly onCommitted: () => void;
}

/**
 * After the cutover: the stream of the cutover's direction ends, what is left is done, and the way back is followed until it is taken, ended
 * or closed. Whether the daemon has more to do.
 */
export async function serveSwitched(worker: Worker, migration: Migration): Promise<boolean> {
  const { control, settings, log, signal } = worker;
  const wayBack = await fetchWayBack(control, migration.id);
  await stopStream(control, migration, whileHeld(worker, migration.id)); // whoever reads it: a daemon stays, until the slot is gone
  await settleSwitched(control, migration, { keepsKeys: isOpenWayBack(wayBack) });
  if (isOpenWayBack(wayBack)) return followWayBack(worker, migration as Migration & { plan: MigrationPlan }, wayBack);
  if (wayBack?.phase === 'failed') return serveClosed(worker, migration);
  log.info({ migration: migration.id }, 'switched: the stream has ended, the retired table is kept');
  await runAfterSteps(settings, migration.id, log, signal);
  return false;
}

async function followWayBack(worker: Worker, parent: Migration & { readonly plan: MigrationPlan }, row: OpenWayBack): Promise<boolean> {
  const { control, settings, log, signal } = worker;
  log.info({ migration: parent.id, slot: row.slotName }, 'switched: the way back is open, the retired table follows');
  await addHistory(control, parent.id, 'way back followed', { pid: process.pid, host: hostname() });
  const afterSteps = createAfterRunner(settings, parent.id, log);
  try {
    const ended = await runMigration({ ...worker, migration: row, table: row.facts.table, wayBack: { parent, row, afterSteps } });
    if (ended?.end === 'rolled back') return true;
    await addHistory(control, parent.id, 'stopped', { pid: process.pid });
    return false;
  } catch (error) {
    if (!signal.aborted && (await isAt(control, parent.id, 'rolled_back'))) return true;
    const failure = decideClosing(error, parent);
    if (!failure || signal.aborted) throw error;
    await closeWayBack(worker, parent, row, failure);
    return true;
  }
}

/**
 * Whether the migration has come to a phase. A switch that commits takes names away under what still compares or applies (also when an earlier daemon's
 * session commits it): what fails of that is its end, no failure.
 */
export async function isAt(control: Client, id: number, phase: Migration['phase']): Promise<boolean> {
  return (await fetchMigrationById(control, id).catch(() => null))?.phase === phase;
}

/** SQLSTATE classes of what a row or a definition is refused for: it would come again. 42501 (privileges) is not among them: it can be mended. */
const FINAL = /^(0A|22|23|42(?!501)|44)/;

/** Why the way back cannot go on; null for what passes by itself, or what the same command can go on after. */
function decideClosing(error: unknown, parent: Migration): MigratorError | null {
  const state = sqlState(error);
  const hint = `the application goes on with the partitioned table; partitioner finish ${tableWord(parent.source)} removes what is left`;
  if (state !== undefined && FINAL.test(state)) {
    const message = explainCause(error);
    return new MigratorError('WAY_BACK_CLOSED', `the un-partitioned table refuses what the partitioned one holds: ${message}`, {
      detail: `SQLSTATE ${state}`,
      hint,
      cause: error,
    });
  }
  if (decideRetry(error) !== 'never') return null;
  const { message, detail } = explainError(error);
  return new MigratorError('WAY_BACK_CLOSED', message, { detail, hint, cause: error });
}

/** PostgreSQL's own words: without the values of a row, which are in its detail. */
function explainCause(error: unknown): string {
  let message = '';
  for (let current = error; current instanceof Error; current = current.cause) message = current.message;
  return message;
}

/**
 * Loud, and for good: the retired table is no longer exact, and its slot must not retain WAL: who serves what is closed drops it. The application notices
 * nothing.
 */
async function closeWayBack({ control, log }: Worker, parent: Migration, row: WayBack, failure: MigratorError): Promise<void> {
  log.error({ migration: parent.id, code: failure.code, err: failure.message, detail: failure.detail }, 'THE WAY BACK IS CLOSED');
  await store(control, 'rollback/close', [row.id, 'failed', JSON.stringify(failure)]);
  await addHistory(control, parent.id, 'way back closed', failure.toJSON());
}
