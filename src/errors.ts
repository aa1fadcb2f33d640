/**
 * Every error the tool raises on purpose has one of these codes; its comment is the manual.
 * The process exits with the code's number (see EXIT_CODES in the command line's reference).
 */
export const ERROR_CODES = {
  /** A flag, an argument or the configuration file is wrong. Nothing was changed. */
  USAGE: { exit: 1, retry: 'never' },
  /** The command of `--before` failed: the switch was not asked for, nothing was switched. */
  HOOK_REFUSED: { exit: 1, retry: 'manual' },
  /** The command of `--after` failed. The switch is committed, and stays. */
  HOOK_FAILED: { exit: 7, retry: 'never' },
  /** `check` found a blocker. Nothing was changed; each finding says what mends it. */
  PREFLIGHT_REFUSED: { exit: 2, retry: 'manual' },
  /** The verb does not fit the migration's phase, or there is no such migration. */
  WRONG_PHASE: { exit: 3, retry: 'manual' },
  /** PostgreSQL refused a statement or the connection broke. */
  POSTGRES: { exit: 4, retry: 'timed' },
  /** No daemon runs, or it did not answer in time. A command that had not begun was taken back: start the daemon and repeat it. */
  NO_DAEMON: { exit: 3, retry: 'manual' },
  /** A lock or the fence was not reached within its limits; everything was released. Safe to retry. */
  LOCK_NOT_ACQUIRED: { exit: 5, retry: 'timed' },
  /**
   * Everything is live and compared, and what is left passes by itself: the changes are applied too late (`cutover --when-ready` waits for it), keys are
   * still to be repaired, or what a rollback left to do is not done. Safe to retry.
   */
  LAG_TOO_HIGH: { exit: 5, retry: 'timed' },
  /** The slot is gone, lost or ahead of what is applied: changes may be missing. Before the cutover the daemon recovers by itself; after it the way back ends. */
  SLOT_LOST: { exit: 4, retry: 'never' },
  /** There is no way back (any more): it was not wanted, its stream stopped, or its limit was reached. The application goes on with the partitioned table. */
  WAY_BACK_CLOSED: { exit: 3, retry: 'never' },
  /** The source's definition changed while it was migrated. The source is untouched; abort and start again. */
  SOURCE_CHANGED: { exit: 2, retry: 'never' },
  /** Somebody altered, dropped or wrote to the target or a leaf of it. The source is untouched; abort and start again. */
  TARGET_CHANGED: { exit: 2, retry: 'never' },
  /** The change stream brought a row that the target cannot hold (a NULL partition key). */
  ROW_REFUSED: { exit: 2, retry: 'never' },
  /** Source and target differ. */
  DIFFERENCE: { exit: 6, retry: 'never' },
  /** An invariant of the tool does not hold. It stops rather than write a wrong row. Please report it. */
  DEFECT: { exit: 12, retry: 'never' },
} as const satisfies Record<string, { exit: number; retry: 'timed' | 'manual' | 'never' }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorFields {
  readonly detail?: string | undefined;
  /** A command or setting that mends it. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** An expected failure, in PostgreSQL's own triple: message (names the object, actual against needed), detail, hint. */
export class MigratorError extends Error {
  override readonly name = 'MigratorError';
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, { detail, hint, cause }: ErrorFields = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
    this.hint = hint;
  }

  get exitCode(): number {
    return ERROR_CODES[this.code].exit;
  }

  toJSON(): { code: ErrorCode; message: string; detail?: string; hint?: string } {
    return {
      code: this.code,
      message: this.message,
      ...(this.detail === undefined ? {} : { detail: this.detail }),
      ...(this.hint === undefined ? {} : { hint: this.hint }),
    };
  }
}

/** Asserts an invariant, in production too: stops rather than write a wrong row. */
export function invariant(holds: unknown, message: string, detail?: string): asserts holds {
  if (!holds)
    throw new MigratorError('DEFECT', message, { detail, hint: 'This is a defect: keep partitioner.history and the log, and report it.' });
}
