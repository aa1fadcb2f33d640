import { setTimeout as sleep } from 'node:timers/promises';
import { adviseOnBlockers, describeBlockers, type Blocker } from '../domain/blocker.ts';
import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import { cancelBackend, isConnectionLost, withClient } from '../pg/client.ts';
import type { Attempt, CutoverContext, CutoverReceipt, LockOutcome } from './cutover-context.ts';
import { attemptSwap } from './swap-attempt.ts';
import { dropTwins, type FilledTwins } from './twins.ts';

const ATTEMPT: Readonly<Record<Attempt['type'], LockOutcome>> = {
  switched: 'acquired',
  lock_timeout: 'timeout',
  deadlock: 'deadlock',
  hold_limit: 'fence_timeout',
  changed: 'changed',
  session_lost: 'session_lost',
};

const BACK_OFF_MS = { first: 100, most: 3_000 };

/**
 * The switch. Two locks: first one that stops writers (reads go on while the stream is drained up to a fence), then ACCESS
 * EXCLUSIVE for the renames alone. A timeout or a deadlock at any point releases everything and tries again, with growing
 * pauses, so that no statement of the application waits longer than the lock timeout and the hold limit together.
 * Throws LOCK_NOT_ACQUIRED when the attempts are used up; the table is then as it was.
 */
export async function cutover(context: CutoverContext): Promise<CutoverReceipt> {
  const filled: FilledTwins = new Map();
  try {
    const receipt = await attemptUntilSwitched(context, filled);
    if (context.dryRun) await dropFilledTwins(context, filled);
    return receipt;
  } catch (error) {
    await dropFilledTwins(context, filled);
    throw error;
  }
}

/** A cutover that fails or is a rehearsal leaves the catalog as it was; what cannot be reached now goes with the next cutover, or with an abort. */
async function dropFilledTwins({ settings, migration }: CutoverContext, filled: FilledTwins): Promise<void> {
  if (filled.size === 0) return;
  await withClient(settings, { applicationName: 'partitioner cutover' }, (client) => dropTwins(client, migration.id)).catch(
    () => undefined,
  );
}

async function attemptUntilSwitched(context: CutoverContext, filled: FilledTwins): Promise<CutoverReceipt> {
  const { limits, onAttempt, onWaiting, signal, direction } = context;
  let blockers: readonly Blocker[] = [];
  for (let attempt = 1; attempt <= limits.attempts; attempt++) {
    signal.throwIfAborted();
    await context.untilProven();
    const outcome = await tryOnce(context, attempt, filled);
    if (outcome.type !== 'switched') signal.throwIfAborted();
    onAttempt(ATTEMPT[outcome.type]);
    if (outcome.type === 'switched') {
      onWaiting(null);
      return outcome.receipt;
    }
    blockers = outcome.blockers;
    const blocked = blockers.length > 0 ? `, blocked by ${describeBlockers(blockers)}` : '';
    onWaiting(`${direction.verb} attempt ${attempt} of ${limits.attempts}: ${outcome.type}${blocked}`);
    const pause = Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** Math.min(attempt - 1, 10));
    await sleep(pause / 2 + Math.random() * (pause / 2), undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  }
  onWaiting(null);
  const advice = adviseOnBlockers(blockers);
  throw new MigratorError(
    'LOCK_NOT_ACQUIRED',
    `no lock on ${quoteName(context.migration.source)} within ${limits.attempts} attempts of ${limits.lockTimeoutMs} ms`,
    {
      detail: blockers.length > 0 ? `last blocked by ${describeBlockers(blockers)}` : undefined,
      hint: `${advice === null ? '' : `${advice}; then `}run the ${direction.verb} again when the table is quieter, or give it --lock-timeout, --max-lock-hold or --attempts; the table is as it was`,
    },
  );
}

/** One attempt on sessions of its own. One of them that is lost costs the attempt, not the cutover; the last attempt tells of it. */
async function tryOnce(context: CutoverContext, attempt: number, filled: FilledTwins): Promise<Attempt> {
  const { settings, signal, limits } = context;
  const applicationName = 'partitioner cutover';
  try {
    return await context.quietly(() =>
      withClient(settings, { applicationName }, (locker) =>
        withClient(settings, { applicationName: 'partitioner fence' }, async (fencer) => {
          // The twin of a materialized view takes as long as its query: whoever calls it off does not wait for that.
          const cancel = (): void => void cancelBackend(settings, locker, applicationName);
          signal.addEventListener('abort', cancel, { once: true });
          try {
            const outcome = await attemptSwap(context, locker, fencer, attempt, filled);
            if (outcome.type === 'switched' && !context.dryRun) context.onSwitched();
            return outcome;
          } finally {
            signal.removeEventListener('abort', cancel);
          }
        }),
      ),
    );
  } catch (error) {
    if (attempt === limits.attempts || !isConnectionLost(error)) throw error;
    return { type: 'session_lost', blockers: [] };
  }
}
