import { setTimeout as sleep } from 'node:timers/promises';
import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import { withClient } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { store } from '../pg/control-store.ts';

/** An autovacuum that is waited for ends some moments after the waiter has looked for a deadlock. */
const YIELD_MS = 500;

/**
 * Takes a lock that no reading or writing statement waits for, nor waits behind: only VACUUM, ANALYZE, index builds and DDL do. An autovacuum yields to who
 * waits longer than deadlock_timeout, which the lock that stops the writers must not: so it is outwaited here, and none begins while we hold it.
 */
export async function lockAgainstMaintenance(
  query: (statement: string) => Promise<unknown>,
  source: QualifiedName,
  { lockTimeoutMs, deadlockTimeoutMs }: { readonly lockTimeoutMs: number; readonly deadlockTimeoutMs: number },
): Promise<void> {
  await query(`set local lock_timeout = ${Math.max(lockTimeoutMs, deadlockTimeoutMs + YIELD_MS)}`);
  await query(`lock table only ${quoteName(source)} in share update exclusive mode`);
  await query(`set local lock_timeout = ${lockTimeoutMs}`);
}

const ASK_MS = 50;
const ASK_TIMES = 600;

/** Whether a transaction whose COMMIT was not answered has committed: asked on another session until the server knows. */
export async function isCommitted(settings: ConnectionSettings, xid: string): Promise<boolean> {
  for (let times = 0; ; times++) {
    const status = await withClient(settings, { applicationName: 'partitioner cutover' }, async (client) => {
      const [row] = await store(client, 'cutover/transaction-status', [xid]);
      return row?.status as string | null;
    }).catch((error: unknown) => {
      if (times >= ASK_TIMES) throw error;
      return 'in progress'; // the server may be starting again
    });
    if (status !== 'in progress') return status === 'committed';
    if (times >= ASK_TIMES) return false;
    await sleep(ASK_MS);
  }
}
