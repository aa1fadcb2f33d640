import { setTimeout as sleep } from 'node:timers/promises';
import { sqlState, type Client } from '../pg/client.ts';
import type { Claim } from '../pg/connection.ts';
import { carryClaim, CLAIM_LOCK_CLASS } from '../pg/claim.ts';
import { store } from '../pg/control-store.ts';
import { WALSENDER_NAME } from '../plan/preflight/standbys.ts';
import { DAEMON_LOCK_CLASS } from './command.ts';

/** A daemon that has not been heard of for so long is not there, whatever the server thinks of its sessions. It beats once a second. */
const SILENT_S = 10;
/** One wait for the transactions that an earlier daemon has under way. */
const LOCK_TIMEOUT_MS = 500;
const RETRY_MS = 50;
/** So long for its sessions to end; those of another role we may not end, and their transactions are refused all the same. */
const END_ATTEMPTS = 100;
/** insufficient_privilege */
const NOT_OURS = '42501';
/** undefined_table, invalid_schema_name: the migration was aborted, and the bookkeeping is gone with it. */
const GONE: ReadonlySet<string | undefined> = new Set(['42P01', '3F000']);

/** Tries to become the migration's one daemon: the advisory lock lives as long as the session. */
export async function fetchMigrationClaim(client: Client, migrationId: number): Promise<{ locked: boolean; backendPid: number }> {
  const [row] = await store(client, 'store/lock-daemon', [migrationId]);
  return { locked: row!.locked as boolean, backendPid: row!.backend_pid as number };
}

/**
 * Has whoever worked on the migration before commit nothing from here on: its sessions are ended, and transactions of a session that is not (or that comes
 * yet) are refused by the epoch. To be called by who holds the migration's lock, on the session that holds it.
 */
export async function takeOver(client: Client, migrationId: number): Promise<Claim> {
  for (;;) {
    await endSessions(client, migrationId);
    try {
      await client.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`);
      const [row] = await store(client, 'store/take-claim', [migrationId]);
      const claim = { migrationId, epoch: row!.epoch as string };
      for (let attempt = 0; attempt < END_ATTEMPTS && (await endSessions(client, migrationId)) > 0; attempt++) await sleep(RETRY_MS);
      await carryClaim(client, claim);
      return claim;
    } catch (error) {
      if (sqlState(error) !== '55P03') throw error; // lock_not_available
    } finally {
      await client.query('set lock_timeout = 0').catch(() => undefined);
    }
  }
}

async function endSessions(client: Client, migrationId: number): Promise<number> {
  try {
    const [row] = await store(client, 'store/end-sessions', [CLAIM_LOCK_CLASS, migrationId, WALSENDER_NAME]);
    return row!.ended as number;
  } catch (error) {
    if (sqlState(error) === NOT_OURS) return 0;
    throw error;
  }
}

/** For who stands by: a daemon that is stopped, or whose machine is gone, does not let go of its lock by itself. */
export async function endSilent(client: Client, migrationId: number): Promise<boolean> {
  try {
    const [row] = await store(client, 'store/end-silent', [DAEMON_LOCK_CLASS, migrationId, SILENT_S]);
    return row!.ended as boolean;
  } catch (error) {
    if (sqlState(error) === NOT_OURS || GONE.has(sqlState(error))) return false;
    throw error;
  }
}
