import type { Blocker } from '../domain/blocker.ts';
import type { Client } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';

export interface LockWatch {
  /** Runs a statement of the watched session that may wait for a lock. */
  readonly query: (statement: string, values?: readonly unknown[]) => Promise<Record<string, unknown>[]>;
  /** The same for work of several statements. */
  readonly during: <T>(work: () => Promise<T>) => Promise<T>;
  /** For whom it waited last; empty when nobody was seen. */
  readonly blockers: () => readonly Blocker[];
}

/** Between two looks at who is in the way: a share of the lock timeout, so that a short wait is seen too, but no load for the server. */
const LOOK_MS = { least: 20, most: 500, share: 0.3 };

/** Who is in the way can only be asked while a session waits: on another one, again and again until the wait is over. */
export function watchLocks(
  waiting: Client,
  asking: Client,
  lockTimeoutMs: number,
  onBlocked: (blockers: readonly Blocker[]) => void,
): LockWatch {
  const pid = (waiting as Client & { processID?: number }).processID ?? 0;
  const pause = Math.min(LOOK_MS.most, Math.max(LOOK_MS.least, lockTimeoutMs * LOOK_MS.share));
  let blockers: readonly Blocker[] = [];
  let looking: Promise<void> | null = null;
  const look = async (): Promise<void> => {
    try {
      const found = (await store(asking, 'cutover/blockers', [pid])) as unknown as Blocker[];
      if (found.length === 0) return; // the wait was over: the last answer stands
      blockers = found;
      onBlocked(found);
    } catch {
      // The statement that waits tells what is wrong with the connection.
    }
  };
  const during = async <T>(work: () => Promise<T>): Promise<T> => {
    const timer = setInterval(() => {
      looking ??= look().finally(() => (looking = null));
    }, pause);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      await looking; // the other session is to be free for the fence
    }
  };
  return {
    query: (statement, values) => during(async () => (await waiting.query<Record<string, unknown>>(statement, values && [...values])).rows),
    during,
    blockers: () => blockers,
  };
}

/** A transaction of this age holds a lock that no attempt of usual length outwaits. */
const OLD_SECONDS = 5;

/** Who holds a lock on the table that is not about to be released, before a cutover is tried. `table` is qualified and quoted. */
export async function findHoldUps(client: Client, table: string): Promise<readonly Blocker[]> {
  return (await store(client, 'cutover/hold-ups', [table, OLD_SECONDS, 0])) as unknown as Blocker[];
}

/** Who holds any lock on the table, but the session that asks for one. */
export async function findHolders(client: Client, table: string, waiting: Client): Promise<readonly Blocker[]> {
  const pid = (waiting as Client & { processID?: number }).processID ?? 0;
  return (await store(client, 'cutover/hold-ups', [table, 0, pid])) as unknown as Blocker[];
}
