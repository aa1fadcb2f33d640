export type Severity = 'ok' | 'warning' | 'blocker';

/** One check as the reference describes it. */
export interface CheckDefinition {
  /** The worst that it can find; a check whose worst is `ok` only tells what becomes of something. */
  readonly worst: Severity;
  /** What holds when it passes. */
  readonly title: string;
  readonly why: string;
  readonly fix: string;
}
