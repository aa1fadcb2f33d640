import { formatBytes } from '../domain/quantity.ts';

/** Limits that keep the work beside the application's; absent: none. Kept in partitioner.throttle under these names. */
export interface ThrottleLimits {
  /** Milliseconds that the standby which is farthest behind may be. */
  readonly 'max-replay-lag'?: number;
  /** Sessions of others that work at a time. */
  readonly 'max-sessions'?: number;
  /** Bytes of WAL a second, of the whole server. */
  readonly 'max-wal-rate'?: number;
  /** Bytes of WAL that the slot may retain. */
  readonly 'max-slot-wal'?: number;
  /** Bytes of WAL past which the slot is dropped, to save the disk. Not a matter of pace. */
  readonly 'drop-slot-wal'?: number;
  /** Milliseconds that a small commit may take. */
  readonly 'max-commit-latency'?: number;
  /** Bytes that are copied in a second. Not a matter of pace. */
  readonly 'copy-rate'?: number;
}

export type LimitName = keyof ThrottleLimits;

/** `null` takes a limit away. */
export type LimitChanges = Readonly<Partial<Record<LimitName, number | null>>>;

/** What was measured; null: it is not known (yet). */
export interface ThrottleSample {
  readonly replayLagMs: number | null;
  readonly sessions: number;
  readonly walBytesPerSecond: number | null;
  readonly slotBytes: number | null;
  readonly commitMs: number | null;
  /** Standbys and sessions of which the role may not see enough. */
  readonly unseenStandbys: number;
  readonly unseenSessions: number;
}

export interface Pace {
  /** `slow`: half of the time; `hold`: not at all. */
  readonly pace: 'full' | 'slow' | 'hold';
  /** For people, the worst first. */
  readonly reasons: readonly string[];
  /** Limits that hold: they go on holding until there is some room. */
  readonly held: ReadonlySet<LimitName>;
}

export const FULL_PACE: Pace = { pace: 'full', reasons: [], held: new Set() };

/** From this share of a limit on the work is slowed down; below it what was held goes on. */
const NEAR = 0.75;

/** The pace that the limits allow. A limit that is reached holds until three quarters of it are left, so that the work does not stutter. */
export function decidePace(limits: ThrottleLimits, sample: ThrottleSample, before: Pace): Pace {
  const held = new Set<LimitName>();
  const holding: string[] = [];
  const slowing: string[] = [];
  const weigh = (name: LimitName, value: number | null, what: string, format: (value: number) => string): void => {
    const limit = limits[name];
    if (limit === undefined || value === null) return;
    const words = `${what}: ${format(value)}, --${name} ${format(limit)}`;
    if (value > limit || (before.held.has(name) && value > limit * NEAR)) {
      held.add(name);
      holding.push(words);
    } else if (value > limit * NEAR) slowing.push(words);
  };
  const ms = (value: number): string => `${Math.round(value)}ms`;
  const perSecond = (value: number): string => `${formatBytes(value)}/s`;
  weigh('max-slot-wal', sample.slotBytes, 'WAL that the slot retains', formatBytes);
  weigh('max-replay-lag', sample.replayLagMs, 'a standby is behind', ms);
  weigh('max-commit-latency', sample.commitMs, 'a commit takes', ms);
  weigh('max-sessions', sample.sessions, 'sessions that work', String);
  weigh('max-wal-rate', sample.walBytesPerSecond, 'WAL is written', perSecond);
  // What cannot be seen is not under its limit.
  if (limits['max-replay-lag'] !== undefined && sample.unseenStandbys > 0)
    slowing.push(`--max-replay-lag: the state of ${sample.unseenStandbys} standbys is hidden, grant pg_monitor`);
  if (limits['max-sessions'] !== undefined && sample.unseenSessions > 0)
    slowing.push(`--max-sessions: the state of ${sample.unseenSessions} sessions is hidden, grant pg_read_all_stats`);
  return { pace: holding.length > 0 ? 'hold' : slowing.length > 0 ? 'slow' : 'full', reasons: [...holding, ...slowing], held };
}

/** What `start` changes: a flag that it was given before says nothing new, and what `throttle` has set since stays. */
export function mergeStarted(limits: ThrottleLimits, started: LimitChanges, given: LimitChanges): ThrottleLimits {
  const news = Object.entries(given).filter(([name, value]) => started[name as LimitName] !== value);
  return mergeLimits(limits, Object.fromEntries(news));
}

export function mergeLimits(limits: ThrottleLimits, changes: LimitChanges): ThrottleLimits {
  return Object.fromEntries(Object.entries({ ...limits, ...changes }).filter(([, value]) => value !== null));
}
