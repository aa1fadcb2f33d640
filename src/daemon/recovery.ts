import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { emptyPart, finishRecovery, keptLeaves, makeStrayLeaves, resyncKept } from '../actions/recover-keys.ts';
import { GO_LIVE_KEYS } from '../actions/resync.ts';
import { readVerification, type Verification } from '../actions/verify-changes.ts';
import { recoverRange, WHOLE_TABLE, type Part } from '../actions/verify-range.ts';
import type { Lsn } from '../domain/lsn.ts';
import { invariant } from '../errors.ts';
import { abandon, close, type Client } from '../pg/client.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import { store } from '../pg/control-store.ts';
import { fetchRecovery } from '../pg/recovery-store.ts';
import type { Applier } from './applier.ts';
import { Pool } from './pool.ts';
import { rangeRows } from './range-rows.ts';
import { Rate } from './rate.ts';
import { openRangeSession } from './verifier-sessions.ts';

export interface RecoveryOptions extends Verification {
  readonly settings: ConnectionSettings;
  readonly applier: Applier;
  /** Ranges that are compared at a time. */
  readonly jobs: number;
  readonly bytesPerSecond: number | null;
  readonly rowBytes: number;
  readonly desk: Pool<Client>;
  readonly unpaused: (signal: AbortSignal) => Promise<void>;
  readonly passed: (lsn: Lsn) => Promise<void>;
  readonly onWaiting: (what: string | null) => void;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

const UNSETTLED_RETRY_MS = 50;
/** Few touched keys wait this long for more: a hot row is read again once for many changes. */
const GATHER_MS = 500;

/**
 * After a slot was lost: compares every leaf that was live with the source, reads the keys that differ or change meanwhile again, and
 * makes all of them live together. docs/slot.md has the argument. Resumes where it was; returns at once when nothing is to be recovered.
 */
export async function runRecovery(options: RecoveryOptions): Promise<void> {
  const { applier, desk, migrationId, signal, log, onWaiting } = options;
  if (!applier.session.isRecovering) return;
  const recovery = await desk.use((client) => fetchRecovery(client, migrationId));
  invariant(recovery, 'a recovery that is not written down is under way');
  const { number } = recovery;
  const made = await applier.betweenSettled(() => makeStrayLeaves(applier.session), unsettled(options));
  const work = await listParts(options);
  log.warn(
    { reason: recovery.reason, parts: work.total, strays: made },
    'a slot was lost: what was live is compared with the table, and what differs read again',
  );
  const tell = (): void => {
    onWaiting(`the recovery from a lost slot: ${work.checked} of ${work.total} parts compared, ${work.keys} keys read again`);
  };
  tell();
  const compared = new AbortController();
  const both = await Promise.allSettled([
    compareParts(options, work, tell).finally(() => {
      compared.abort();
    }),
    resyncUntil(options, number, compared.signal),
  ]);
  for (const outcome of both) if (outcome.status === 'rejected') throw outcome.reason;
  while (!(await finish(options, number))) signal.throwIfAborted();
  onWaiting(null);
  log.warn({ keys: work.keys }, 'the lost slot is recovered: every leaf is live again, and is verified anew');
}

interface Work {
  readonly open: Part[];
  readonly total: number;
  checked: number;
  keys: number;
}

async function listParts({ applier, desk, migrationId }: RecoveryOptions): Promise<Work> {
  const { session } = applier;
  return desk.use(async (client) => {
    const { byKey } = await readVerification(client, migrationId);
    // Ranges of the primary key hold rows of every leaf: while some are still to be loaded, each leaf is compared by itself.
    const isWhole = byKey && [...session.units.values()].every((state) => state === 'loading');
    const all: Part[] = isWhole
      ? [{ part: WHOLE_TABLE, leaf: null, reached: null }]
      : keptLeaves(session).map((leaf) => ({ part: leaf.leaf, leaf, reached: null }));
    const begun = new Map((await store(client, 'recover/list-parts', [migrationId])).map((row) => [row.part as number, row]));
    const open = all.filter(({ part }) => begun.get(part)?.checked !== true);
    const keys = [...begun.values()].reduce((sum, row) => sum + Number(row.keys), 0);
    return {
      open: open.map((part) => ({ ...part, reached: (begun.get(part.part)?.reached ?? null) as readonly string[] | null })),
      total: all.length,
      checked: all.length - open.length,
      keys,
    };
  });
}

async function compareParts(options: RecoveryOptions, work: Work, tell: () => void): Promise<void> {
  const { settings, jobs, signal } = options;
  const ranges = new Pool<Client>({ size: jobs, make: () => openRangeSession(settings), dispose: close, abandon });
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const onStop = (): void => {
    ranges.abandon(stop.reason);
  };
  stop.addEventListener('abort', onStop);
  const rate = new Rate(options.bytesPerSecond);
  const next = async (): Promise<void> => {
    for (let part = work.open.shift(); part; part = work.open.shift()) {
      await comparePart(options, part, ranges, rate, stop, (keys) => {
        work.keys += keys;
        tell();
      });
      work.checked++;
      tell();
    }
  };
  try {
    const workers = Array.from({ length: jobs }, () =>
      next().catch((error: unknown) => {
        failed.abort(error);
        throw error;
      }),
    );
    await Promise.allSettled(workers);
    stop.throwIfAborted();
  } finally {
    stop.removeEventListener('abort', onStop);
    await ranges.close();
  }
}

async function comparePart(
  options: RecoveryOptions,
  begun: Part,
  ranges: Pool<Client>,
  rate: Rate,
  signal: AbortSignal,
  onKeys: (keys: number) => void,
): Promise<void> {
  const { applier, unpaused, rowBytes, bytesPerSecond } = options;
  if (begun.reached === null) {
    const interval = begun.leaf ?? { lower: null, upper: null };
    if (await applier.betweenSettled(() => emptyPart(applier.session, begun.part, interval), unsettled(options))) return;
  }
  const rows = rangeRows(rowBytes, bytesPerSecond);
  for (let part: Part | null = begun; part;) {
    await unpaused(signal);
    await rate.wait(signal);
    signal.throwIfAborted();
    const current: Part = part;
    const outcome = await ranges.use((client) => recoverRange(client, options, current, rows));
    if (outcome.type !== 'compared') {
      await sleep(UNSETTLED_RETRY_MS, undefined, { signal });
      continue;
    }
    rate.spend(outcome.rows * rowBytes);
    onKeys(outcome.suspects);
    part = outcome.reached === null ? null : { ...current, reached: outcome.reached };
  }
}

/** Keeps the touched keys few while ranges are compared. */
async function resyncUntil(options: RecoveryOptions, number: number, over: AbortSignal): Promise<void> {
  const { applier, signal } = options;
  while (!over.aborted) {
    signal.throwIfAborted();
    const keys = await applier.betweenSettled(() => resyncKept(applier.session, number), unsettled(options));
    await sleep(keys > GO_LIVE_KEYS ? 1 : GATHER_MS, undefined, { signal: over }).catch(() => undefined);
  }
}

/** Whether it is over; else there was more to read again, and a later snapshot to be passed. */
async function finish(options: RecoveryOptions, number: number): Promise<boolean> {
  const { applier, desk, migrationId, passed, signal } = options;
  const recovery = await desk.use((client) => fetchRecovery(client, migrationId));
  await passed(recovery?.lastSnapshotLsn ?? 0n);
  if (await applier.betweenSettled(() => finishRecovery(applier.session, number), unsettled(options))) return true;
  while ((await applier.betweenSettled(() => resyncKept(applier.session, number), unsettled(options))) > GO_LIVE_KEYS)
    signal.throwIfAborted();
  return false;
}

function unsettled({ onWaiting }: RecoveryOptions): (xids: readonly string[]) => void {
  return (xids) => {
    onWaiting(`transactions that are committed and not yet visible before a lost slot is recovered: ${xids.slice(0, 5).join(', ')}`);
  };
}
