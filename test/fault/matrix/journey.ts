import { setTimeout as sleep } from 'node:timers/promises';
import { isConnectionLost, type Client as Session } from '../../../src/pg/client.ts';
import { startPartitioner, type Running } from '../../support/partitioner.ts';
import type { TestDatabase } from '../../support/database.ts';
import { createEvents } from '../../support/events-table.ts';
import { startFaultProxy, type FaultProxy, type Statement } from '../../support/fault-proxy.ts';
import { differingRows, leftovers, NO_LEFTOVERS } from '../../support/oracle.ts';
import { startSteadfastWriter } from '../../support/steadfast-writer.ts';
import { keepDaemon, type SteadyDaemon } from './steady-daemon.ts';

/** How far a migration goes: switched and finished; there, back, and there again; taken back while it loads, or when it is ready. */
export type Route = 'there' | 'there and back' | 'abort' | 'abort when ready';

export interface Setting {
  readonly database: TestDatabase;
  readonly route: Route;
  readonly unit: 'leaf' | 'table';
  readonly rows: number;
  /** Between two transactions of the application. */
  readonly writerPauseMs?: number;
  readonly jobs: number;
  /** How often it will be struck: each time takes a while to go on from. */
  readonly strikes: number;
  /** How long each strike may last by itself. */
  readonly outageMs?: number;
  /** Parameters of the connection, `name=value`. */
  readonly parameters?: readonly string[];
  readonly program?: readonly string[] | undefined;
  /** Of the first process only. */
  readonly firstEnv?: Readonly<Record<string, string>>;
  /** The proxy is there and the table, the daemon is not. */
  readonly prepare: (stage: Stage) => void;
  /** Called when it is ready for the first time. */
  readonly onReady?: (stage: Stage) => Promise<void>;
  /** Called when it is switched for the last time. */
  readonly beforeFinish?: () => Promise<void>;
}

export interface Stage {
  readonly proxy: FaultProxy;
  readonly database: TestDatabase;
  daemon: SteadyDaemon | null;
  /** The verb that runs now. */
  verb: Running | null;
}

/** What a journey came to; it has arrived when `wrong` is empty. */
export interface Arrival {
  readonly wrong: readonly string[];
  readonly transactions: number;
  /** How each process of the daemon ended. */
  readonly ends: readonly (number | null)[];
  /** Verbs that were called, with their exit codes. */
  readonly verbs: readonly string[];
  readonly chunks: number;
  /** Chunks whose copy began more often than once, each time. */
  readonly copiedAgain: number;
  /** Transactions of the applier that did not come to their commit. */
  readonly appliedAgain: number;
  readonly seen: readonly Statement[];
  readonly log: string;
}

const TABLE = 'app.events';
/** For a machine with other things to do. */
const WITHIN_MS = 180_000;

/** Takes a table through a migration by real processes, under a writer, over a proxy; every verb again until it has come true. */
export async function travel(setting: Setting): Promise<Arrival> {
  const { database, route, unit, rows, jobs, program } = setting;
  const { host, port } = database.settings.clientConfig as { host: string; port: number };
  await patiently(database, (client) => createEvents(client, rows));
  await using proxy = await startFaultProxy({ host, port });
  const through = (to: number): Record<string, string> => {
    const url = new URL(database.url);
    url.port = String(to);
    for (const parameter of setting.parameters ?? []) url.searchParams.set(...(parameter.split('=') as [string, string]));
    return { DATABASE_URL: url.href };
  };
  const [env, verbEnv] = [through(proxy.ports.daemon), through(proxy.ports.verb)];
  const writer = await startSteadfastWriter(database.settings, setting.writerPauseMs ?? 6);
  const stage: Stage = { proxy, database, daemon: null, verb: null };
  setting.prepare(stage);
  const flags = ['--range', 'at', '--every', 'month', '--premake', '1', '--http', 'off', '--unit', unit, '--chunk-size', '64kB'];
  const daemon = (stage.daemon = keepDaemon(['start', TABLE, ...flags, '--jobs', String(jobs)], env, program, setting.firstEnv));
  const verbs: string[] = [];
  const wrong: string[] = [];
  let chunks = 0;
  const deadline = Date.now() + WITHIN_MS + setting.strikes * (30_000 + (setting.outageMs ?? 0));
  const holds = (expression: string): Promise<boolean> =>
    patiently(database, async (client) => {
      const { rows: found } = await client
        .query<{ holds: boolean | null }>(`select (${expression}) as holds`)
        .catch((error: unknown) => (isMissing(error) ? { rows: [] } : Promise.reject(error as Error)));
      return found[0]?.holds === true;
    });
  const failed = `(select phase = 'failed' from partitioner.migration where reverse_of is null)`;
  const until = async (what: string, expression: string): Promise<void> => {
    while (!(await holds(expression))) {
      if (await holds(failed)) throw new Error(`the migration has failed while it was to be ${what}`);
      if (Date.now() > deadline) throw new Error(`never ${what}`);
      await sleep(80);
    }
  };
  /** Until it has come true: what a fault has cut off is asked for again. */
  const verb = async (name: string, args: readonly string[], done: string): Promise<void> => {
    while (!(await holds(done))) {
      if (Date.now() > deadline) throw new Error(`${name} never came true; ${verbs.join(', ')}`);
      const running = (stage.verb = startPartitioner([name, TABLE, ...args], verbEnv, program));
      const { code, stderr } = await Promise.race([running.ended, expired(deadline, running)]);
      verbs.push(`${name} ${String(code)}`);
      if (code !== 0) verbs.push(stderr.trim().split('\n').slice(-3).join(' | '));
      stage.verb = null;
      if (code !== 0) await sleep(150);
    }
  };
  const switched = `(select relkind = 'p' from pg_class where oid = '${TABLE}'::regclass)`;
  const isReady = `(select phase = 'ready' from partitioner.migration where reverse_of is null)`;
  const gone = `to_regnamespace('partitioner') is null`;
  const cutover = (): Promise<void> =>
    verb('cutover', ['--when-ready', '--attempts', '60', '--lock-timeout', '500ms', '--max-lock-hold', '20s'], switched);
  try {
    if (route === 'abort') await until('loading', `exists (select from partitioner.chunk where done)`);
    else {
      await until('ready', isReady);
      chunks = await patiently(database, countChunks);
      await setting.onReady?.(stage);
    }
    if (route === 'abort' || route === 'abort when ready') {
      // What aborts is the daemon, and the same start again would begin anew: so no other one is started.
      const ended = daemon.last();
      await verb('abort', [], gone);
      await Promise.race([ended, sleep(5_000)]);
    } else {
      await cutover();
      if (route === 'there and back') {
        await verb('rollback', ['--attempts', '60', '--lock-timeout', '500ms', '--max-lock-hold', '20s'], `not ${switched}`);
        await until('ready again', isReady);
        await cutover();
      }
      await setting.beforeFinish?.();
      await writer.pause();
      await until('compared', `(select count(*) = 1 from partitioner.migration where reverse_of is null and phase = 'switched')`);
      const apart = await untilEqual(database, deadline);
      if (apart.length > 0)
        wrong.push(`the retired table differs: ${JSON.stringify(apart)}; ${await patiently(database, describeBookkeeping)}`);
      if (!(await holds('(select sum(anomalies) = 0 from partitioner.position)'))) wrong.push('anomalies were counted');
      const ended = daemon.last();
      await verb('finish', ['--drop-retired'], gone);
      const { code } = await Promise.race([ended, expired(deadline, null)]);
      // Killed after its last commit it has nothing to say any more.
      if (code !== 0 && code !== null) wrong.push(`the daemon ended with ${String(code)}`);
    }
    await daemon.kill();
    await writer.pause();
    const differing = await writer.differing();
    if (differing.length > 0) wrong.push(`${String(differing.length)} rows are not what was written: ${differing.slice(0, 3).join('; ')}`);
    const left = await untilNothingLeft(database);
    if (left !== null) wrong.push(`left behind: ${left}`);
  } catch (error) {
    wrong.push(error instanceof Error ? error.message : String(error));
    wrong.push(await patiently(database, describe).catch(() => ''));
  } finally {
    await daemon.kill();
    stage.verb?.signal('SIGKILL');
  }
  const transactions = await writer.stop().catch((error: unknown) => {
    wrong.push(`the application got an error: ${String(error)}`);
    return 0;
  });
  const begun = proxy.seen.filter(({ session, text }) => session === 'partitioner writer' && text.startsWith('copy ')).length;
  return {
    wrong,
    transactions,
    ends: daemon.ends.map(({ code }) => code),
    verbs,
    chunks,
    copiedAgain: Math.max(0, begun - chunks),
    appliedAgain: countUncommitted(proxy.seen),
    seen: [...proxy.seen],
    log: daemon.output(),
  };
}

/** Of the applier: begun, and not committed. */
function countUncommitted(seen: readonly Statement[]): number {
  const own = seen.filter(({ session }) => session === 'partitioner applier');
  const begun = own.filter(({ text }) => /^begin/.test(text)).length;
  return begun - own.filter(({ text, answer }) => text === 'commit' && answer === 'done').length;
}

async function untilEqual(database: TestDatabase, deadline: number): Promise<object[]> {
  for (;;) {
    const apart = await patiently(database, async (client) => {
      const { rows } = await client.query<{ name: string }>(
        'select retired_name as name from partitioner.migration where reverse_of is null',
      );
      return differingRows(client, { schema: 'app', name: 'events' }, { schema: 'app', name: rows[0]!.name });
    });
    if (apart.length === 0 || Date.now() > deadline) return apart;
    await sleep(100);
  }
}

/** Sessions need a moment to end; everything else is gone with the verb. */
async function untilNothingLeft(database: TestDatabase): Promise<string | null> {
  for (let attempt = 0; ; attempt++) {
    const found = await patiently(database, leftovers);
    // The temporary tables of a crashed session are dropped by autovacuum, in its time.
    const left = { ...found, tables: found.tables.filter((name) => !name.startsWith('pg_temp_')) };
    const text = JSON.stringify(left);
    if (text === JSON.stringify(NO_LEFTOVERS)) return null;
    if (attempt === 100) return text;
    await sleep(100);
  }
}

async function countChunks(client: Session): Promise<number> {
  const { rows } = await client.query<{ chunks: number }>('select count(*)::int as chunks from partitioner.chunk');
  return rows[0]!.chunks;
}

async function describe(client: Session): Promise<string> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select (select json_agg(json_build_object('phase', phase, 'waiting', waiting, 'failure', failure, 'reverse_of', reverse_of)) from partitioner.migration) as migrations,
       (select json_agg(json_build_object('name', application_name, 'state', state, 'event', wait_event, 'query', left(query, 60))) from pg_stat_activity
         where datname = current_database() and application_name like 'partitioner%') as sessions`,
  );
  return JSON.stringify(rows[0]);
}

/** For whoever asks how it came to that. */
async function describeBookkeeping(client: Session): Promise<string> {
  const { rows } = await client.query(
    `select (select jsonb_agg(to_jsonb(c)) from partitioner.command c) as commands,
       (select jsonb_agg(jsonb_build_object('id', m.id, 'of', m.reverse_of, 'phase', m.phase, 'failure', m.failure)) from partitioner.migration m) as migrations,
       (select jsonb_agg(jsonb_build_object('at', h.at, 'event', h.event)) from (select * from partitioner.history order by id desc limit 20) h) as history`,
  );
  return JSON.stringify(rows[0]);
}

const sessions = new WeakMap<TestDatabase, Session>();

/** On one session, and again on another one while the server is away. */
async function patiently<T>(database: TestDatabase, use: (client: Session) => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      let client = sessions.get(database);
      if (!client) sessions.set(database, (client = await database.client()));
      return await use(client);
    } catch (error) {
      sessions.delete(database);
      if (attempt >= 300 || !isConnectionLost(error)) throw error;
      await sleep(100);
    }
  }
}

const stateOf = (error: unknown): string =>
  String((error as { code?: unknown; cause?: { code?: unknown } }).cause?.code ?? (error as { code?: unknown }).code);

function isMissing(error: unknown): boolean {
  return ['42P01', '3F000'].includes(stateOf(error));
}

async function expired(deadline: number, running: Running | null): Promise<never> {
  await sleep(Math.max(0, deadline - Date.now()) + 10_000, undefined, { ref: false });
  running?.signal('SIGKILL');
  throw new Error('a process has not come to its end');
}
