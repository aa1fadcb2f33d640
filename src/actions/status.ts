import { tableWord } from '../domain/command-word.ts';
import type { ErrorFields } from '../errors.ts';
import { MigratorError } from '../errors.ts';
import type { Phase } from '../migration/phase.ts';
import type { Pace, ThrottleLimits } from '../migration/throttle.ts';
import type { Client } from '../pg/client.ts';
import { sqlState } from '../pg/client.ts';
import { hasControlSchema } from '../pg/control-store.ts';
import { loadSql } from '../sql/load.ts';
import { DAEMON_LOCK_CLASS } from './command.ts';

/** What `status --json`, `/api/status` and the metrics show of a migration. */
export interface Status {
  readonly migration: number;
  readonly source: string;
  readonly target: string;
  readonly phase: Phase;
  /** `loading` copies or purges, `indexing` builds indexes or resyncs; the four add up to `total`. */
  readonly units: {
    readonly pending: number;
    readonly loading: number;
    readonly indexing: number;
    readonly live: number;
    readonly total: number;
  };
  readonly rows: { readonly copied: number; readonly estimated: number };
  readonly bytes: { readonly copied: number; readonly estimated: number };
  /** How far the applied position is behind the server's WAL; null before the change stream begins and after it has ended. */
  readonly lag: { readonly bytes: number; readonly seconds: number } | null;
  readonly appliedLsn: string | null;
  readonly slot: {
    readonly name: string;
    readonly active: boolean;
    readonly walStatus: string | null;
    /** WAL that the server keeps for the slot. */
    readonly retainedBytes: number;
    /** WAL that may still be written before the slot is in danger; null without max_slot_wal_keep_size. */
    readonly safeBytes: number | null;
  } | null;
  /** Parts (leaves, or the whole table) that were compared with the source in this pass. */
  readonly verified: {
    readonly units: number;
    readonly total: number;
    /** When the last of them was. */
    readonly at: string | null;
    /** Full passes begun. */
    readonly pass: number;
    readonly rows: number;
    /** Keys that changed later and were compared again. */
    readonly rechecked: number;
    /** Keys that differ. Anything but 0 refuses the cutover, until a full pass finds none. */
    readonly differences: number;
    readonly tainted: boolean;
  };
  /** What is left to do once a cutover is committed: validating foreign keys. Failed ones stay NOT VALID. */
  readonly after: { readonly done: number; readonly failed: number; readonly total: number };
  /** A slot was lost, and what may have been missed is looked for; null when none is. `held`: not before `resume`. */
  readonly recovery: {
    readonly since: string;
    readonly reason: string;
    readonly held: boolean;
    /** Leaves, or the whole table, that were compared with the source. */
    readonly compared: number;
    /** Keys that differed, and are read again. */
    readonly keys: number;
  } | null;
  /** The limits that hold, the pace that they allow, and why. */
  readonly throttle: Pick<Pace, 'pace' | 'reasons'> & { readonly limits: ThrottleLimits };
  /** After a cutover: whether `rollback` may come, and if not, why. Null in every other phase. Lag and slot are its own while it is open. */
  readonly wayBack: { readonly open: boolean; readonly reason: string | null } | null;
  readonly paused: boolean;
  /** Updates and deletes that did not hit exactly one row. Anything but 0 stops the cutover. */
  readonly anomalies: number;
  readonly waiting: string | null;
  /** Seconds until everything is copied, at the pace since the backfill began; null when it cannot be told. */
  readonly eta: number | null;
  readonly daemon: { readonly pid: number; readonly host: string; readonly since: string } | null;
  readonly failure: ({ readonly code: string; readonly message: string } & Omit<ErrorFields, 'cause'>) | null;
}

interface StatusRow {
  id: number;
  source: string;
  target: string;
  retired: string;
  phase: Phase;
  paused: boolean;
  waiting: string | null;
  failure: Status['failure'];
  slot_name: string;
  pending: string;
  loading: string;
  indexing: string;
  live: string;
  total: string;
  rows_estimated: string;
  bytes_estimated: string;
  rows_copied: string;
  bytes_copied: string;
  applied_lsn: string | null;
  anomalies: string;
  lag_bytes: string | null;
  lag_seconds: number | null;
  slot_exists: boolean;
  slot_active: boolean | null;
  wal_status: string | null;
  retained_bytes: string | null;
  safe_bytes: string | null;
  daemon_pid: number | null;
  daemon_host: string | null;
  daemon_since: string | null;
  daemon_alive: boolean;
  verify_pass: number | null;
  verify_tainted: boolean;
  differences: number;
  rechecked: string;
  verify_total: number;
  verify_checked: number;
  verify_rows: string;
  verified_at: string | null;
  after_done: number;
  after_failed: number;
  after_total: number;
  copying_seconds: number;
  recovery: Status['recovery'];
  throttle: Status['throttle'] | null;
  way_back_phase: Phase | null;
  way_back_failure: Status['failure'];
}

/** Phases in which a daemon has work to do. */
const NEEDS_DAEMON: ReadonlySet<Phase> = new Set<Phase>(['prepared', 'backfill', 'catchup', 'ready', 'cutover', 'rolled_back']);

/** The newest migration of each table, or of the one named. WRONG_PHASE when there is none. */
export async function fetchStatus(client: Client, table?: string): Promise<Status[]> {
  if (!(await hasControlSchema(client))) throw noMigration(table);
  const { rows } = await client
    .query<StatusRow>(loadSql('status/migrations'), [table ?? null, DAEMON_LOCK_CLASS])
    .catch((error: unknown) => rethrowName(error, table));
  if (rows.length === 0) throw noMigration(table);
  return rows.map(toStatus);
}

/** The error of a verb that finds nothing to act on. */
export function noMigration(table: string | undefined): MigratorError {
  return new MigratorError(
    'WRONG_PHASE',
    table === undefined ? 'there is no migration in this database' : `there is no migration of ${table}`,
    {
      hint: `partitioner start ${table === undefined ? 'TABLE' : tableWord(table)} --range COLUMN --every month`,
    },
  );
}

/** parse_ident raises 22023 on a name that cannot be one: that is the user's mistake, not PostgreSQL's. */
export function rethrowName(error: unknown, table: string | undefined): never {
  if (sqlState(error) !== '22023') throw error;
  throw new MigratorError('USAGE', `"${table ?? ''}" is no table's name`, {
    hint: 'write schema.table, with double quotes where SQL needs them: app."Events"',
    cause: error,
  });
}

function toStatus(row: StatusRow): Status {
  const wayBack = wayBackOf(row);
  const following = NEEDS_DAEMON.has(row.phase) || wayBack?.open === true;
  const copied = Number(row.rows_copied);
  const estimated = Number(row.rows_estimated);
  return {
    migration: row.id,
    source: row.source,
    target: row.target,
    phase: row.phase,
    units: {
      pending: Number(row.pending),
      loading: Number(row.loading),
      indexing: Number(row.indexing),
      live: Number(row.live),
      total: Number(row.total),
    },
    rows: { copied, estimated },
    bytes: { copied: Number(row.bytes_copied), estimated: Number(row.bytes_estimated) },
    lag:
      row.slot_exists && row.lag_bytes !== null && row.lag_seconds !== null
        ? { bytes: Number(row.lag_bytes), seconds: roundTo(row.lag_seconds, 3) }
        : null,
    appliedLsn: row.applied_lsn,
    slot: row.slot_exists
      ? {
          name: row.slot_name,
          active: row.slot_active === true,
          walStatus: row.wal_status,
          retainedBytes: Number(row.retained_bytes ?? 0),
          safeBytes: row.safe_bytes === null ? null : Number(row.safe_bytes),
        }
      : null,
    verified: {
      units: row.verify_checked,
      total: row.verify_total,
      at: row.verified_at,
      pass: row.verify_pass ?? 0,
      rows: Number(row.verify_rows),
      rechecked: Number(row.rechecked),
      differences: row.differences,
      tainted: row.verify_tainted,
    },
    after: { done: row.after_done, failed: row.after_failed, total: row.after_total },
    recovery: row.recovery,
    throttle: throttleOf(row),
    wayBack,
    paused: row.paused,
    anomalies: Number(row.anomalies),
    // What a dead daemon last waited for is stale.
    waiting: row.daemon_alive ? row.waiting : following ? `a daemon: partitioner start ${tableWord(row.source)}` : null,
    eta: row.phase === 'backfill' && row.daemon_alive && !row.paused ? estimateSeconds(copied, estimated, row.copying_seconds) : null,
    daemon:
      row.daemon_alive && row.daemon_pid !== null
        ? { pid: row.daemon_pid, host: row.daemon_host ?? '', since: row.daemon_since ?? '' }
        : null,
    failure: row.failure,
  };
}

/** What a dead daemon was held by is stale. */
function throttleOf({ throttle, daemon_alive: isAlive }: StatusRow): Status['throttle'] {
  const { limits, pace, reasons } = throttle ?? { limits: {}, pace: 'full' as const, reasons: [] };
  return isAlive ? { pace, reasons, limits } : { pace: 'full', reasons: [], limits };
}

function wayBackOf({ phase, way_back_phase: wayBack, way_back_failure: failure }: StatusRow): Status['wayBack'] {
  if (phase !== 'switched') return null;
  if (wayBack === 'ready') return { open: true, reason: null };
  if (wayBack === 'failed') return { open: false, reason: failure?.message ?? 'it failed' };
  return { open: false, reason: wayBack === null ? 'the cutover was made without one' : 'it was ended' };
}

function estimateSeconds(copied: number, estimated: number, elapsedSeconds: number): number | null {
  if (copied === 0 || elapsedSeconds <= 0) return null;
  return Math.round((Math.max(0, estimated - copied) * elapsedSeconds) / copied);
}

function roundTo(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
