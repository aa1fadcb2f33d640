import { setTimeout as sleep } from 'node:timers/promises';
import { fetchStatus, type Status } from '../actions/status.ts';
import { statusLine } from '../actions/status-line.ts';
import { MigratorError } from '../errors.ts';
import type { Client } from '../pg/client.ts';
import { createProgressLine, print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { openSession, withSession } from './session.ts';
import { onStopSignal } from './stop-signal.ts';

const WATCH_MS = 1000;

/** `status`: one line a migration, or with `--watch` once a second until Ctrl-C. */
export const status: Verb = async (invocation) => {
  const session = openSession(invocation);
  const tables = invocation.table === undefined ? (session.config?.tables.map(({ table }) => table) ?? []) : [invocation.table];
  await withSession(session, async (client) => {
    if (invocation.own['watch'] === true) return watch(client, tables, invocation.json);
    const all = await fetchAll(client, tables);
    if (invocation.json) printJson(document(all));
    else print(all.map(statusLine).join('\n'));
  });
  return 0;
};

/** The newest migration of each of these tables, of every table when none is named. A table without one is passed over beside others that have one. */
async function fetchAll(client: Client, tables: readonly string[]): Promise<Status[]> {
  if (tables.length === 0) return fetchStatus(client);
  const found = new Map<number, Status>();
  let missing: unknown;
  for (const table of tables) {
    try {
      for (const status of await fetchStatus(client, table)) found.set(status.migration, status);
    } catch (error) {
      if (!(error instanceof MigratorError) || error.code !== 'WRONG_PHASE') throw error;
      missing ??= error;
    }
  }
  if (found.size === 0) throw missing;
  return [...found.values()];
}

/** One migration is an object, several are an array. */
function document(all: readonly Status[]): Status | readonly Status[] {
  return all.length === 1 ? all[0]! : all;
}

async function watch(client: Client, tables: readonly string[], json: boolean): Promise<void> {
  const stop = onStopSignal();
  const progress = createProgressLine(process.stdout);
  try {
    while (!stop.signal.aborted) {
      const all = await fetchAll(client, tables);
      if (json) printJson(document(all));
      else progress.show(all.map(statusLine).join(' | '));
      await sleep(WATCH_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  } finally {
    progress.end();
    stop.dispose();
  }
}
