import { setTimeout as sleep } from 'node:timers/promises';
import { outcomeError, sendCommand, type CutoverArguments } from '../actions/command.ts';
import { fetchStatus } from '../actions/status.ts';
import { statusLine } from '../actions/status-line.ts';
import { MigratorError } from '../errors.ts';
import type { Client } from '../pg/client.ts';
import { requireMigration, requirePhase, type FoundMigration } from './find-migration.ts';
import { createProgressLine, print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { renderReceipt } from './render-receipt.ts';
import { oneTable, openSession, withSession } from './session.ts';
import type { SettingValues } from './settings.ts';
import { onStopSignal } from './stop-signal.ts';

const POLL_MS = 1000;

/** `cutover`: has the daemon switch over, and prints the receipt. */
export const cutover: Verb = async (invocation) => {
  const session = openSession(invocation);
  const table = oneTable(invocation, session.config, 'cutover');
  const limits = limitsOf(session.settings(table));
  await withSession(session, async (client) => {
    const migration = await requireMigration(client, table);
    const whenReady = invocation.own['whenReady'] === true;
    // The phase of an attempt that has just failed, or of one that another session has asked for: how it ends is seen in a moment.
    const isUnderWay = migration.phase === 'cutover';
    if (!isUnderWay && (!whenReady || !['prepared', 'rolled_back'].includes(migration.phase))) requirePhase('cutover', migration);
    if (whenReady || isUnderWay) await waitUntilReady(client, migration);
    else if (migration.phase !== 'ready') await refuseUnready(client, migration);
    // As long as the daemon lives: filling the twin of a materialized view takes as long as its query.
    const wayBack = invocation.own['wayBack'] !== false;
    const outcome = await sendCommand(client, migration.id, 'cutover', { ...limits, wayBack }, { waitMs: Infinity });
    if (!outcome) throw noDaemon(migration);
    if (!outcome.ok) throw outcomeError(outcome);
    if (invocation.json) printJson(outcome.receipt ?? {});
    else print(renderReceipt(outcome.receipt));
  });
  return 0;
};

export function limitsOf(settings: SettingValues): CutoverArguments {
  return {
    lockTimeoutMs: settings['lock-timeout'] ?? 200,
    maxLockHoldMs: settings['max-lock-hold'] ?? 1000,
    attempts: settings.attempts ?? 60,
    ...(settings.decide === undefined ? {} : { decisions: settings.decide }),
  };
}

async function refuseUnready(client: Client, migration: FoundMigration): Promise<never> {
  const [status] = await fetchStatus(client, migration.source);
  if (status && !status.daemon) throw noDaemon(migration);
  throw new MigratorError('WRONG_PHASE', `the migration of ${migration.source} is in phase "${migration.phase}", cutover needs "ready"`, {
    detail: status ? statusLine(status) : undefined,
    hint: `partitioner cutover ${migration.source} --when-ready`,
  });
}

async function waitUntilReady(client: Client, migration: FoundMigration): Promise<void> {
  const stop = onStopSignal();
  const progress = createProgressLine(process.stderr);
  try {
    for (;;) {
      if (stop.signal.aborted)
        throw new MigratorError('WRONG_PHASE', `interrupted before the migration of ${migration.source} was ready; nothing was switched`);
      const [status] = await fetchStatus(client, migration.source);
      if (status?.migration !== migration.id) throw new MigratorError('WRONG_PHASE', `the migration of ${migration.source} was removed`);
      if (!status.daemon) throw noDaemon(migration);
      if (status.phase === 'ready') return;
      if (!['prepared', 'rolled_back', 'cutover'].includes(status.phase)) requirePhase('cutover', { ...migration, phase: status.phase });
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
    hint: `partitioner start ${source}`,
  });
}
