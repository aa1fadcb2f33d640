export type Severity = 'ok' | 'warning' | 'blocker';

/** One check as the reference describes it. */
export interface CheckDefinition {
  /** The worst that it can find. */
  readonly worst: Exclude<Severity, 'ok'>;
  /** What holds when it passes. */
  readonly title: string;
  readonly why: string;
  readonly fix: string;
}
