import { setTimeout as sleep } from 'node:timers/promises';
import { isDaemonAlive, outcomeError, sendCommand, type CutoverArguments } from '../actions/command.ts';
import { findHoldUps } from '../actions/lock-watch.ts';
import { fetchStatus, type Status } from '../actions/status.ts';
import { statusLine } from '../actions/status-line.ts';
import type { CutoverReceipt } from '../actions/cutover-context.ts';
import { describeBlockers } from '../domain/blocker.ts';
import { tableWord } from '../domain/command-word.ts';
import { formatBytes, formatDuration } from '../domain/quantity.ts';
import { MigratorError } from '../errors.ts';
import { isLagging, READY_LAG } from '../migration/phase.ts';
import type { Client } from '../pg/client.ts';
import { fetchMigrationById, store } from '../pg/control-store.ts';
import { requireMigration, requirePhase, type FoundMigration } from './find-migration.ts';
import { runAfter, runBefore } from './hooks.ts';
import { createProgressLine, print, printJson, tell } from './output.ts';
import type { Verb } from './program.ts';
import { renderReceipt } from './render-receipt.ts';
import { reportError } from './report-error.ts';
import { oneTable, openSession, withSession } from './session.ts';
import type { SettingValues } from './settings.ts';
import { onStopSignal } from './stop-signal.ts';

const POLL_MS = 1000;
/** A log file wants no line a second. */
const PLAIN_PROGRESS_MS = 5_000;

/** `cutover`: has the daemon switch over, or rehearse it, and prints the receipt. */
export const cutover: Verb = async (invocation) => {
  const session = openSession(invocation);
  const table = oneTable(invocation, session.config, 'cutover');
  const settings = session.settings(table);
  const dryRun = invocation.own['dryRun'] === true;
  const { before, after } = dryRun ? {} : settings;
  return withSession(session, async (client) => {
    const migration = await requireMigration(client, table);
    const { id, source } = migration;
    const whenReady = invocation.own['whenReady'] === true;
    if (!whenReady || !['prepared', 'rolled_back'].includes(migration.phase)) requirePhase('cutover', migration);
    // The phase of a cutover that runs, or of one that has just failed, or that died: the daemon knows, and refuses a second one.
    const isUnderWay = migration.phase === 'cutover';
    if (whenReady && !isUnderWay) await waitUntilReady(client, migration);
    else if (!isUnderWay && migration.phase !== 'ready') await refuseUnready(client, migration);
    if (!(await isDaemonAlive(client, id))) throw noDaemon(migration);
    if (before !== undefined) {
      await refuseWhileRunning(client, migration, 'cutover');
      await runBefore(before, { verb: 'cutover', source, migration: id, phase: 'ready' });
    }
    const receipt = await switchOver(client, migration, {
      ...argumentsOf(settings, dryRun),
      wayBack: invocation.own['wayBack'] !== false,
    });
    if (invocation.json) printJson(receipt);
    else print(renderReceipt(receipt));
    if (after === undefined) return 0;
    const failure = await runAfter(after, { verb: 'cutover', source, migration: id, phase: 'switched', receipt });
    return failure ? reportError(failure, false) : 0;
  });
};

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
export async function refuseWhileRunning(client: Client, { id, source }: FoundMigration, verb: 'cutover' | 'rollback'): Promise<void> {
  const [running] = await store(client, 'command/running', [id]);
  if (running)
    throw new MigratorError('WRONG_PHASE', `a ${verb} of ${source} is running already, asked for by ${String(running.requested_by)}`, {
      hint: `partitioner status ${tableWord(source)} --watch`,
    });
}

/** Sends the command, shows whom it waits for, and returns the receipt. Ctrl-C calls it off. */
async function switchOver(client: Client, migration: FoundMigration, commandArguments: CutoverArguments): Promise<CutoverReceipt> {
  const heldUp = await findHoldUps(client, migration.source);
  if (heldUp.length > 0) tell(`warning: what holds a lock on ${migration.source} may hold the cutover up: ${describeBlockers(heldUp)}`);
  const stop = onStopSignal();
  const progress = createProgressLine(process.stderr);
  try {
    // As long as the daemon lives: filling the twin of a materialized view takes as long as its query.
    const outcome = await sendCommand(client, migration.id, 'cutover', commandArguments, {
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
      if (now?.phase === 'switched') return now.receipt as CutoverReceipt;
    }
    throw error;
  } finally {
    progress.end();
    stop.dispose();
  }
}

async function refuseUnready(client: Client, migration: FoundMigration): Promise<never> {
  const [status] = await fetchStatus(client, migration.source);
  if (status && !status.daemon) throw noDaemon(migration);
  if (status) refuseAnomalies(status, migration);
  if (status && (status.verified.differences > 0 || status.verified.tainted)) {
    throw new MigratorError(
      'DIFFERENCE',
      `differences of ${migration.source} were found: the cutover is refused until a full pass finds none`,
      {
        detail: statusLine(status),
        hint: `partitioner verify ${tableWord(migration.source)}`,
      },
    );
  }
  if (status) refuseLag(status);
  throw new MigratorError('WRONG_PHASE', `the migration of ${migration.source} is in phase "${migration.phase}", cutover needs "ready"`, {
    detail: status ? statusLine(status) : undefined,
    hint: `partitioner cutover ${tableWord(migration.source)} --when-ready`,
  });
}

/** They are never cleared: neither waiting nor a comparison helps. */
function refuseAnomalies({ anomalies }: Status, { source }: FoundMigration): void {
  if (anomalies === 0) return;
  throw new MigratorError(
    'DIFFERENCE',
    `${anomalies} changes of ${source} did not hit exactly one row of the target: there is no cutover`,
    {
      detail: 'the source is untouched, and nothing was switched',
      hint: `partitioner abort ${tableWord(source)}, and report it`,
    },
  );
}

/** When the lag is all that is missing. */
function refuseLag({ source, units, verified, recovery, lag }: Status): void {
  const isElseReady = units.live === units.total && verified.units >= verified.total && recovery === null;
  if (!isElseReady || lag === null || !isLagging(lag, READY_LAG)) return;
  const limit = `${formatBytes(READY_LAG.bytes)} and ${formatDuration(READY_LAG.seconds)}`;
  throw new MigratorError(
    'LAG_TOO_HIGH',
    `the changes of ${source} are applied ${formatBytes(lag.bytes)} and ${formatDuration(lag.seconds)} late, the cutover needs less than ${limit}`,
    { detail: 'nothing was switched; everything is live and compared', hint: `partitioner cutover ${tableWord(source)} --when-ready` },
  );
}

async function waitUntilReady(client: Client, migration: FoundMigration): Promise<void> {
  const stop = onStopSignal();
  const progress = createProgressLine(process.stderr, PLAIN_PROGRESS_MS);
  try {
    for (;;) {
      if (stop.signal.aborted)
        throw new MigratorError('WRONG_PHASE', `interrupted before the migration of ${migration.source} was ready; nothing was switched`);
      const [status] = await fetchStatus(client, migration.source);
      if (status?.migration !== migration.id) throw new MigratorError('WRONG_PHASE', `the migration of ${migration.source} was removed`);
      if (!status.daemon) throw noDaemon(migration);
      if (status.phase === 'ready') return;
      if (status.failure)
        throw new MigratorError('WRONG_PHASE', `the migration of ${migration.source} has failed: ${status.failure.message}`, {
          detail: status.failure.detail,
          hint: status.failure.hint ?? `partitioner abort ${tableWord(migration.source)}, then start again`,
        });
      if (!['prepared', 'rolled_back'].includes(status.phase)) requirePhase('cutover', { ...migration, phase: status.phase });
      refuseAnomalies(status, migration);
      progress.show(statusLine(status));
      await sleep(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
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
