import { formatLsn, type Lsn } from '../domain/lsn.ts';
import type { Client } from '../pg/client.ts';
import { fetchSlot, store } from '../pg/control-store.ts';

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
