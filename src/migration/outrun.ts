import { formatBytes } from '../domain/quantity.ts';

/** Where the stream stood at a moment. */
export interface StreamSample {
  readonly atMs: number;
  /** End of the WAL, and the applied position, in bytes. */
  readonly wal: number;
  readonly applied: number;
}

export interface Outrun {
  readonly walBytesPerSecond: number;
  readonly appliedBytesPerSecond: number;
  readonly lagBytes: number;
}

/** As long as this the lag must have grown. */
export const OUTRUN_MS = 10_000;

/** Whether the WAL has grown faster than it was applied, over the samples' time, with a lag above the limit; null when not. */
export function decideOutrun(samples: readonly StreamSample[], maxLagBytes: number): Outrun | null {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || last.atMs - first.atMs < OUTRUN_MS * 0.9) return null;
  const lagBytes = last.wal - last.applied;
  if (lagBytes <= maxLagBytes || lagBytes <= first.wal - first.applied) return null;
  const seconds = (last.atMs - first.atMs) / 1000;
  return {
    walBytesPerSecond: (last.wal - first.wal) / seconds,
    appliedBytesPerSecond: (last.applied - first.applied) / seconds,
    lagBytes,
  };
}

export function describeOutrun({ walBytesPerSecond, appliedBytesPerSecond, lagBytes }: Outrun): string {
  return `changes come faster than they are applied: ${formatBytes(walBytesPerSecond)}/s of WAL is written, ${formatBytes(appliedBytesPerSecond)}/s applied, ${formatBytes(lagBytes)} behind`;
}
