import type { Client } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';

/** Tries to become the migration's one daemon: the advisory lock lives as long as the session. */
export async function fetchMigrationClaim(client: Client, migrationId: number): Promise<{ locked: boolean; backendPid: number }> {
  const [row] = await store(client, 'store/lock-daemon', [migrationId]);
  return { locked: row!.locked as boolean, backendPid: row!.backend_pid as number };
}
