import {
  mergeLimits,
  mergeStarted,
  type LimitChanges,
  type Pace,
  type ThrottleLimits,
  type ThrottleSample,
} from '../migration/throttle.ts';
import type { Client } from './client.ts';
import { store } from './control-store.ts';

/** The limits that hold. */
export async function fetchLimits(client: Client, migrationId: number): Promise<ThrottleLimits> {
  return (await fetchRow(client, migrationId)).limits;
}

/** What `start` was given: what is new in it changes the limits. */
export async function startLimits(client: Client, migrationId: number, given: LimitChanges): Promise<ThrottleLimits> {
  const { limits, started } = await fetchRow(client, migrationId);
  const merged = mergeStarted(limits, started, given);
  await store(client, 'throttle/save', [migrationId, JSON.stringify(merged), JSON.stringify(given)]);
  return merged;
}

/** The arguments of a `throttle` command. */
export function limitChanges(values: Readonly<Record<string, unknown>>): LimitChanges {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value === null || typeof value === 'number'));
}

/** What `throttle` changes; null takes a limit away. */
export async function changeLimits(client: Client, migrationId: number, changes: LimitChanges): Promise<ThrottleLimits> {
  const merged = mergeLimits((await fetchRow(client, migrationId)).limits, changes);
  await store(client, 'throttle/save', [migrationId, JSON.stringify(merged), null]);
  return merged;
}

export async function storePace(client: Client, migrationId: number, { pace, reasons }: Pace): Promise<void> {
  await store(client, 'throttle/set-pace', [migrationId, pace, reasons]);
}

/** Where the WAL ends, and when: rates come of two of them. */
export interface WalMark {
  readonly wal: number;
  readonly at: number;
}

/** Measures what the limits are about. */
export async function fetchSample(
  client: Client,
  slotName: string,
  before: WalMark | null,
): Promise<{ sample: Omit<ThrottleSample, 'commitMs'>; mark: WalMark }> {
  const [row] = (await store(client, 'throttle/sample', [slotName])) as unknown as {
    replay_lag: number | null;
    unseen_standbys: number;
    sessions: number;
    unseen_sessions: number;
    wal: number;
    slot_bytes: number | null;
    at: number;
  }[];
  const { wal, at } = row!;
  return {
    sample: {
      replayLagMs: row!.replay_lag === null ? null : row!.replay_lag * 1000,
      sessions: row!.sessions,
      walBytesPerSecond: before && at > before.at ? (wal - before.wal) / (at - before.at) : null,
      slotBytes: row!.slot_bytes,
      unseenStandbys: row!.unseen_standbys,
      unseenSessions: row!.unseen_sessions,
    },
    mark: { wal, at },
  };
}

async function fetchRow(client: Client, migrationId: number): Promise<{ limits: ThrottleLimits; started: LimitChanges }> {
  const [row] = await store(client, 'throttle/fetch', [migrationId]);
  return { limits: row?.limits ?? {}, started: row?.started ?? {} };
}
