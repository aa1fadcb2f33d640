import type { Client } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';

export interface LockWatch {
  /** Runs a statement of the watched session that may wait for a lock. */
  readonly query: (statement: string, values?: readonly unknown[]) => Promise<Record<string, unknown>[]>;
  /** For whom it waited last, for people; '' when nobody was seen. */
  readonly blockers: () => string;
}

/** Who is in the way can only be asked while a session waits: on another one, when most of the lock timeout is over. */
export function watchLocks(waiting: Client, asking: Client, lockTimeoutMs: number): LockWatch {
  let blockers = '';
  return {
    query: async (statement, values) => {
      const timer = setTimeout(() => {
        describeBlockers(asking, waiting).then(
          (found) => (blockers = found),
          () => undefined,
        );
      }, lockTimeoutMs * 0.6);
      try {
        return (await waiting.query<Record<string, unknown>>(statement, values && [...values])).rows;
      } finally {
        clearTimeout(timer);
      }
    },
    blockers: () => blockers,
  };
}

async function describeBlockers(client: Client, waiting: Client): Promise<string> {
  const pid = (waiting as Client & { processID?: number }).processID ?? 0;
  const rows = (await store(client, 'cutover/blockers', [pid])) as unknown as {
    pid: number;
    usename: string;
    state: string;
    seconds: number;
    query: string;
  }[];
  return rows
    .map(({ pid: blocker, usename, state, seconds, query }) =>
      blocker === 0
        ? `prepared transaction '${query}' of ${usename} (${seconds} s)`
        : `pid ${blocker} of ${usename} (${state}, ${seconds} s): ${query}`,
    )
    .join('; ');
}
