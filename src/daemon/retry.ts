import { ERROR_CODES, MigratorError } from '../errors.ts';
import { sqlState, toMigratorError } from '../pg/client.ts';

/**
 * Classes and codes of SQLSTATE that pass by themselves: connections, resources, shutdowns, conflicts, locks; and a server that is read-only, to which a
 * name may lead for a while after a failover.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const TRANSIENT = /^(08|53|40|57P0|58|55P03|55006|57014|25006|25P0[34]|XX00[12])/;

/** Programming errors of JavaScript: never a matter of time. */
const DEFECTS = [TypeError, RangeError, ReferenceError, SyntaxError, EvalError];

/** `timed` starts the daemon's work again, `manual` ends it so that the same command can go on, `never` fails the migration. */
export type Retry = 'timed' | 'manual' | 'never';

/** The error as one of ours: a programming error is a DEFECT, whatever it was doing. */
export function explainError(error: unknown): MigratorError {
  if (!(error instanceof MigratorError) && decideRetry(error) === 'never') {
    return new MigratorError('DEFECT', error instanceof Error ? `${error.name}: ${error.message}` : String(error), {
      detail: error instanceof Error ? error.stack : undefined,
      hint: 'This is a defect: keep partitioner.history and the log, and report it.',
      cause: error,
    });
  }
  return toMigratorError(error, 'the daemon');
}

/** What to do about an error of the running daemon; by SQLSTATE and code, never by its words. */
export function decideRetry(error: unknown): Retry {
  const state = sqlState(error);
  if (error instanceof MigratorError && error.code !== 'POSTGRES') return ERROR_CODES[error.code].retry;
  if (state !== undefined) return TRANSIENT.test(state) ? 'timed' : 'manual';
  return DEFECTS.some((type) => error instanceof type || (error instanceof Error && error.cause instanceof type)) ? 'never' : 'timed';
}
