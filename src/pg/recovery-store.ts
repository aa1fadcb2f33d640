import { parseLsn, type Lsn } from '../domain/lsn.ts';
import type { Client } from './client.ts';
import { store } from './control-store.ts';

/** What becomes of a lost slot: docs/slot.md. */
export interface Recovery {
  readonly number: number;
  /** Why changes may be missing. */
  readonly reason: string;
  /** The slot was dropped to save the disk: nothing is done before `resume`. */
  readonly held: boolean;
  /** First position of the new slot; null until it is there. */
  readonly slotLsn: Lsn | null;
  /** The WAL position after every snapshot that was compared, or that keys were read again in. */
  readonly lastSnapshotLsn: Lsn;
}

/** The recovery that is under way; null when none is. */
export async function fetchRecovery(client: Client, migrationId: number): Promise<Recovery | null> {
  const [row] = await store(client, 'recover/fetch', [migrationId]);
  if (!row) return null;
  return {
    number: row.number as number,
    reason: row.reason as string,
    held: row.held as boolean,
    slotLsn: row.slot_lsn === null ? null : parseLsn(row.slot_lsn as string),
    lastSnapshotLsn: row.last_snapshot_lsn === null ? 0n : parseLsn(row.last_snapshot_lsn as string),
  };
}

/** Writes down that a slot is lost. False when that is known already, and nothing was done about it yet. */
export async function openRecovery(client: Client, migrationId: number, reason: string, held: boolean): Promise<boolean> {
  return (await store(client, 'recover/open', [migrationId, reason, held])).length > 0;
}
