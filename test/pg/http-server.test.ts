import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Status } from '../../src/actions/status.ts';
import { MigratorError } from '../../src/errors.ts';
import { createMetrics, type Metrics } from '../../src/http/metrics.ts';
import { startHttp, type HttpServer } from '../../src/http/server.ts';

const base: Status = {
  migration: 7,
  source: 'app.events',
  target: 'app.t',
  phase: 'backfill',
  units: { pending: 1, loading: 2, indexing: 3, live: 4, total: 10 },
  rows: { copied: 5, estimated: 50 },
  bytes: { copied: 5, estimated: 50 },
  lag: { bytes: 1024, seconds: 1.5 },
  appliedLsn: '0/1',
  slot: { name: 's', active: true, walStatus: 'reserved', retainedBytes: 2048, safeBytes: null },
  verified: { units: 0, total: 10, at: null, pass: 1, rows: 0, rechecked: 0, differences: 0, tainted: false },
  after: { done: 0, failed: 0, total: 0 },
  recovery: null,
  throttle: { pace: 'full', reasons: [], limits: {} },
  wayBack: null,
  paused: false,
  anomalies: 0,
  waiting: null,
  eta: null,
  daemon: null,
  failure: null,
};

let current: () => Promise<Status>;
let calls = 0;
let metrics: Metrics;
let server: HttpServer;

beforeEach(async () => {
  current = () => Promise.resolve(base);
  calls = 0;
  metrics = createMetrics();
  metrics.setMigration(7);
  server = await startHttp({
    host: '127.0.0.1',
    port: 0,
    metrics,
    status: () => {
      calls++;
      return current();
    },
  });
});

afterEach(() => server.close());

const get = (path: string): Promise<Response> => fetch(`${server.url}${path}`);

describe('the daemon over HTTP', () => {
  it('shows the status, and reads it once for callers of the same moment', async () => {
    const answers = await Promise.all([get('/api/status'), get('/api/status'), get('/api/status')]);
    for (const answer of answers) expect(await answer.json()).toEqual(base);
    expect(calls).toBe(1);
  });

  it('is alive whatever the database does, and ready only when a cutover may be issued', async () => {
    expect((await get('/healthz')).status).toBe(200);
    const unready = await get('/readyz');
    expect([unready.status, await unready.json()]).toEqual([503, { ready: false, phase: 'backfill' }]);
  });

  it.each(['ready', 'cutover', 'switched', 'done'] as const)('is ready in phase %s', async (phase) => {
    current = () => Promise.resolve({ ...base, phase });
    expect((await get('/readyz')).status).toBe(200);
  });

  it('answers 503 without a database, keeps the metrics, and passes no defect on', async () => {
    current = () => Promise.reject(new Error('postgres://u:secret@h'));
    const status = await get('/api/status');
    expect(status.status).toBe(503);
    expect(await status.json()).toEqual({ error: { code: 'POSTGRES', message: 'the status cannot be read at the moment' } });
    expect((await get('/readyz')).status).toBe(503);
    expect((await get('/healthz')).status).toBe(200);
    expect((await get('/metrics')).status).toBe(200);
  });

  it('exports the metrics, each with the migration', async () => {
    metrics.observeBatch(0.03);
    metrics.changesApplied('insert', 5);
    metrics.rowsCopied(50);
    metrics.lockAttempt('timeout');
    const answer = await get('/metrics');
    expect(answer.headers.get('content-type')).toContain('text/plain');
    const lines = (await answer.text()).split('\n');
    for (const line of [
      'partitioner_lag_bytes{migration="7"} 1024',
      'partitioner_lag_seconds{migration="7"} 1.5',
      'partitioner_rows_copied_total{migration="7"} 50',
      'partitioner_changes_applied_total{op="insert",migration="7"} 5',
      'partitioner_changes_applied_total{op="delete",migration="7"} 0',
      'partitioner_units{state="indexing",migration="7"} 3',
      'partitioner_slot_retained_bytes{migration="7"} 2048',
      'partitioner_phase{phase="backfill",migration="7"} 1',
      'partitioner_phase{phase="ready",migration="7"} 0',
      'partitioner_verify_differences{migration="7"} 0',
      'partitioner_apply_batch_seconds_bucket{le="0.05",migration="7"} 1',
      'partitioner_apply_batch_seconds_count{migration="7"} 1',
      'partitioner_lock_attempts_total{outcome="timeout",migration="7"} 1',
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.filter((line) => line !== '' && !line.startsWith('#') && !line.includes('migration="7"'))).toEqual([]);
  });

  it('sends the status as it changes, and ends the stream when it closes', async () => {
    const answer = await get('/api/events');
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    const first = await reader.read();
    expect(first.value).toBe(`event: status\ndata: ${JSON.stringify(base)}\n\n`);
    current = () => Promise.reject(new MigratorError('POSTGRES', 'the connection is gone'));
    let text = '';
    while (!text.includes('event: problem')) text = (await reader.read()).value ?? 'ended';
    expect(text).toContain('the connection is gone');
    await server.close();
    await expect(drain(reader)).resolves.toBeUndefined();
  });

  it('has a page of its own, and nothing else', async () => {
    const page = await get('/');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await page.text()).toContain('api/events');
    expect((await get('/etc/passwd')).status).toBe(404);
    expect((await fetch(`${server.url}/api/status`, { method: 'POST' })).status).toBe(404);
  });

  it('names an address that is taken', async () => {
    const port = Number(new URL(server.url).port);
    await expect(startHttp({ host: '127.0.0.1', port, metrics, status: current })).rejects.toMatchObject({
      code: 'USAGE',
      message: `cannot listen on 127.0.0.1:${port} (EADDRINUSE)`,
      hint: `--http 127.0.0.1:${port + 1}, or --http off`,
    });
  });
});

async function drain(reader: ReadableStreamDefaultReader<string>): Promise<void> {
  while (!(await reader.read().catch(() => ({ done: true }))).done);
}
