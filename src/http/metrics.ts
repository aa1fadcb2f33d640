import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { LockOutcome } from '../actions/cutover-context.ts';
import type { Status } from '../actions/status.ts';
import type { Phase } from '../migration/phase.ts';

const PHASES: readonly Phase[] = [
  'prepared',
  'backfill',
  'catchup',
  'ready',
  'cutover',
  'switched',
  'rolled_back',
  'done',
  'aborted',
  'failed',
];

export type ChangeOperation = 'insert' | 'update' | 'delete' | 'truncate';

/** The metrics of one daemon. The engine calls the methods; `/metrics` renders the registry. */
export interface Metrics {
  readonly registry: Registry;
  /** The migration that every metric is labelled with from now on. */
  setMigration(id: number): void;
  /** A batch was applied and committed. */
  observeBatch(seconds: number): void;
  changesApplied(operation: ChangeOperation, count: number): void;
  rowsCopied(count: number): void;
  /** One attempt to take the cutover's locks. */
  lockAttempt(outcome: LockOutcome): void;
  /** Moves every gauge to a fresh status. */
  setStatus(status: Status): void;
}

/** Metrics in a registry of their own. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string): Gauge => new Gauge({ name: `partitioner_${name}`, help, registers });

  const batch = new Histogram({
    name: 'partitioner_apply_batch_seconds',
    help: 'Time to apply and commit one batch of changes',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const changes = new Counter({
    name: 'partitioner_changes_applied_total',
    help: 'Changes of the source applied to live leaves',
    labelNames: ['op'],
    registers,
  });
  const copied = new Counter({
    name: 'partitioner_rows_copied_total',
    help: 'Rows copied by the backfill since this daemon began',
    registers,
  });
  const attempts = new Counter({
    name: 'partitioner_lock_attempts_total',
    help: "Attempts to take the cutover's locks",
    labelNames: ['outcome'],
    registers,
  });
  const differences = gauge('verify_differences', 'Keys that differ between source and target; anything but 0 refuses the cutover');
  const verified = gauge('verified_units', 'Leaves, or whole tables, that were compared with the source in this pass');
  const verifiable = gauge('verify_units', 'Leaves, or whole tables, that a full pass compares');
  const verifiedRows = gauge('verified_rows', 'Rows that this pass has compared');
  const rechecked = gauge('verify_rechecked_keys', 'Keys that changed after they were compared, and were compared again');
  const lagBytes = gauge('lag_bytes', 'WAL between the applied position and the end of the WAL');
  const lagSeconds = gauge(
    'lag_seconds',
    'How long changes have been waiting, or the age of the last applied transaction where that is less; 0 when nothing is behind',
  );
  const rowsEstimated = gauge('rows_estimated', 'Rows that the backfill is going to copy, as the statistics tell');
  const rowsDone = gauge('backfill_rows', 'Rows copied by the backfill in its finished chunks, across restarts');
  const retained = gauge('slot_retained_bytes', 'WAL that the server keeps for the slot');
  const safe = gauge('slot_safe_bytes', 'WAL that may still be written before the slot is in danger (max_slot_wal_keep_size)');
  const active = gauge('slot_active', '1 while the slot is read');
  const paused = gauge('paused', '1 while the backfill is paused');
  const anomalies = gauge('anomalies', 'Updates and deletes that did not hit exactly one row; anything but 0 is a defect');
  const wayBack = gauge('way_back_open', '1 while rollback may come, 0 when there is no way back (after a cutover)');
  const units = new Gauge({ name: 'partitioner_units', help: 'Units by state', labelNames: ['state'], registers });
  const phase = new Gauge({
    name: 'partitioner_phase',
    help: '1 for the phase that the migration is in, 0 for the others',
    labelNames: ['phase'],
    registers,
  });

  // A counter that is absent until its first event makes rate() miss that event.
  for (const op of ['insert', 'update', 'delete', 'truncate'] as const) changes.inc({ op }, 0);
  for (const outcome of ['acquired', 'timeout', 'deadlock', 'fence_timeout', 'changed', 'session_lost'] as const)
    attempts.inc({ outcome }, 0);

  return {
    registry,
    setMigration: (id) => {
      registry.setDefaultLabels({ migration: String(id) });
    },
    observeBatch: (seconds) => batch.observe(seconds),
    changesApplied: (op, count) => changes.inc({ op }, count),
    rowsCopied: (count) => copied.inc(count),
    lockAttempt: (outcome) => attempts.inc({ outcome }),
    setStatus: (status) => {
      for (const name of PHASES) phase.set({ phase: name }, status.phase === name ? 1 : 0);
      for (const state of ['pending', 'loading', 'indexing', 'live'] as const) units.set({ state }, status.units[state]);
      rowsEstimated.set(status.rows.estimated);
      rowsDone.set(status.rows.copied);
      wayBack.set(status.wayBack?.open === true ? 1 : 0);
      paused.set(status.paused ? 1 : 0);
      anomalies.set(status.anomalies);
      differences.set(status.verified.differences);
      verified.set(status.verified.units);
      verifiable.set(status.verified.total);
      verifiedRows.set(status.verified.rows);
      rechecked.set(status.verified.rechecked);
      lagBytes.set(status.lag?.bytes ?? 0);
      lagSeconds.set(status.lag?.seconds ?? 0);
      retained.set(status.slot?.retainedBytes ?? 0);
      active.set(status.slot?.active === true ? 1 : 0);
      // No limit is no number: Prometheus spells it +Inf.
      safe.set(status.slot?.safeBytes ?? Number.POSITIVE_INFINITY);
    },
  };
}
