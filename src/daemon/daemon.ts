import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { endSilent, fetchMigrationClaim, takeOver } from '../actions/claim.ts';
import { fetchDecided } from '../actions/plan-carried.ts';
import { alteredBefore, openMigration, prepare } from '../actions/prepare.ts';
import { settleRolledBack } from '../actions/rollback.ts';
import { tableWord } from '../domain/command-word.ts';
import { MigratorError } from '../errors.ts';
import { fitsPhase } from '../migration/phase.ts';
import { fetchFingerprint, fetchTable, resolveTable } from '../pg/catalog.ts';
import { withClient, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { addHistory, completeControlSchema, fetchMigration, fetchMigrationById, store, type Migration } from '../pg/control-store.ts';
import { startLimits } from '../pg/throttle-store.ts';
import { abortToTheEnd, isGone } from './abort-to-the-end.ts';
import { Display } from './display.ts';
import { keepBeating } from './heartbeat.ts';
import { whileHeld } from './held-slot.ts';
import type { DaemonOptions } from './options.ts';
import { decideRetry, explainError } from './retry.ts';
import { runFollowing } from './run-following.ts';
import { isSlotLost, noteSlotLost } from './settle-slot.ts';
import { createAfterRunner } from './after-runner.ts';
import { isAt, serveSwitched, type Worker } from './way-back.ts';

const STANDBY_RETRY_MS = 1_000;
const RESTART_MS = { first: 500, most: 30_000 };

/**
 * The sync daemon of one table: prepares or resumes the migration and works on it until it is switched, aborted or
 * stopped. A second daemon of the same table stands by and takes over when the first one's session ends. A lost
 * connection restarts it from what is committed, with growing pauses that progress resets (not a message, nor the position of an idle stream).
 * Throws what cannot be retried, after recording it as the migration's failure.
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const display = await Display.open(options);
  try {
    await runToTheEnd(options, display);
  } finally {
    await display.close();
  }
}

async function runToTheEnd(options: DaemonOptions, display: Display): Promise<void> {
  const { settings, signal, log } = options;
  const isStopped = (): boolean => signal.aborted;
  let pause = RESTART_MS.first;
  /** What this daemon works on: when it is gone it was aborted, and no other one is begun for it. */
  const own: { id: number | null } = { id: null };
  while (!isStopped()) {
    const progress = { made: false };
    const begun = performance.now();
    try {
      await withClient(settings, { applicationName: 'partitioner daemon' }, (control) =>
        serve(options, display, control, own, () => (progress.made = true)),
      );
      return;
    } catch (error) {
      if (isStopped() && isAbort(error)) return;
      if (own.id !== null && (await isGone(settings, own.id))) {
        log.info({ migration: own.id }, 'the migration is gone: it was aborted');
        return;
      }
      const failure = explainError(error);
      if (decideRetry(error) !== 'timed') throw failure;
      // Who has gone on for longer than the longest pause was not failing all the while, had he only little to do.
      if (progress.made || performance.now() - begun > RESTART_MS.most) pause = RESTART_MS.first;
      log.warn(
        { code: failure.code, err: failure.message, detail: failure.detail, retryMs: pause },
        'connection lost or refused, starting again from what is committed',
      );
      await sleep(pause * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
      pause = Math.min(RESTART_MS.most, pause * 2);
    }
  }
}

async function serve(
  options: DaemonOptions,
  display: Display,
  control: Client,
  own: { id: number | null },
  onCommitted: () => void,
): Promise<void> {
  let { settings } = options;
  const { signal, log } = options;
  const name = await resolveTable(control, options.table);
  let migration = own.id === null ? await fetchMigration(control, name) : await fetchMigrationById(control, own.id);
  if (!migration && own.id !== null) return;
  if (!migration || migration.phase === 'done' || migration.phase === 'aborted') {
    const table = await fetchTable(control, name);
    if (!table) throw new MigratorError('USAGE', `table ${name.schema}.${name.name} does not exist`);
    const id = await openMigration(control, table, options.plan);
    migration = await fetchMigrationById(control, id);
  }
  const { id } = migration!;
  own.id = id;
  display.show(id);
  const lock = await standBy(control, id, options);
  if (!lock) return;
  display.work(lock);
  const since = new Date().toISOString();
  const hushed = new AbortController();
  const closing: (() => Promise<void>)[] = [];
  const beat = (client: Client): Promise<unknown> => store(client, 'store/beat', [id, process.pid, hostname(), lock.backendPid, since]);
  try {
    migration = await fetchMigrationById(control, id);
    if (!migration) return; // aborted while we stood by: the control schema went with it
    await completeControlSchema(control);
    if (!fitsPhase('start', migration.phase)) throw refusePhase(migration);
    settings = { ...settings, claim: await takeOver(control, id) };
    await beat(control);
    await startLimits(control, id, options.limits ?? {});
    const beating = keepBeating(settings, beat, hushed.signal);
    const hush = async (): Promise<void> => {
      hushed.abort();
      await beating;
    };
    closing.push(hush);
    const worker: Worker = { ...options, settings, control, metrics: display.metrics, beat, hush, onCommitted };
    // There and back again, until somebody ends it.
    for (let goesOn = true; goesOn;) {
      const current = await fetchMigrationById(control, id);
      if (!current) return;
      goesOn = current.phase === 'switched' ? await serveSwitched(worker, current) : await work(worker, current);
    }
  } catch (error) {
    const failure = explainError(error);
    if (!signal.aborted && decideRetry(error) === 'never') await recordFailure(settings, id, failure, log);
    throw error;
  } finally {
    for (const close of closing) await close();
    await store(control, 'store/leave', [id, process.pid, hostname()]).catch(() => undefined); // gone with an abort, or the connection is
  }
}

/** Follows the source until the command that ends it; whether the daemon has more to do. */
async function work(worker: Worker, migration: Migration): Promise<boolean> {
  const { control, settings, log, signal } = worker;
  await settleRolledBack(control, migration, whileHeld(worker, migration.id));
  if (!migration.plan) {
    const table = await fetchDecided(control, migration.source, migration.options);
    if (!table || table.oid !== migration.sourceOid || (await fetchFingerprint(control, table.oid)) !== migration.fingerprint) {
      throw alteredBefore(migration.source);
    }
    await prepare(control, migration, table, {
      signal,
      onWaiting: (what) => {
        if (what !== null) log.info({ waiting: what }, 'prepare waits');
        void store(control, 'store/set-phase', [migration.id, 'prepared', what]).catch(() => undefined);
      },
    });
    log.info({ migration: migration.id }, 'prepared');
  } else await addHistory(control, migration.id, 'resumed', { pid: process.pid, host: hostname() });
  // After a rollback: what the application's table had before is validated beside the stream.
  const afterSteps = createAfterRunner(settings, migration.id, log);
  afterSteps.start();
  try {
    const ended = await runFollowing(worker, migration.id);
    if (ended?.end === 'switched') return true;
    if (ended?.end === 'abort') {
      await worker.hush(); // the bookkeeping goes
      await abortToTheEnd({ settings, id: migration.id, log, signal });
    } else await addHistory(control, migration.id, 'stopped', { pid: process.pid });
    return false;
  } catch (error) {
    if (!signal.aborted && (await isAt(control, migration.id, 'switched'))) return true;
    if (!isSlotLost(error) || signal.aborted) throw error;
    await noteSlotLost(worker, migration, error);
    return true;
  } finally {
    await afterSteps.stop();
  }
}

/** Waits for the migration's advisory lock; null when stopped before. */
async function standBy(
  control: Client,
  id: number,
  { signal, log }: DaemonOptions,
): Promise<{ backendPid: number; stoodBy: boolean } | null> {
  for (let said = false; !signal.aborted;) {
    const claim = await fetchMigrationClaim(control, id);
    if (claim.locked) return { backendPid: claim.backendPid, stoodBy: said };
    if (await endSilent(control, id)) log.warn({ migration: id }, 'the daemon that worked is silent: taking over');
    if (!said) log.info({ migration: id }, 'another daemon works on this migration: standing by');
    said = true;
    await sleep(STANDBY_RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
  return null;
}

async function recordFailure(settings: ConnectionSettings, id: number, failure: MigratorError, log: Logger): Promise<void> {
  try {
    await withClient(settings, { applicationName: 'partitioner daemon' }, async (client) => {
      await store(client, 'store/set-failure', [id, JSON.stringify(failure)]);
      await addHistory(client, id, 'failed', failure.toJSON());
    });
  } catch (error) {
    log.error({ err: (error as Error).message }, 'the failure could not be recorded');
  }
}

function refusePhase(migration: Migration): MigratorError {
  const { schema, name } = migration.source;
  const word = tableWord(migration.source);
  return new MigratorError('WRONG_PHASE', `migration ${migration.id} of ${schema}.${name} is ${migration.phase}`, {
    detail: migration.failure?.message,
    hint: migration.phase === 'failed' ? `partitioner abort ${word}, then start again` : `partitioner status ${word}`,
  });
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.message === 'the applier has stopped');
}
