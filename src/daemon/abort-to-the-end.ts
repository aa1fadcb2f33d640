import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { abortMigration } from '../actions/abort.ts';
import { withClient } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { fetchMigrationById } from '../pg/control-store.ts';
import { decideRetry } from './retry.ts';

const RETRY_MS = { first: 250, most: 5_000 };

interface Aborted {
  readonly settings: ConnectionSettings;
  readonly id: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Aborts, and again after what passes by itself (a connection that is lost or cannot be had): half an abort is nothing to go on from. Throws what
 * abortMigration throws for other reasons, and what it has thrown when the signal aborts.
 */
export async function abortToTheEnd({ settings, id, log, signal }: Aborted): Promise<void> {
  for (let pause = RETRY_MS.first; ; pause = Math.min(RETRY_MS.most, pause * 2)) {
    try {
      await abortMigration(settings, id, log);
      return;
    } catch (error) {
      if (await isGone(settings, id)) return; // the answer to its commit got lost
      if (decideRetry(error) !== 'timed' || signal.aborted) throw error;
      log.warn({ migration: id, err: (error as Error).message, retryMs: pause }, 'the abort was cut off: again');
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Whether nothing is left of the migration: it was aborted, by us or by somebody else. False while nobody can tell. */
export async function isGone(settings: ConnectionSettings, id: number): Promise<boolean> {
  const options = { applicationName: 'partitioner abort', unclaimed: true } as const;
  return withClient(settings, options, async (client) => (await fetchMigrationById(client, id)) === null).catch(() => false);
}
