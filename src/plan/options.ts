/** What a migration is asked for; kept in partitioner.migration.options. */
export interface PlanOptions {
  /** The partition key's column. */
  readonly range: string;
  /** `month`, `2 weeks`, `10000000`: see parseEvery. */
  readonly every: string;
  /** Lower bound of the first leaf: what lies before it goes into one edge leaf from MINVALUE. */
  readonly from?: string;
  /** Leaves ahead of now (or of the greatest value). */
  readonly premake: number;
  /** Overrides what the statistics say. */
  readonly unitKind?: 'leaf' | 'table';
  /** What the user has decided, by `KIND:NAME`: see plan/decisions.ts. */
  readonly decisions?: Readonly<Record<string, string>>;
  /** Bytes of the source that one chunk reads, about. */
  readonly chunkBytes: number;
}

/**
 * A chunk of 128 MB is copied in one to three seconds: long enough that its snapshot and its two transactions cost nothing,
 * short enough to hold back neither VACUUM nor a pause, and little to lose when the daemon dies in it.
 */
export const DEFAULT_PLAN_OPTIONS = { every: 'month', premake: 3, chunkBytes: 128 * 1024 * 1024 } as const satisfies Partial<PlanOptions>;
