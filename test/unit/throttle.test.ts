import { describe, expect, test } from 'vitest';
import { CopyPace } from '../../src/daemon/copy-chunk.ts';
import { gapsBetween } from '../../src/plan/resync-sql.ts';
import { decideOutrun } from '../../src/migration/outrun.ts';
import { decidePace, FULL_PACE, mergeLimits, mergeStarted, type ThrottleSample } from '../../src/migration/throttle.ts';

const IDLE: ThrottleSample = {
  replayLagMs: null,
  sessions: 0,
  walBytesPerSecond: null,
  slotBytes: null,
  commitMs: null,
  unseenStandbys: 0,
  unseenSessions: 0,
};

describe('the pace', () => {
  test.each([
    [{}, { slotBytes: 1e12, sessions: 1e6 }, 'full', []],
    [{ 'max-slot-wal': 1000 }, { slotBytes: 750 }, 'full', []],
    [{ 'max-slot-wal': 1000 }, { slotBytes: 751 }, 'slow', ['WAL that the slot retains: 751 B, --max-slot-wal 1000 B']],
    [{ 'max-slot-wal': 1000 }, { slotBytes: 1001 }, 'hold', ['WAL that the slot retains: 1001 B, --max-slot-wal 1000 B']],
    [{ 'max-slot-wal': 1000 }, { slotBytes: null }, 'full', []],
    [{ 'max-replay-lag': 500 }, { replayLagMs: 501 }, 'hold', ['a standby is behind: 501ms, --max-replay-lag 500ms']],
    [{ 'max-replay-lag': 500 }, { unseenStandbys: 1 }, 'slow', ['--max-replay-lag: the state of 1 standbys is hidden, grant pg_monitor']],
    [{ 'max-sessions': 8 }, { sessions: 9 }, 'hold', ['sessions that work: 9, --max-sessions 8']],
    [{ 'max-sessions': 8 }, { unseenSessions: 2 }, 'slow', ['--max-sessions: the state of 2 sessions is hidden, grant pg_read_all_stats']],
    [{ 'max-commit-latency': 20 }, { commitMs: 25 }, 'hold', ['a commit takes: 25ms, --max-commit-latency 20ms']],
    [{ 'max-wal-rate': 1024 }, { walBytesPerSecond: 2048 }, 'hold', ['WAL is written: 2.0 kB/s, --max-wal-rate 1.0 kB/s']],
    [
      { 'max-wal-rate': 1024, 'max-sessions': 8 },
      { walBytesPerSecond: 1000, sessions: 9 },
      'hold',
      ['sessions that work: 9, --max-sessions 8', 'WAL is written: 1000 B/s, --max-wal-rate 1.0 kB/s'],
    ],
    [{ 'copy-rate': 1, 'drop-slot-wal': 1 }, { slotBytes: 5 }, 'full', []],
  ])('%j, %j: %s', (limits, measured, pace, reasons) => {
    expect(decidePace(limits, { ...IDLE, ...measured }, FULL_PACE)).toMatchObject({ pace, reasons });
  });

  test('what is held goes on with some room only', () => {
    const limits = { 'max-sessions': 8 };
    const held = decidePace(limits, { ...IDLE, sessions: 9 }, FULL_PACE);
    expect(decidePace(limits, { ...IDLE, sessions: 7 }, held).pace).toBe('hold');
    expect(decidePace(limits, { ...IDLE, sessions: 7 }, FULL_PACE).pace).toBe('slow');
    expect(decidePace(limits, { ...IDLE, sessions: 6 }, held).pace).toBe('full');
  });

  test('a start with the flags of the one before leaves what throttle has set', () => {
    const given = { 'max-sessions': 8, 'copy-rate': 1024 };
    const first = mergeStarted({}, {}, given);
    expect(first).toEqual(given);
    const changed = mergeLimits(first, { 'max-sessions': 4, 'copy-rate': null });
    expect(changed).toEqual({ 'max-sessions': 4 });
    expect(mergeStarted(changed, given, given)).toEqual({ 'max-sessions': 4 });
    expect(mergeStarted(changed, given, { ...given, 'copy-rate': 2048 })).toEqual({ 'max-sessions': 4, 'copy-rate': 2048 });
    expect(mergeStarted(changed, given, { 'max-sessions': null })).toEqual({});
  });
});

test('changes that come faster than they are applied are told with both rates; a short while, or a lag that falls, is none', () => {
  const at = (atMs: number, wal: number, applied: number) => ({ atMs, wal, applied });
  expect(decideOutrun([at(0, 1000, 900), at(10_000, 11_000, 1_900)], 500)).toEqual({
    walBytesPerSecond: 1000,
    appliedBytesPerSecond: 100,
    lagBytes: 9_100,
  });
  expect(decideOutrun([at(0, 1000, 900), at(10_000, 11_000, 1_900)], 10_000)).toBeNull();
  expect(decideOutrun([at(0, 1000, 900), at(5_000, 11_000, 1_900)], 500)).toBeNull();
  expect(decideOutrun([at(0, 10_000, 900), at(10_000, 11_000, 5_000)], 500)).toBeNull();
  expect(decideOutrun([], 500)).toBeNull();
});

describe('a slice', () => {
  test('holds what was copied in the time before, as far as the ceiling allows', () => {
    const pace = new CopyPace(2_000);
    expect(pace.rows(null, 100)).toBeNull();
    expect(pace.rows(1_000_000, 100)).toBe(10_000);
    pace.measured(10_000, 80, 1_000);
    expect(pace.rows(null, 100)).toBe(20_000);
    expect(pace.blocks(null)).toBe(160);
    pace.measured(10_000, 80, 5_000); // slower now
    expect(pace.rows(null, 100)).toBe(12_000);
    expect(pace.rows(100_000, 100)).toBe(1_000);
    expect(pace.blocks(8_192)).toBe(1);
  });
});

test('the gaps between leaves are everything else', () => {
  const leaf = (lower: bigint | null, upper: bigint | null) => ({ lower, upper });
  expect(gapsBetween([])).toEqual([leaf(null, null)]);
  expect(gapsBetween([leaf(null, null)])).toEqual([]);
  expect(gapsBetween([leaf(null, 5n), leaf(5n, 9n)])).toEqual([leaf(9n, null)]);
  expect(gapsBetween([leaf(3n, 5n), leaf(7n, null)])).toEqual([leaf(null, 3n), leaf(5n, 7n)]);
});
