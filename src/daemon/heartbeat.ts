import { setTimeout as sleep } from 'node:timers/promises';
import { withClient, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';

const BEAT_MS = 1_000;

/**
 * Tells who stands by that this process lives, whatever its other sessions wait for (a slot may be waited for for hours). Comes back by itself when its
 * connection breaks. Resolves when the signal aborts.
 */
export async function keepBeating(
  settings: ConnectionSettings,
  beat: (client: Client) => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const pause = (): Promise<unknown> => sleep(BEAT_MS, undefined, { signal }).catch(() => undefined);
  while (!signal.aborted) {
    await withClient(settings, { applicationName: 'partitioner heartbeat' }, async (client) => {
      for (; !signal.aborted; await pause()) await beat(client);
    }).catch(pause);
  }
}
