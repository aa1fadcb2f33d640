import { setTimeout as sleep } from 'node:timers/promises';
import type { Blocker } from '../domain/blocker.ts';
import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import { sqlState, withClient, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { store } from '../pg/control-store.ts';
import type { DdlStep } from '../plan/migration-plan.ts';
import type { Swap } from '../plan/swap.ts';
import { findHolders } from './lock-watch.ts';

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

/** Between two tries at a lock that is not queued for. */
const TRY_MS = 3;
/** lock_not_available, deadlock_detected (which PostgreSQL 17 says of a lock that could be had only by a deadlock) */
const NOT_NOW: ReadonlySet<string | undefined> = new Set(['55P03', '40P01']);
const TABLE_LOCK = /^lock table only (.*) in access exclusive mode$/;

/** A lock that others held all the time. */
export class NotToBeHad extends Error {
  readonly blockers: readonly Blocker[];

  constructor(blockers: readonly Blocker[]) {
    super('the lock was not to be had');
    this.blockers = blockers;
  }
}

export interface Upgrade {
  readonly locker: Client;
  /** Another session, to ask who is in the way. */
  readonly asking: Client;
  readonly now: () => number;
  /** Runs a statement within the limits of the attempt. */
  readonly limited: (statement: string) => Promise<unknown>;
  readonly until: number;
}

/**
 * Takes a lock on a table of which a weaker one is held: tried again and again instead of waited for. While it waited in the queue, a statement that writes in
 * a transaction that has read the table would be refused at once with deadlock_detected, for PostgreSQL sees that neither would go on. So that statement
 * waits, and goes on when the attempt is given up. Throws NotToBeHad. Other statements are run as they are.
 */
export async function lockWithoutQueueing({ locker, asking, now, limited, until }: Upgrade, statement: string): Promise<void> {
  const table = TABLE_LOCK.exec(statement)?.[1];
  if (table === undefined) {
    await limited(statement);
    return;
  }
  await locker.query('savepoint upgrade');
  for (;;) {
    try {
      await limited(`${statement} nowait`);
      await locker.query('release savepoint upgrade');
      return;
    } catch (error) {
      if (!NOT_NOW.has(sqlState(error))) throw error;
    }
    await locker.query('rollback to savepoint upgrade');
    if (now() >= until) throw new NotToBeHad(await findHolders(asking, table, locker));
    await sleep(TRY_MS);
  }
}

/**
 * The locks of an attempt that stops readers and writers at once, in the order in which statements of the application take theirs: what leads to the table,
 * the table, what its foreign keys lead to. The lock on the latter that stops its writers alone is not needed beside the stronger one.
 */
export function lockOrder({ first, next }: Pick<Swap, 'first' | 'next'>, last: DdlStep): DdlStep[] {
  const weaker = ({ sql }: DdlStep): string => sql.replace(TABLE_LOCK, 'lock table only $1 in share row exclusive mode');
  const isReferenced = (step: DdlStep): boolean => TABLE_LOCK.test(step.sql) && first.some(({ sql }) => sql === weaker(step));
  const replaced = new Set(next.filter(isReferenced).map(weaker));
  return [
    ...first.filter(({ sql }) => !replaced.has(sql)),
    ...next.filter((step) => !isReferenced(step)),
    last,
    ...next.filter(isReferenced),
  ];
}

const ASK_MS = 50;
const ASK_TIMES = 600;

/** invalid_parameter_value: a transaction id that is still to come. The server has crashed before it wrote down that it was handed out. */
const NEVER_ASSIGNED = '22023';

/**
 * Whether the transaction of a switch whose COMMIT was not answered has committed: asked on another session until the server knows. After a crash the
 * server may hand out its id once more, so that it has committed says nothing: what it has written does.
 */
export async function isCommitted(
  settings: ConnectionSettings,
  xid: string,
  isThere: (client: Client) => Promise<boolean>,
): Promise<boolean> {
  for (let times = 0; ; times++) {
    const outcome = await withClient(settings, { applicationName: 'partitioner cutover' }, async (client) => {
      const [row] = await store(client, 'cutover/transaction-status', [xid]).catch((error: unknown) => {
        if (sqlState(error) === NEVER_ASSIGNED) return [{ status: 'aborted' }];
        throw error;
      });
      return row?.status === 'in progress' ? null : isThere(client);
    }).catch((error: unknown) => {
      if (times >= ASK_TIMES) throw error;
      return null; // the server may be starting again
    });
    if (outcome !== null) return outcome;
    if (times >= ASK_TIMES) return false;
    await sleep(ASK_MS);
  }
}
