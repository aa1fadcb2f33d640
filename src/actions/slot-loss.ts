import { setTimeout as sleep } from 'node:timers/promises';
import { formatLsn, type Lsn } from '../domain/lsn.ts';
import { sqlState, type Client } from '../pg/client.ts';
import { fetchSlot, store } from '../pg/control-store.ts';
import type { FollowHooks } from './follow.ts';

const OBJECT_IN_USE = '55006';
const RETRY_MS = 250;

/** Why the slot cannot bring every change after the applied position; null when it can. */
export async function fetchSlotLoss(client: Client, slotName: string, appliedLsn: Lsn): Promise<string | null> {
  const slot = await fetchSlot(client, slotName);
  if (!slot) return 'it is not there: somebody dropped it, or the server failed over without it';
  if (slot.walStatus === 'lost') return 'the server has invalidated it (max_slot_wal_keep_size, idle_replication_slot_timeout, wal_level)';
  // The slot is told only what is committed; were it ahead (a failover, a hand), changes between the two would be lost.
  if (slot.confirmedLsn > appliedLsn)
    return `it stands at ${formatLsn(slot.confirmedLsn)}, ahead of the applied position ${formatLsn(appliedLsn)}: somebody else has read it`;
  return null;
}

/** Who reads the slot, for people; null when nobody does. */
export async function describeHolder(client: Client, slotName: string): Promise<string | null> {
  const [row] = await store(client, 'recover/slot-holder', [slotName]);
  if (!row) return null;
  const {
    pid,
    application_name: name,
    role,
    host,
  } = row as { pid: number; application_name: string | null; role: string | null; host: string | null };
  return `pid ${pid}${name === null || name === '' ? '' : ` "${name}"`}${role === null ? '' : ` of ${role}`}${host === null ? '' : ` from ${host}`}`;
}

/** Drops the slot if it is there; one that is read is waited for, with its reader named. */
export async function dropFreeSlot(client: Client, slotName: string, { onWaiting, signal }: FollowHooks): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      await store(client, 'store/drop-slot', [slotName]);
      return;
    } catch (error) {
      if (sqlState(error) !== OBJECT_IN_USE) throw error;
      const holder = await describeHolder(client, slotName);
      if (holder !== null) onWaiting(`replication slot "${slotName}", which ${holder} reads`);
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}
