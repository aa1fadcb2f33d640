import { setTimeout as sleep } from 'node:timers/promises';
import { isDaemonAlive } from '../actions/command.ts';
import { fetchStatus, type Status } from '../actions/status.ts';
import { statusLine } from '../actions/status-line.ts';
import { tableWord } from '../domain/command-word.ts';
import { formatBytes, formatDuration } from '../domain/quantity.ts';
import { MigratorError } from '../errors.ts';
import { isLagging, READY_LAG } from '../migration/phase.ts';
import type { Client } from '../pg/client.ts';
import { requireMigration, requirePhase, type FoundMigration } from './find-migration.ts';
import { runAfter, runBefore } from './hooks.ts';
import { createProgressLine, print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { renderReceipt } from './render-receipt.ts';
import { reportError } from './report-error.ts';
import { oneTable, openSession, withSession } from './session.ts';
import { onStopSignal } from './stop-signal.ts';
import { argumentsOf, noDaemon, refuseWhileRunning, switchOver } from './switch-over.ts';

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
    const receipt = await switchOver(client, migration, 'cutover', {
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
