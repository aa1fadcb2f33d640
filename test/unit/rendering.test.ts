import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/actions/status.ts';
import { statusLine } from '../../src/actions/status-line.ts';
import { redact } from '../../src/cli/redact.ts';
import { renderFindings } from '../../src/cli/render-findings.ts';
import { renderReceipt } from '../../src/cli/render-receipt.ts';

const status: Status = {
  migration: 1,
  source: 'app.events',
  target: 'app.partitioner_1_target_events',
  phase: 'backfill',
  units: { pending: 10, loading: 2, indexing: 2, live: 12, total: 26 },
  rows: { copied: 3_100_000, estimated: 5_000_000 },
  bytes: { copied: 1, estimated: 2 },
  lag: { bytes: 1_258_291, seconds: 0.42 },
  appliedLsn: '0/1',
  slot: { name: 's', active: true, walStatus: 'reserved', retainedBytes: 3_145_728, safeBytes: null },
  verified: { units: 0, total: 26, at: null, pass: 1, rows: 0, rechecked: 0, differences: 0, tainted: false },
  after: { done: 0, failed: 0, total: 0 },
  recovery: null,
  throttle: { pace: 'full', reasons: [], limits: {} },
  wayBack: null,
  paused: false,
  anomalies: 0,
  waiting: null,
  eta: 120,
  daemon: { pid: 1, host: 'h', since: '2026-01-01T00:00:00Z' },
  failure: null,
};

describe('the status line', () => {
  it('tells whether there is a way back', () => {
    const switched = { ...status, phase: 'switched' as const };
    expect(statusLine({ ...switched, wayBack: { open: true, reason: null } })).toContain(', way back open');
    expect(statusLine({ ...switched, wayBack: { open: false, reason: 'it was ended' } })).toContain(', no way back: it was ended');
  });

  it('tells a backfill', () => {
    expect(statusLine(status)).toBe(
      'app.events backfill 12/26 units, 3.1M/5.0M rows (62%), lag 1.2 MB / 0.4 s, slot 3.0 MB retained, 0/26 verified, ETA 2 min',
    );
  });

  it('tells what is wrong', () => {
    const line = statusLine({
      ...status,
      phase: 'failed',
      eta: null,
      anomalies: 2,
      paused: true,
      waiting: 'a lock',
      failure: { code: 'SLOT_LOST', message: 'the slot is gone' },
      slot: { ...status.slot!, walStatus: 'lost' },
    });
    expect(line).toContain('slot 3.0 MB retained (lost), 2 ANOMALIES, paused, failed: the slot is gone, waiting: a lock');
  });

  it('bears an estimate that was too low, and none at all', () => {
    expect(statusLine({ ...status, rows: { copied: 12, estimated: 10 } })).toContain('12/12 rows (100%)');
    expect(statusLine({ ...status, rows: { copied: 0, estimated: 0 }, lag: null, slot: null, eta: null, phase: 'done' })).toBe(
      'app.events done 12/26 units',
    );
  });
});

describe('findings', () => {
  it('come with blockers first, why and the fix', () => {
    const text = renderFindings('app.events', [
      { id: 'primary-key', severity: 'ok', object: 'app.events', message: 'the primary key is (id)' },
      { id: 'publications', severity: 'warning', object: 'publication debezium', message: 'publication debezium would stream the copy' },
      {
        id: 'wal-level',
        severity: 'blocker',
        object: 'wal_level',
        message: 'wal_level is replica, needed logical',
        detail: 'one\ntwo',
        fix: "alter system set wal_level = 'logical';",
      },
    ]);
    expect(text).toBe(`app.events cannot be migrated yet: 1 blocker, 1 warning, 1 passed

BLOCKERS
  wal-level: wal_level is replica, needed logical
      why: one
           two
      fix: alter system set wal_level = 'logical';

WARNINGS
  publications: publication debezium would stream the copy

PASSED
  primary-key`);
    expect(renderFindings('a', [{ id: 'primary-key', severity: 'ok', object: 'a', message: 'the primary key is (id)' }])).toBe(
      'a can be migrated: 0 blockers, 0 warnings, 1 passed\n\nPASSED\n  primary-key: the primary key is (id)',
    );
  });
});

describe('the receipt', () => {
  it('names the lock times, the sequences and the next step', () => {
    const text = renderReceipt({
      source: 'app.events',
      retired: 'app.old',
      attempts: 2,
      lockWaitMs: 12.4,
      lockHeldMs: 31.6,
      readsBlockedMs: 4,
      fenceLsn: '0/1',
      rowsCompared: 7,
      differences: 0,
      sequences: [{ name: 'app.events_id_seq', lastValue: '42' }],
      objects: [{ kind: 'index', name: 'events_pkey', action: 'renamed' }],
      committedAt: '2026-01-01T00:00:00Z',
    });
    expect(text).toContain('attempt 2: waited 12 ms for the lock, held it 32 ms, reads blocked for 4 ms');
    expect(text).toContain('sequence app.events_id_seq goes on after 42');
    expect(text).toContain('partitioner finish app.events');
  });
});

describe('passwords', () => {
  it.each([
    ['postgres://u:secret@h/d', 'postgres://u:***@h/d'],
    ['cannot reach postgresql://u:s%40e:c@h:5432/d?x=1', 'cannot reach postgresql://u:***@h:5432/d?x=1'],
    ['postgres://u:p@/s@s@h/d', 'postgres://u:***@h/d'],
    ['postgres://h/d?password=x&user=u', 'postgres://h/d?password=***&user=u'],
    ['{"url":"postgres://u:x@h/d","to":"a@b"}', '{"url":"postgres://u:***@h/d","to":"a@b"}'],
    ["check (password = 'x')", "check (password = 'x')"],
    ['postgres://u@h/d', 'postgres://u@h/d'],
    ['postgres://USER:PASSWORD@HOST/d', 'postgres://USER:PASSWORD@HOST/d'],
  ])('%s is printed as %s', (text, printed) => expect(redact(text)).toBe(printed));
});
