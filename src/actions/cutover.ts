import { setTimeout as sleep } from 'node:timers/promises';
import { quoteName } from '../domain/identifier.ts';
import { MigratorError } from '../errors.ts';
import { withClient } from '../pg/client.ts';
import { attemptSwap, type Attempt, type CutoverContext, type CutoverReceipt, type LockOutcome } from './swap-attempt.ts';
import { dropTwins, type FilledTwins } from './twins.ts';

const ATTEMPT: Readonly<Record<Attempt['type'], LockOutcome>> = {
  switched: 'acquired',
  lock_timeout: 'timeout',
  deadlock: 'deadlock',
  hold_limit: 'fence_timeout',
  changed: 'changed',
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
    return await attemptUntilSwitched(context, filled);
  } catch (error) {
    // A cutover that fails leaves the catalog as it was; what cannot be reached now goes with the next cutover, or with an abort.
    if (filled.size > 0) {
      await withClient(context.settings, { applicationName: 'partitioner cutover' }, (client) =>
        dropTwins(client, context.migration.id),
      ).catch(() => undefined);
    }
    throw error;
  }
}

async function attemptUntilSwitched(context: CutoverContext, filled: FilledTwins): Promise<CutoverReceipt> {
  const { limits, onAttempt, onWaiting, signal } = context;
  let blockers = '';
  for (let attempt = 1; attempt <= limits.attempts; attempt++) {
    signal.throwIfAborted();
    context.assertProven();
    const outcome = await context.quietly(() =>
      withClient(context.settings, { applicationName: 'partitioner cutover' }, (locker) =>
        withClient(context.settings, { applicationName: 'partitioner fence' }, (fencer) =>
          attemptSwap(context, locker, fencer, attempt, filled),
        ),
      ),
    );
    onAttempt(ATTEMPT[outcome.type]);
    if (outcome.type === 'switched') {
      onWaiting(null);
      return outcome.receipt;
    }
    blockers = outcome.blockers;
    onWaiting(`cutover attempt ${attempt} of ${limits.attempts}: ${outcome.type}${blockers ? `, blocked by ${blockers}` : ''}`);
    const pause = Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** Math.min(attempt - 1, 10));
    await sleep(pause / 2 + Math.random() * (pause / 2), undefined, { signal });
  }
  onWaiting(null);
  throw new MigratorError(
    'LOCK_NOT_ACQUIRED',
    `no lock on ${quoteName(context.migration.source)} within ${limits.attempts} attempts of ${limits.lockTimeoutMs} ms`,
    {
      detail: blockers ? `last blocked by ${blockers}` : undefined,
      hint: 'run the cutover again when the table is quieter, or give it --lock-timeout, --max-lock-hold or --attempts; the table is as it was',
    },
  );
}
