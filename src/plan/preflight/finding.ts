import type { Severity } from './check-definition.ts';
import { CHECKS, type CheckId } from './registry.ts';

/** What one check found. */
export interface Finding {
  readonly id: string;
  readonly severity: Severity;
  /** The object it is about. */
  readonly object: string;
  /** Actual against needed. */
  readonly message: string;
  readonly detail?: string;
  /** SQL or a setting that mends it. */
  readonly fix?: string;
}

/** A check that looked and found nothing wrong. */
export function passed(id: CheckId, object: string, message: string): Finding {
  return { id, severity: 'ok', object, message };
}

/** Worth knowing; does not keep `start` from starting. */
export function warning(id: CheckId, object: string, message: string, fix: string = CHECKS[id].fix): Finding {
  return { id, severity: 'warning', object, message, detail: CHECKS[id].why, fix };
}

/** Keeps `start` from starting. */
export function blocker(id: CheckId, object: string, message: string, fix: string = CHECKS[id].fix): Finding {
  return { id, severity: 'blocker', object, message, detail: CHECKS[id].why, fix };
}

/** A check whose facts could not be read. */
export function unread(id: CheckId, object: string, reason: string, fix?: string): Finding {
  return {
    id,
    severity: 'warning',
    object,
    message: `not checked that ${CHECKS[id].title}: ${reason}`,
    ...(fix === undefined ? {} : { fix }),
  };
}
