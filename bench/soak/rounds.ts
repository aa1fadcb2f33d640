import { setTimeout as sleep } from 'node:timers/promises';
import { fetchStatus } from '../../src/actions/status.ts';
import type { CutoverReceipt } from '../../src/actions/cutover-context.ts';
import { createDemoTable, DEMO_TABLE, fillDemoTable } from '../../src/demo/schema.ts';
import { compareWithTruth, takeBaseline, Truth } from '../../src/demo/truth.ts';
import { startWriter } from '../../src/demo/writer.ts';
import type { Client } from '../../src/pg/client.ts';
import type { ConnectionSettings } from '../../src/pg/connection.ts';

/** A migration of a small table that takes longer than this will not come to it. */
const READY_WITHIN_MS = 180_000;

const NAME = { schema: 'app', name: 'events' };

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SoakOptions {
  readonly settings: ConnectionSettings;
  /** A session of the database that is migrated over and over, and one of another database, for the truth. */
  readonly client: Client;
  readonly baseline: Client;
  /** Starts `partitioner …` as a process. */
  readonly start: (args: readonly string[]) => { readonly ended: Promise<Ended>; readonly kill: () => void };
  readonly cutovers: number;
  readonly rows: number;
  readonly rate: number;
  readonly connections: number;
  readonly onRound?: (round: Round) => void;
}

export interface Round {
  readonly round: number;
  readonly writes: number;
  readonly failed: number;
  readonly failures: readonly string[];
  readonly differences: number;
  /** Of the writes from just before the cutover until after finish. */
  readonly longestWriteMs: number;
  readonly attempts: number;
  readonly lockHeldMs: number;
  readonly readsBlockedMs: number;
}

/**
 * One table, partitioned again and again under writing connections: start, ready, cutover, finish, each by the command line. After each round it is compared with what
 * the writers know, then made plain again by PostgreSQL's own statements. So one truth covers all rounds: a row that the third of them harmed is still missed
 * in the last, and sequence, dropped columns and names go on from round to round as they would not with a fresh table each time.
 */
export async function soak(options: SoakOptions): Promise<readonly Round[]> {
  const { client, baseline, rows } = options;
  const { signal } = new AbortController();
  await createDemoTable(client);
  const span = await fillDemoTable([client], { rows, signal, onProgress: () => undefined });
  await client.query('create table app.blank (like app.events including all)');
  await takeBaseline(client, NAME, baseline, signal);
  const truth = new Truth();
  const rounds: Round[] = [];
  for (let round = 1; round <= options.cutovers; round++) {
    const { settings, connections, rate } = options;
    const writer = await startWriter({ settings, connections, rate, rows, span, truth });
    const receipt = await partition(options, () => {
      writer.resetLongest();
    });
    const { inserted, updated, deleted, failed, failures, longestMs } = await writer.stop();
    const { differences } = await compareWithTruth(client, NAME, baseline, truth);
    await makePlain(client);
    const { attempts, lockHeldMs, readsBlockedMs } = receipt;
    const writes = inserted + updated + deleted;
    rounds.push({
      round,
      writes,
      failed,
      failures,
      differences,
      longestWriteMs: Math.round(longestMs),
      attempts,
      lockHeldMs,
      readsBlockedMs,
    });
    options.onRound?.(rounds.at(-1)!);
  }
  return rounds;
}

/** From start to finish. */
async function partition({ client, start }: SoakOptions, onReady: () => void): Promise<CutoverReceipt> {
  const run = async (...args: string[]): Promise<Ended> => {
    const ended = await start(args).ended;
    if (ended.code !== 0) throw new Error(`partitioner ${args.join(' ')}: exit code ${String(ended.code)}: ${ended.stdout}${ended.stderr}`);
    return ended;
  };
  const daemon = start([
    'start',
    DEMO_TABLE,
    '--range',
    'created_at',
    '--every',
    'month',
    '--premake',
    '1',
    '--http',
    'off',
    '--json',
    '--log-level',
    'warn',
  ]);
  try {
    for (const deadline = Date.now() + READY_WITHIN_MS; !(await isReady(client));) {
      if (Date.now() > deadline) throw new Error(`not ready: ${JSON.stringify(await fetchStatus(client))}`);
      const ended = await Promise.race([daemon.ended, sleep(50)]);
      if (ended !== undefined) throw new Error(`the daemon ended: ${JSON.stringify(ended)}`);
    }
    onReady();
    const switched = await run('cutover', DEMO_TABLE, '--json', '--when-ready');
    await run('finish', DEMO_TABLE, '--drop-retired');
    const { code, stdout, stderr } = await daemon.ended;
    if (code !== 0) throw new Error(`the daemon ended with ${String(code)}: ${stdout}${stderr}`);
    return JSON.parse(switched.stdout) as CutoverReceipt;
  } finally {
    daemon.kill();
    await daemon.ended;
  }
}

async function isReady(client: Client): Promise<boolean> {
  const { rows } = await client
    .query<{ phase: string; failure: unknown }>('select phase, failure from partitioner.migration')
    .catch(() => ({ rows: [] }));
  if (rows[0]?.phase === 'failed') throw new Error(`the migration failed: ${JSON.stringify(rows[0].failure)}`);
  return rows[0]?.phase === 'ready';
}

/** The partitioned table's rows in a table as it was in the beginning, under the same name, with the same sequence. */
async function makePlain(client: Client): Promise<void> {
  const { rows } = await client.query<{ columns: string }>(
    `select string_agg(quote_ident(attname), ', ' order by attnum) as columns from pg_attribute
     where attrelid = 'app.blank'::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
  );
  const columns = rows[0]!.columns;
  await client.query(`
    begin;
    create table app.plain (like app.blank including all);
    insert into app.plain (${columns}) select ${columns} from app.events;
    alter sequence app.events_id_seq owned by app.plain.id;
    drop table app.events;
    alter table app.plain rename to events;
    commit`);
  await client.query('vacuum (analyze) app.events');
}
