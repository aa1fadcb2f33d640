import { setTimeout as sleep } from 'node:timers/promises';
import { quoteIdent, quoteName } from '../domain/identifier.ts';
import { parseLsn, type Lsn } from '../domain/lsn.ts';
import type { SourceTable } from '../domain/table.ts';
import { MigratorError } from '../errors.ts';
import { sqlState, type Client } from '../pg/client.ts';
import { store } from '../pg/control-store.ts';
import { fetchVersion } from '../pg/version.ts';
import { loadSql } from '../sql/load.ts';

/** The slot's creation waits for every running transaction; at most this long at a time. */
const SLOT_LOCK_TIMEOUT_MS = 10_000;

export interface FollowHooks {
  /** Says what is waited for, null when it is over. */
  readonly onWaiting: (what: string | null) => void;
  readonly signal: AbortSignal;
  /** How often a lock is asked for; without it for as long as it takes. Throws LOCK_NOT_ACQUIRED after the last. */
  readonly attempts?: number;
}

/** Locks the source SHARE UPDATE EXCLUSIVE for a moment: retried, so that nothing queues behind us. */
export async function createPublication(
  client: Client,
  publication: string,
  table: Pick<SourceTable, 'schema' | 'name' | 'columns'>,
  hooks: FollowHooks,
  { viaRoot = false }: { readonly viaRoot?: boolean } = {},
): Promise<void> {
  // From PostgreSQL 18 on a replica identity that holds a generated column must be published with it, or the
  // application's own UPDATE and DELETE would be refused from here on.
  const isGeneratedPublished = (await fetchVersion(client)) >= 180_000 && table.columns.some(({ generated }) => generated === 's');
  const options = [
    "publish = 'insert, update, delete, truncate'",
    ...(viaRoot ? ['publish_via_partition_root = true'] : []),
    ...(isGeneratedPublished ? ['publish_generated_columns = stored'] : []),
  ];
  const sql = `create publication ${quoteIdent(publication)} for table ${viaRoot ? '' : 'only '}${quoteName(table)} with (${options.join(', ')})`;
  await untilLocked(client, { text: sql, values: [] }, 1_000, hooks, () =>
    Promise.resolve('a lock on the table (VACUUM or DDL holds it) to make the publication'),
  );
}

/** Makes the slot; returns its first position. */
export async function createSlot(client: Client, slot: string, hooks: FollowHooks): Promise<string> {
  const rows = await untilLocked(
    client,
    { text: loadSql('backfill/create-slot'), values: [slot] },
    SLOT_LOCK_TIMEOUT_MS,
    hooks,
    async () => {
      const blockers = (await store(client, 'backfill/slot-blockers')) as unknown as {
        pid: number | null;
        usename: string;
        seconds: number;
        query: string;
      }[];
      const names = blockers.map(
        ({ pid, usename, seconds, query }) =>
          `${pid === null ? `prepared transaction ${query}` : `pid ${pid}`} of ${usename} (${seconds} s)`,
      );
      return `transactions that must end before the slot can begin: ${names.join(', ') || 'unknown'}`;
    },
  );
  const lsn = rows[0]!.lsn as string;
  const parsed: Lsn = parseLsn(lsn);
  if (parsed === 0n) throw new MigratorError('DEFECT', `slot "${slot}" has no first position`);
  return lsn;
}

const LOCK_NOT_AVAILABLE = '55P03';

async function untilLocked(
  client: Client,
  statement: { readonly text: string; readonly values: unknown[] },
  lockTimeoutMs: number,
  { onWaiting, signal, attempts = Infinity }: FollowHooks,
  describe: () => Promise<string>,
): Promise<Record<string, unknown>[]> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      await client.query(`set lock_timeout = ${lockTimeoutMs}`);
      const { rows } = await client.query<Record<string, unknown>>(statement);
      await client.query('set lock_timeout = 0');
      onWaiting(null);
      return rows;
    } catch (error) {
      if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
      const what = await describe();
      onWaiting(what);
      if (attempt >= attempts) {
        throw new MigratorError('LOCK_NOT_ACQUIRED', `given up after ${attempts} attempts, waiting for ${what}`, {
          hint: 'end them or wait for them, and try again; nothing was changed',
        });
      }
      await sleep(200);
    }
  }
}
