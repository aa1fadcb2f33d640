import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { outcomeError, sendCommand } from '../actions/command.ts';
import { fetchStatus, type Status } from '../actions/status.ts';
import { statusLine } from '../actions/status-line.ts';
import { createProgressLine } from '../cli/output.ts';
import { onStopSignal } from '../cli/stop-signal.ts';
import { formatCount, formatDuration } from '../domain/quantity.ts';
import { invariant, MigratorError } from '../errors.ts';
import { connect, type Client } from '../pg/client.ts';
import { runCommandLine, type CommandLineProcess } from './command-line.ts';
import { preparePlace } from './place.ts';
import { createDemoTable, DEMO_TABLE, fillDemoTable } from './schema.ts';
import { compareWithTruth, takeBaseline, Truth } from './truth.ts';
import { startWriter, type Writer } from './writer.ts';

export interface DemoOptions {
  readonly rows?: number | undefined;
  /** Row changes a second. */
  readonly rate?: number | undefined;
  /** The writer writes for at least so long before the cutover, and for so long after it. */
  readonly seconds?: number | undefined;
  /** Prints the result alone. */
  readonly json: boolean;
  /** A server to use instead of an embedded one: the demo makes two databases of its own there, and drops them. */
  readonly databaseUrl?: string | undefined;
  readonly log: Logger;
  readonly signal?: AbortSignal;
  readonly out?: NodeJS.WriteStream;
}

/** The demo's last line. */
export interface DemoResult {
  readonly rows: number;
  readonly writes: { readonly inserted: number; readonly updated: number; readonly deleted: number };
  readonly differences: number;
  readonly lockHeldMs: number;
  readonly longestWriteMs: number;
  readonly failedWrites: number;
  readonly seconds: number;
}

const NAME = { schema: 'app', name: 'events' };
const PARTITIONING = [DEMO_TABLE, '--range', 'created_at', '--every', 'month'];
const CONNECTIONS = 4;
const POLL_MS = 500;
/** Off a terminal every line stays. */
const LINE_MS = 2000;
const DAEMON_END_MS = 30_000;
const CUTOVER = { lockTimeoutMs: 200, maxLockHoldMs: 1000, attempts: 60 };

/** Runs the demo and prints its story and result; returns the exit code. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const stop = options.signal ? { signal: options.signal, dispose: () => undefined } : onStopSignal();
  const out = options.out ?? process.stdout;
  const teller = createTeller(out, options.json);
  try {
    const result = await playDemo({ ...options, signal: stop.signal }, teller);
    teller.end();
    out.write(`${JSON.stringify(result)}\n`);
    return result.differences === 0 && result.failedWrites === 0 ? 0 : 6;
  } catch (error) {
    teller.end();
    if (!stop.signal.aborted) throw error;
    return 130; // as shells report an interrupted process
  } finally {
    stop.dispose();
  }
}

/** A live table becomes partitioned under load: everything from the empty server to the comparison with the truth. */
export async function playDemo(options: DemoOptions & { readonly signal: AbortSignal }, teller: Teller): Promise<DemoResult> {
  const { rows = 500_000, rate = 500, seconds = 5, signal, log } = options;
  const begun = performance.now();
  const place = await preparePlace({ databaseUrl: options.databaseUrl, log, tell: teller.tell });
  const clients: Client[] = [];
  let writer: Writer | null = null;
  let daemon: CommandLineProcess | null = null;
  try {
    for (const settings of [place.table, place.table, place.truth]) clients.push(await connect(settings, { applicationName: 'demo' }));
    const [client, second, baseline] = clients as [Client, Client, Client];

    await createDemoTable(client);
    teller.tell(`${DEMO_TABLE}: 50 columns, two secondary indexes, two years; filling in ${formatCount(rows)} rows`);
    const span = await fillDemoTable([client, second], {
      rows,
      signal,
      onProgress: (filled) => teller.progress(`${formatCount(filled)}/${formatCount(rows)} rows`),
    });
    await takeBaseline(client, NAME, baseline, signal);

    const truth = new Truth();
    writer = await startWriter({ settings: place.table, connections: CONNECTIONS, rate, rows, span, truth });
    const writing = performance.now();
    teller.tell(`writing ${rate} changes a second over ${CONNECTIONS} connections`);

    await check(place.tableUrl, teller);
    daemon = runCommandLine(place.tableUrl, ['start', ...PARTITIONING, '--http', 'off', '--json']);
    teller.tell(`partitioner start ${PARTITIONING.join(' ')}: process ${daemon.pid}`);
    const status = await waitUntilReady(client, daemon, { ...options, writer, teller });
    teller.tell(`ready after ${formatDuration((performance.now() - writing) / 1000)}: ${statusLine(status)}`);
    await write(Math.max(0, seconds * 1000 - (performance.now() - writing)), writer, signal, teller);

    const receipt = await cutOver(client, status.migration);
    teller.tell(
      `cutover: lock held for ${Math.round(receipt.lockHeldMs)} ms in attempt ${receipt.attempts}; longest write so far ${Math.round(writer.stats().longestMs)} ms`,
    );
    await write(seconds * 1000, writer, signal, teller);
    const stats = await writer.stop();
    for (const failure of stats.failures) teller.tell(`failed write: ${failure}`);
    await endDaemon(daemon);
    await finish(place.tableUrl);
    const leaves = await countLeaves(client);
    teller.tell(`${DEMO_TABLE} has ${leaves} partitions; comparing it, row by row, with what the writer knows it wrote`);

    const comparison = await compareWithTruth(client, NAME, baseline, truth);
    for (const { kind, id } of comparison.examples) teller.tell(`${kind}: id ${id}`);
    teller.tell(`${formatCount(comparison.rows)} rows compared, ${comparison.differences} differences, ${stats.failed} failed writes`);
    const { inserted, updated, deleted } = stats;
    return {
      rows: comparison.rows,
      writes: { inserted, updated, deleted },
      differences: comparison.differences,
      lockHeldMs: round(receipt.lockHeldMs),
      longestWriteMs: round(stats.longestMs),
      failedWrites: stats.failed,
      seconds: round((performance.now() - begun) / 1000),
    };
  } finally {
    await writer?.stop();
    if (daemon) await endDaemon(daemon);
    await Promise.allSettled(clients.map((client) => client.end()));
    await place.dispose();
  }
}

async function check(databaseUrl: string, teller: Teller): Promise<void> {
  const checked = runCommandLine(databaseUrl, ['check', ...PARTITIONING]);
  const code = await checked.exited;
  if (code !== 0)
    throw new MigratorError(code === 2 ? 'PREFLIGHT_REFUSED' : 'DEFECT', `check ended with exit code ${code}`, {
      detail: outputOf(checked),
    });
  teller.tell(`partitioner check ${PARTITIONING.join(' ')}: passed`);
}

interface Waiting {
  readonly writer: Writer;
  readonly signal: AbortSignal;
  readonly teller: Teller;
}

async function waitUntilReady(client: Client, daemon: CommandLineProcess, { writer, signal, teller }: Waiting): Promise<Status> {
  for (;;) {
    signal.throwIfAborted();
    if (!daemon.isRunning())
      throw new MigratorError('DEFECT', `start ended with exit code ${await daemon.exited}`, { detail: outputOf(daemon) });
    const status = await fetchStatus(client, DEMO_TABLE).then(
      ([first]) => first ?? null,
      (error: unknown) => {
        // Until start has made its schema there is no migration.
        if (error instanceof MigratorError && error.code === 'WRONG_PHASE') return null;
        throw error;
      },
    );
    if (status?.failure)
      throw new MigratorError('DEFECT', `the migration failed: ${status.failure.message}`, { detail: status.failure.detail });
    if (status?.phase === 'ready') return status;
    if (status) teller.progress(`${statusLine(status)}, ${written(writer)}`);
    await sleep(POLL_MS, undefined, { signal });
  }
}

async function write(ms: number, writer: Writer, signal: AbortSignal, teller: Teller): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end;) {
    await sleep(Math.min(POLL_MS, Math.max(1, end - performance.now())), undefined, { signal });
    teller.progress(written(writer));
  }
}

function written(writer: Writer): string {
  const { inserted, updated, deleted, failed, longestMs } = writer.stats();
  return `${inserted + updated + deleted} writes, ${failed} failed, longest ${Math.round(longestMs)} ms`;
}

async function cutOver(client: Client, migration: number): Promise<{ attempts: number; lockHeldMs: number }> {
  const waitMs = CUTOVER.attempts * (CUTOVER.maxLockHoldMs + 10_000);
  const outcome = await sendCommand(client, migration, 'cutover', CUTOVER, { waitMs });
  if (!outcome) throw new MigratorError('NO_DAEMON', 'the daemon ended before the cutover');
  if (!outcome.ok) throw outcomeError(outcome);
  return outcome.receipt as { attempts: number; lockHeldMs: number };
}

/** The daemon ends by itself after the switch. */
async function endDaemon(daemon: CommandLineProcess): Promise<void> {
  const waited = new AbortController();
  const late = sleep(DAEMON_END_MS, undefined, { signal: waited.signal }).then(
    () => daemon.kill(),
    () => undefined,
  );
  if (daemon.isRunning()) daemon.terminate();
  await daemon.exited.catch(() => undefined);
  waited.abort();
  await late;
}

async function finish(databaseUrl: string): Promise<void> {
  const finished = runCommandLine(databaseUrl, ['finish', DEMO_TABLE]);
  const code = await finished.exited;
  if (code !== 0) throw new MigratorError('DEFECT', `finish ended with exit code ${code}`, { detail: outputOf(finished) });
}

async function countLeaves(client: Client): Promise<number> {
  const { rows } = await client.query<{ kind: string; leaves: number }>(
    `select relkind as kind, (select count(*)::integer from pg_inherits where inhparent = c.oid) as leaves from pg_class c where oid = $1::regclass`,
    [DEMO_TABLE],
  );
  invariant(rows[0]?.kind === 'p', `${DEMO_TABLE} is not partitioned after the cutover`);
  return rows[0].leaves;
}

function outputOf(process: CommandLineProcess): string {
  return `${process.stdout()}${process.stderr()}`.trim().split('\n').slice(-20).join('\n');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Tells the story: lines that stay, and between them a line that is drawn over on a terminal. */
export interface Teller {
  readonly tell: (line: string) => void;
  readonly progress: (line: string) => void;
  readonly end: () => void;
}

function createTeller(out: NodeJS.WriteStream, silent: boolean): Teller {
  const line = createProgressLine(out);
  let last = -Infinity;
  return {
    tell(text) {
      if (silent) return;
      line.end();
      out.write(`${text}\n`);
      last = performance.now();
    },
    progress(text) {
      if (silent || (!out.isTTY && performance.now() - last < LINE_MS)) return;
      last = performance.now();
      line.show(text);
    },
    end: () => line.end(),
  };
}
