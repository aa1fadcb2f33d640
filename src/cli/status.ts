import { setTimeout as sleep } from 'node:timers/promises';
import { fetchStatus, type Status } from '../actions/status.ts';
import { statusLine } from '../actions/status-line.ts';
import type { Client } from '../pg/client.ts';
import { createProgressLine, print, printJson } from './output.ts';
import type { Verb } from './program.ts';
import { openSession, withSession } from './session.ts';
import { onStopSignal } from './stop-signal.ts';

const WATCH_MS = 1000;

/** `status`: one line a migration, or with `--watch` once a second until Ctrl-C. */
export const status: Verb = async (invocation) => {
  const session = openSession(invocation);
  await withSession(session, async (client) => {
    if (invocation.own['watch'] === true) return watch(client, invocation.table, invocation.json);
    const all = await fetchStatus(client, invocation.table);
    if (invocation.json) printJson(document(all));
    else print(all.map(statusLine).join('\n'));
  });
  return 0;
};

/** One migration is an object, several are an array. */
function document(all: readonly Status[]): Status | readonly Status[] {
  return all.length === 1 ? all[0]! : all;
}

async function watch(client: Client, table: string | undefined, json: boolean): Promise<void> {
  const stop = onStopSignal();
  const progress = createProgressLine(process.stdout);
  try {
    while (!stop.signal.aborted) {
      const all = await fetchStatus(client, table);
      if (json) printJson(document(all));
      else progress.show(all.map(statusLine).join(' | '));
      await sleep(WATCH_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  } finally {
    progress.end();
    stop.dispose();
  }
}
