import { describeBlockers } from '../domain/blocker.ts';
import { tableWord } from '../domain/command-word.ts';
import { quoteName, type QualifiedName } from '../domain/identifier.ts';
import { formatLsn, type Lsn } from '../domain/lsn.ts';
import type { SourceTable } from '../domain/table.ts';
import { invariant, MigratorError } from '../errors.ts';
import { fetchFingerprint } from '../pg/catalog.ts';
import { sqlState, type Client } from '../pg/client.ts';
import { emitMessage, fetchMigrationById, store } from '../pg/control-store.ts';
import { lockTable } from '../plan/attachments/carried.ts';
import type { Attempt, CutoverContext, CutoverReceipt } from './cutover-context.ts';
import { watchLocks } from './lock-watch.ts';
import { isCommitted, lockAgainstMaintenance, lockOrder, lockWithoutQueueing, NotToBeHad } from './swap-session.ts';
import { prepareProof, proveUnderLock } from './verify-changes.ts';
import { fillTwins, type FilledTwins } from './twins.ts';

const OUTCOME_OF_STATE: Readonly<Record<string, 'lock_timeout' | 'hold_limit' | 'deadlock'>> = {
  '55P03': 'lock_timeout', // lock_not_available
  '40P01': 'deadlock', // deadlock_detected
  '57014': 'hold_limit', // query_canceled: our own statement_timeout
  '25P03': 'hold_limit', // idle_in_transaction_session_timeout: this process was held up while it held the lock
};

/** The limits of our own come first: this one is for when we cannot act. */
const IDLE_MARGIN_MS = 250;

/** For a lock that is asked for when statements of the application may look for deadlocks at any moment. */
const SHORTEST_LOCK_WAIT_MS = 20;

/** One attempt: everything in one transaction, or nothing. */
export async function attemptSwap(
  context: CutoverContext,
  locker: Client,
  fencer: Client,
  attempts: number,
  filled: FilledTwins,
): Promise<Attempt> {
  const { migration, limits, now, direction } = context;
  const startedAt = new Date().toISOString();
  const names = await displayNames(fencer, migration.plan.source, direction.retires);
  let held = Infinity;
  let asked = 0;
  const { query, during, blockers } = watchLocks(locker, fencer, limits.lockTimeoutMs, (found) => {
    context.onWaiting(`${direction.verb} attempt ${attempts} of ${limits.attempts}, blocked by ${describeBlockers(found)}`);
  });
  const [deadlock] = (await store(locker, 'cutover/deadlock-timeout', [])) as unknown as { ms: number }[];
  /**
   * What is left of the hold limit becomes the statement timeout, so that the server itself ends a swap that takes too long. A statement
   * of the application that waits for us looks for a deadlock after deadlock_timeout, and would be the one that is given up: we give up before.
   */
  const limited = async (statement: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]> => {
    const since = now() - held;
    const left = Math.ceil(limits.maxLockHoldMs - since);
    if (left <= 0) throw new HoldLimit();
    const wait = Math.ceil(Math.max(SHORTEST_LOCK_WAIT_MS, Math.min(limits.lockTimeoutMs, deadlock!.ms * 0.9 - (now() - asked))));
    await locker.query(`set local statement_timeout = ${left}; set local lock_timeout = ${wait}`);
    return query(statement, values);
  };
  let commit: { readonly xid: string; readonly receipt: CutoverReceipt } | null = null;
  try {
    // To print a definition PostgreSQL takes a lock on the table, for which even that may wait behind somebody's DDL.
    await locker.query(`set lock_timeout = ${limits.lockTimeoutMs}`);
    const { swap, materializedViews, isStill } = await during(() => direction.plan(locker));
    await locker.query('set lock_timeout = 0');
    const fence = (): Promise<Lsn> => emitMessage(fencer, `fence ${migration.id}`);
    const twins = {
      client: locker,
      migrationId: migration.id,
      plan: migration.plan,
      lockTimeoutMs: limits.lockTimeoutMs,
      query,
      onWaiting: context.onWaiting,
      caughtUp: async () => context.passed(await fence()),
    };
    await fillTwins(twins, materializedViews, filled);
    await prepareProof(locker, context.verification);
    await context.catchUp();
    await locker.query('begin');
    await locker.query(`set local lock_timeout = ${limits.lockTimeoutMs}`);
    // A routine is made anew as it was, like in pg_dump: its text may name things by a search path that is not ours.
    await locker.query('set local check_function_bodies = off');
    // Were this process stopped or cut off without a word while it holds the lock, the server would keep it for hours: it is to end the session.
    await locker.query(`set local idle_in_transaction_session_timeout = ${limits.maxLockHoldMs + IDLE_MARGIN_MS}`);
    await lockAgainstMaintenance(query, migration.source, { lockTimeoutMs: limits.lockTimeoutMs, deadlockTimeoutMs: deadlock!.ms });
    asked = now();
    // Every other attempt takes the last lock first: readers wait for the fence too then, but it comes to its turn however many they are.
    const atOnce = attempts % 2 === 0;
    const last = lockTable(migration.source, 'access exclusive', 'readers wait');
    const early = atOnce ? lockOrder(swap, last) : [...swap.first, lockTable(migration.source, 'share row exclusive', 'writers wait')];
    let readsAsked = now();
    for (const step of early) {
      await (held === Infinity ? query(step.sql) : limited(step.sql));
      held = Math.min(held, now()); // from the first one on, somebody may wait for us
    }
    const stopped = now();
    if ((await fetchFingerprint(locker, migration.sourceOid)) !== migration.fingerprint) throw direction.altered();
    const fenceLsn = await fence();
    await withinHold(context.passed(fenceLsn), held + limits.maxLockHoldMs - now());
    context.assertProven();
    const rowsCompared = await prove(context, limited);
    context.signal.throwIfAborted();
    if (!atOnce) {
      readsAsked = now();
      const upgrade = { locker, asking: fencer, now, limited, until: Math.min(held + limits.maxLockHoldMs, now() + limits.lockTimeoutMs) };
      for (const step of [...swap.next, last]) await lockWithoutQueueing(upgrade, step.sql);
    }
    if (!(await isStill(locker))) throw new AttachmentsChanged();
    for (const step of swap.steps) await limited(step.sql);
    const sequences = await readSequences(context.table, limited);
    const beforeCommit = now();
    const receipt: CutoverReceipt = {
      migration: migration.plan.wayBackOf ?? migration.id,
      source: names.source,
      target: names.source,
      retired: names.retired,
      attempts,
      lockWaitMs: Math.round(stopped - asked),
      lockHeldMs: Math.round(beforeCommit - held),
      readsBlockedMs: Math.round(beforeCommit - readsAsked),
      fenceLsn: formatLsn(fenceLsn),
      rowsCompared,
      differences: 0,
      sequences,
      objects: swap.objects,
      startedAt,
      committedAt: context.dryRun ? null : new Date().toISOString(),
      ...(context.dryRun ? { dryRun: true } : {}),
    };
    await direction.record(locker, receipt, swap);
    if (context.dryRun) {
      await limited('rollback');
      return { type: 'switched', receipt };
    }
    const [own] = await store(locker, 'cutover/transaction', []);
    commit = { xid: own!.xid as string, receipt };
    await limited('commit');
    return { type: 'switched', receipt };
  } catch (error) {
    if (commit && (await isCommitted(context.settings, commit.xid, hasReceipt(commit.receipt))))
      return { type: 'switched', receipt: commit.receipt };
    const type =
      error instanceof HoldLimit ? 'hold_limit' : error instanceof AttachmentsChanged ? 'changed' : OUTCOME_OF_STATE[sqlState(error) ?? ''];
    await locker.query('rollback').catch(() => undefined);
    if (error instanceof NotToBeHad) return { type: 'lock_timeout', blockers: error.blockers };
    if (!type) throw error;
    return { type, blockers: type === 'lock_timeout' ? blockers() : [] };
  }
}

/** Compares what changed since it was compared last; throws DIFFERENCE, and the attempt is undone. Resolves with the number of keys. */
async function prove(
  { verification, migration, direction }: CutoverContext,
  limited: (statement: string, values?: readonly unknown[]) => Promise<Record<string, unknown>[]>,
): Promise<number> {
  const { rowsCompared, differing, rest } = await proveUnderLock(verification, limited);
  const table = quoteName(migration.source);
  if (differing.length > 0) {
    throw new MigratorError('DIFFERENCE', `source and target of ${table} differ under the lock`, {
      detail: `of ${rowsCompared} keys these differ, or more: ${differing.map((key) => `(${key.join(', ')})`).join(', ')}; nothing was switched`,
      hint: `partitioner ${direction.verb === 'cutover' ? 'verify' : 'finish'} ${tableWord(migration.source)}`,
    });
  }
  const { touched, fenced, repair } = rest;
  invariant(touched + fenced + repair === 0, `${touched} touched, ${fenced} fenced and ${repair} repair keys are left under the lock`);
  return rowsCompared;
}

/** As `status` shows them: quoted where SQL wants it. */
async function displayNames(client: Client, source: QualifiedName, retired: QualifiedName): Promise<{ source: string; retired: string }> {
  const { rows } = await client.query<{ source: string; retired: string }>(
    `select format('%I.%I', $1::text, $2::text) as source, format('%I.%I', $3::text, $4::text) as retired`,
    [source.schema, source.name, retired.schema, retired.name],
  );
  return rows[0]!;
}

/** Whether the receipt of this very attempt is committed. */
function hasReceipt({ migration, startedAt }: CutoverReceipt): (client: Client) => Promise<boolean> {
  return async (client) => {
    const now = (await fetchMigrationById(client, migration))?.receipt as Partial<CutoverReceipt> | null | undefined;
    return now?.startedAt === startedAt;
  };
}

/** What hangs on the table changed between the plan of the swap and the lock: planned anew in the next attempt. */
class AttachmentsChanged extends Error {}

/** The hold limit was reached outside of a statement. */
class HoldLimit extends Error {}

async function withinHold(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => {
        reject(new HoldLimit());
      },
      Math.max(0, ms),
    );
  });
  work.catch(() => undefined); // after the limit nobody waits for it
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function readSequences(
  table: SourceTable,
  run: (sql: string) => Promise<Record<string, unknown>[]>,
): Promise<CutoverReceipt['sequences']> {
  const sequences: { name: string; lastValue: string | null }[] = [];
  for (const { sequence } of table.columns) {
    if (!sequence) continue;
    const [row] = await run(`select case when is_called then last_value::text end as last_value from ${quoteName(sequence)}`);
    sequences.push({ name: `${sequence.schema}.${sequence.name}`, lastValue: (row?.last_value as string | null) ?? null });
  }
  return sequences;
}
