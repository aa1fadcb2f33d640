import { setTimeout as sleep } from 'node:timers/promises';
import { MigratorError } from '../errors.ts';
import { sqlState, type Client } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';
import { WALSENDER_NAME } from '../plan/preflight/standbys.ts';
import type { FollowHooks } from './follow.ts';
import { describeHolder } from './slot-loss.ts';

const OBJECT_IN_USE = '55006';
/** insufficient_privilege */
const NOT_OURS = '42501';
const QUICK = { attempts: 100, ms: 100 };
const RETRY_MS = 250;

/**
 * Drops a slot if it is there. It stays active for a moment after its walsender stopped: retried for ten seconds. Throws WRONG_PHASE, with the name of
 * who reads it, when it still is.
 */
export async function dropSlot(client: Client, slotName: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const refused = await tryDropSlot(client, slotName);
    if (refused === null) return;
    if (attempt === QUICK.attempts) {
      throw new MigratorError('WRONG_PHASE', `replication slot "${slotName}" is in use: ${refused.holder} reads it`, {
        detail: refused.error.message,
        hint: 'end what reads it (a daemon of the migration does), then repeat the command',
        cause: refused.error,
      });
    }
    await sleep(QUICK.ms);
  }
}

/** Drops the slot if it is there; one that is read is waited for, with its reader named. Throws the signal's reason. */
export async function dropFreeSlot(client: Client, slotName: string, { onWaiting, signal }: FollowHooks): Promise<void> {
  for (let isHeld = false; ;) {
    signal.throwIfAborted();
    const refused = await tryDropSlot(client, slotName);
    if (refused === null) {
      if (isHeld) onWaiting(null);
      return;
    }
    if (isHeld) onWaiting(describeHeld(slotName, refused)); // a moment is nothing to tell of
    isHeld = true;
    await sleep(RETRY_MS, undefined, { signal });
  }
}

/** Who keeps a slot from being dropped, for people. */
export interface SlotHeld {
  readonly holder: string;
  readonly error: Error;
}

/**
 * Drops the slot if it is there and nobody reads it; else says who does. A walsender of ours is told to end: in the midst of a huge transaction of other
 * tables it neither sends nor reads, and notices late that we have gone. Nobody else is.
 */
export async function tryDropSlot(client: Client, slotName: string): Promise<SlotHeld | null> {
  if (slotName === '') return null;
  try {
    await store(client, 'store/drop-slot', [slotName]);
    return null;
  } catch (error) {
    if (sqlState(error) !== OBJECT_IN_USE) throw error;
    const holder = await describeHolder(client, slotName);
    await endOurs(client, slotName);
    return { holder: holder ?? 'a session that has just gone', error: error as Error };
  }
}

/** What is waited for, for people. */
export function describeHeld(slotName: string, { holder }: SlotHeld): string {
  return `replication slot "${slotName}", which ${holder} reads`;
}

async function endOurs(client: Client, slotName: string): Promise<void> {
  try {
    await store(client, 'store/end-slot-reader', [slotName, WALSENDER_NAME]);
  } catch (error) {
    if (sqlState(error) !== NOT_OURS) throw error;
  }
}
