import { setTimeout as sleep } from 'node:timers/promises';
import { outcomeError, sendCommand } from '../../src/actions/command.ts';
import type { CutoverReceipt } from '../../src/actions/cutover-context.ts';
import { createDemoTable, DEMO_TABLE, fillDemoTable } from '../../src/demo/schema.ts';
import { compareWithTruth, takeBaseline, Truth } from '../../src/demo/truth.ts';
import { startWriter } from '../../src/demo/writer.ts';
import { endDaemon, startDaemon, waitForStatus } from '../daemon.ts';
import { note, readFlags, report, round } from '../report.ts';
import { withServer, type BenchServer } from '../server.ts';

// Writes of eight connections during the minute of the switch, against the minute before it: the longest of them, and whether any
// statement failed. Each switch is on a fresh table, which is compared with what the writer knows it wrote.
const { values, out } = readFlags({ cutovers: 20, rate: 500, connections: 8, rows: 20_000, window: 60 });
const NAME = { schema: 'app', name: 'events' };

await withServer(async (server) => {
  const runs = [];
  for (let number = 1; number <= values.cutovers; number++) {
    runs.push(await measure(server, number));
    note(JSON.stringify(runs.at(-1)));
  }
  const longer = runs.map(({ before, during }) => during.longestMs - before.longestMs);
  await report(
    'cutover',
    server.version,
    {
      ...values,
      reach: { longerMs: 250, failed: 0 },
      longerMs: { most: round(Math.max(...longer)), median: round(longer.toSorted((a, b) => a - b)[longer.length >> 1]!) },
      lockHeldMs: round(Math.max(...runs.map(({ lockHeldMs }) => lockHeldMs))),
      failed: runs.reduce((sum, { failed }) => sum + failed, 0),
      differences: runs.reduce((sum, { differences }) => sum + differences, 0),
      runs,
    },
    out,
  );
});

async function measure(server: BenchServer, number: number) {
  const database = `cutover_${number}`;
  const admin = await server.session('postgres');
  await admin.query(`create database ${database}`);
  await admin.query(`create database ${database}_truth`);
  const [client, second, baseline] = [
    await server.session(database),
    await server.session(database),
    await server.session(`${database}_truth`),
  ];
  await createDemoTable(client);
  const { signal } = new AbortController();
  const span = await fillDemoTable([client, second], { rows: values.rows, signal, onProgress: () => undefined });
  await takeBaseline(client, NAME, baseline, signal);

  const truth = new Truth();
  let latencies: number[] = [];
  const { rows, rate, connections } = values;
  const writer = await startWriter({
    settings: server.settings(database),
    connections,
    rate,
    rows,
    span,
    truth,
    onLatency: (ms) => latencies.push(ms),
  });
  const daemon = startDaemon(server.url(database), DEMO_TABLE);
  const { migration } = await waitForStatus(client, daemon, DEMO_TABLE, ({ phase }) => phase === 'ready');
  latencies = [];
  await sleep(values.window * 1000);
  const before = summary(latencies);

  latencies = [];
  const outcome = await sendCommand(
    client,
    migration,
    'cutover',
    { lockTimeoutMs: 200, maxLockHoldMs: 1000, attempts: 60 },
    { waitMs: 600_000 },
  );
  if (!outcome) throw new Error('the daemon ended before the cutover');
  if (!outcome.ok) throw outcomeError(outcome);
  const receipt = outcome.receipt as CutoverReceipt;
  await sleep(values.window * 1000);
  const during = summary(latencies);
  const stats = await writer.stop();
  await endDaemon(daemon);
  for (const failure of stats.failures) note(`failed write: ${failure}`);

  const { differences } = await compareWithTruth(client, NAME, baseline, truth);
  await Promise.all([client, second, baseline].map((session) => session.end()));
  await admin.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1 and not active', [database]);
  for (const name of [database, `${database}_truth`]) await admin.query(`drop database ${name} with (force)`);
  await admin.end();
  const { attempts, lockWaitMs, lockHeldMs, readsBlockedMs } = receipt;
  return { before, during, attempts, lockWaitMs, lockHeldMs, readsBlockedMs, failed: stats.failed, differences };
}

function summary(latencies: readonly number[]): { writes: number; medianMs: number; p99Ms: number; longestMs: number } {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): number => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { writes: sorted.length, medianMs: at(0.5), p99Ms: at(0.99), longestMs: at(1) };
}
