import type { Blocker } from '../domain/blocker.ts';
import type { Lsn } from '../domain/lsn.ts';
import type { SourceTable } from '../domain/table.ts';
import type { ConnectionSettings } from '../pg/connection.ts';
import type { Migration } from '../pg/control-store.ts';
import type { MigrationPlan } from '../plan/migration-plan.ts';
import type { SwapDirection } from './swap-direction.ts';
import type { Verification } from './verify-changes.ts';

/** Names and meanings are fixed by the interface; kept in partitioner.migration.receipt. */
export interface CutoverReceipt {
  readonly migration: number;
  readonly source: string;
  readonly target: string;
  readonly retired: string;
  readonly attempts: number;
  /** From asking for the first lock to holding it, in the attempt that succeeded. */
  readonly lockWaitMs: number;
  /** How long writes waited for us: from holding the first lock to the commit. */
  readonly lockHeldMs: number;
  /** How long reads waited for us: from asking for ACCESS EXCLUSIVE to the commit. */
  readonly readsBlockedMs: number;
  readonly fenceLsn: string;
  readonly rowsCompared: number;
  readonly differences: number;
  readonly sequences: readonly { readonly name: string; readonly lastValue: string | null }[];
  readonly objects: readonly { readonly kind: string; readonly name: string; readonly action: string }[];
  readonly startedAt: string;
  /** Null of a rehearsal. */
  readonly committedAt: string | null;
  /** It was a rehearsal: everything was done, and rolled back. */
  readonly dryRun?: true;
}

export interface CutoverLimits {
  /** Milliseconds that one lock is waited for, and so the longest that statements queue behind us before we hold anything. */
  readonly lockTimeoutMs: number;
  /** Milliseconds from the first lock to the commit; past it everything is released. */
  readonly maxLockHoldMs: number;
  readonly attempts: number;
}

export interface CutoverContext {
  readonly settings: ConnectionSettings;
  readonly migration: Migration & { readonly plan: MigrationPlan };
  readonly table: SourceTable;
  readonly limits: CutoverLimits;
  readonly direction: SwapDirection;
  /** Everything up to the commit, and then back. */
  readonly dryRun: boolean;
  /** Resolves when the applied position is at or past the LSN. */
  readonly passed: (lsn: Lsn) => Promise<void>;
  readonly verification: Verification;
  /** Runs while the verification compares nothing: its sessions would be in the way. */
  readonly quietly: <T>(run: () => Promise<T>) => Promise<T>;
  /** Compares keys that changed, until few are left for the proof under the lock. */
  readonly catchUp: () => Promise<void>;
  /** Throws when the applier's state forbids the switch: units not live, repair keys, anomalies. */
  readonly assertProven: () => void;
  /** The same before the lock, when what is missing is a matter of moments it is waited for. */
  readonly untilProven: () => Promise<void>;
  readonly onAttempt: (outcome: LockOutcome) => void;
  /** Before anything is compared again: the names are others now. */
  readonly onSwitched: () => void;
  readonly onWaiting: (what: string | null) => void;
  readonly signal: AbortSignal;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}

/** How it ended; what is no success has released everything. */
export type Attempt =
  | { readonly type: 'switched'; readonly receipt: CutoverReceipt }
  | { readonly type: 'lock_timeout' | 'hold_limit' | 'deadlock' | 'changed' | 'session_lost'; readonly blockers: readonly Blocker[] };

/** How one attempt at the locks ended, as the metrics name it. */
export type LockOutcome = 'acquired' | 'timeout' | 'deadlock' | 'fence_timeout' | 'changed' | 'session_lost';
