import { setTimeout as sleep } from 'node:timers/promises';
import { quoteName } from '../domain/identifier.ts';
import { fetchDefinition } from '../pg/catalog.ts';
import { cancelBackend, inTransaction, sqlState, toMigratorError, withClient, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { addHistory, store } from '../pg/control-store.ts';
import { fetchWayBack, isOpenWayBack } from '../pg/way-back-store.ts';

export interface AfterLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const LOCK_TIMEOUT_MS = 500;
const RETRY_MS = 500;
const CANCEL_MS = 1_000;

/** Class 08 (connection), 53 (resources), 57 (operator intervention): not the step's fault. */
const ELSEWHERE = /^(08|53|57)/;
/** lock_not_available, deadlock_detected */
const TRY_AGAIN: ReadonlySet<string | undefined> = new Set(['55P03', '40P01']);

/**
 * Runs what is left to do after the switch, one step a transaction, with the record that it is done. A step that the data refuses is
 * recorded and passed over: its constraint stays NOT VALID, and goes on guarding new rows. Resumed where it was by the next call.
 * Returns the objects whose steps failed. Stops with the signal: a validation under way is cancelled.
 */
export async function runAfterSteps(
  settings: ConnectionSettings,
  migrationId: number,
  log: AfterLog,
  signal: AbortSignal = new AbortController().signal,
): Promise<string[]> {
  return withClient(settings, { applicationName: 'partitioner after', lockTimeoutMs: LOCK_TIMEOUT_MS }, async (client) => {
    const failed: string[] = [];
    for (;;) {
      signal.throwIfAborted();
      const [step] = (await store(client, 'cutover/next-after-step', [migrationId])) as unknown as AfterStepRow[];
      if (!step) return failed;
      log.info({ step: step.step, of: step.total, object: step.object }, 'after the switch');
      const failure = await runStep(settings, client, migrationId, step, signal);
      if (failure === 'again') {
        await sleep(RETRY_MS, undefined, { signal });
        continue;
      }
      if (failure !== null) {
        failed.push(step.object);
        log.error({ object: step.object, err: failure.message, detail: failure.detail }, 'not possible: it stays NOT VALID');
      }
    }
  });
}

interface AfterStepRow {
  readonly step: number;
  readonly object: string;
  readonly statement: string;
  readonly total: number;
}

async function runStep(
  settings: ConnectionSettings,
  client: Client,
  migrationId: number,
  { step, object, statement }: AfterStepRow,
  signal: AbortSignal,
): Promise<null | 'again' | { readonly message: string; readonly detail?: string | undefined }> {
  const over = new AbortController();
  const cancel = (): void => {
    void cancelUntil(over.signal, () => cancelBackend(settings, client, 'partitioner after'));
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    signal.throwIfAborted(); // while the step was looked up: nobody calls the listener for that any more
    await inTransaction(client, async () => {
      // The daemon and `finish` may both be at it.
      const claimed = await store(client, 'cutover/claim-after-step', [migrationId, step]);
      if (claimed.length === 0) return;
      await keepingWayBack(client, migrationId, () => client.query(statement));
      await store(client, 'cutover/finish-after-step', [migrationId, step, null]);
    });
    return null;
  } catch (error) {
    const state = sqlState(error);
    if (TRY_AGAIN.has(state)) return 'again';
    if (state === undefined || ELSEWHERE.test(state)) throw error;
    const failure = toMigratorError(error, object);
    await store(client, 'cutover/finish-after-step', [migrationId, step, JSON.stringify(failure)]);
    await addHistory(client, migrationId, 'after step failed', failure.toJSON());
    return failure;
  } finally {
    over.abort();
    signal.removeEventListener('abort', cancel);
  }
}

/** Cancels again and again: one cancel may come between two statements, or find no connection. */
async function cancelUntil(over: AbortSignal, cancel: () => Promise<void>): Promise<void> {
  while (!over.aborted) {
    await cancel();
    await sleep(CANCEL_MS, undefined, { signal: over }).catch(() => undefined);
  }
}

/**
 * A rollback is refused when the partitioned table has been altered since the cutover; what a step alters is no such change, it belongs to the cutover.
 * The lock keeps others from altering it meanwhile: what differs afterwards is of the step.
 */
async function keepingWayBack(client: Client, migrationId: number, run: () => Promise<unknown>): Promise<void> {
  const wayBack = await fetchWayBack(client, migrationId);
  if (!isOpenWayBack(wayBack)) {
    await run();
    return;
  }
  const { id, sourceOid, source, facts } = wayBack;
  await client.query(`lock table only ${quoteName(source)} in share update exclusive mode`);
  const before = await fetchDefinition(client, sourceOid);
  await run();
  const after = await fetchDefinition(client, sourceOid);
  if (after.fingerprint === before.fingerprint) return;
  const kept = facts.partitionedParts.filter((part) => !before.parts.includes(part) || after.parts.includes(part));
  const parts = [...kept, ...after.parts.filter((part) => !before.parts.includes(part))];
  await store(client, 'rollback/adopt', [id, JSON.stringify(parts), before.fingerprint, after.fingerprint]);
}
