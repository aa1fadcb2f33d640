import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { sendCommand, type CommandOutcome } from '../../src/actions/command.ts';
import { runDaemon } from '../../src/daemon/daemon.ts';
import { MigratorError } from '../../src/errors.ts';
import { isConnectionLost, sqlState, type Client } from '../../src/pg/client.ts';
import { DEFAULT_PLAN_OPTIONS } from '../../src/plan/options.ts';
import type { TestDatabase } from './database.ts';
import { commitPrepared, crashServer, reconnect, startDaemonProcess, type Daemon } from './history-faults.ts';
import { dropSlot } from './lost-slot.ts';
import type { Event, History, Step, Transaction } from './history.ts';

/** Errors that writers who collide may get; anything else fails the history. */
const COLLISIONS = new Set(['23505', '40P01', '40001', '55P03', '25P02', '3B001']);

/** What a history ends in: the two tables' names, to be compared, and what the daemon counted. */
export interface Outcome {
  readonly retired: string;
  readonly anomalies: number;
  readonly statements: number;
}

/** Runs a history against a real server and the real daemon, up to and with the cutover. */
export async function runHistory(database: TestDatabase, history: History, verbose = false): Promise<Outcome> {
  let control = await database.client();
  await createTable(control, history);
  const isKilled = history.events.some(({ kind }) => kind === 'kill');
  const daemon = isKilled ? startDaemonProcess(database, history) : startDaemon(database, history, verbose);
  let statements = 0;
  const writers = history.writers.map(async (transactions, writer) => {
    let client = await database.client();
    for (const transaction of transactions) {
      try {
        statements += await write(client, history, transaction, writer);
      } catch (error) {
        if (!isConnectionLost(error)) throw error;
        client = await reconnect(database);
        await commitPrepared(client, `h${writer}_`);
      }
    }
    await client.end();
  });
  const disturbing = disturb(database, history.events, daemon);
  await Promise.all([...writers, disturbing]);
  control = await reconnect(database);
  const migration = await untilReady(control, daemon);
  const outcome = await cutOver(control, migration, daemon);
  if (!outcome.ok) throw new Error(`cutover failed: ${JSON.stringify(outcome)}`);
  await daemon.ended();
  const { rows } = await control.query<{ retired: string; anomalies: string }>(
    'select m.retired_name as retired, p.anomalies::text from partitioner.migration m join partitioner.position p on p.migration = m.id',
  );
  await control.end();
  return { retired: rows[0]!.retired, anomalies: Number(rows[0]!.anomalies), statements };
}

/** A daemon whose connection was cut is back in a moment. */
async function cutOver(control: Client, migration: number, daemon: Daemon): Promise<CommandOutcome> {
  for (;;) {
    if (daemon.failure()) throw daemon.failure() as Error;
    const limits = { lockTimeoutMs: 500, maxLockHoldMs: 5_000, attempts: 60 };
    const outcome = await sendCommand(control, migration, 'cutover', limits, { waitMs: 60_000 }).catch((error: unknown) => {
      if (error instanceof MigratorError && error.code === 'NO_DAEMON') return null; // its connection was cut in the middle
      throw error;
    });
    if (outcome && (outcome.ok || outcome.error.code !== 'WRONG_PHASE')) return outcome;
    const { rows } = await control.query<{ phase: string }>('select phase from partitioner.migration');
    if (rows[0]?.phase === 'switched') return { ok: true };
    await sleep(100);
  }
}

function startDaemon(database: TestDatabase, history: History, verbose: boolean): Daemon {
  let failure: unknown;
  const start = (): { stop: AbortController; running: Promise<void> } => {
    const stop = new AbortController();
    const running = runDaemon({
      settings: database.settings,
      table: 'app.h',
      plan: { ...DEFAULT_PLAN_OPTIONS, range: 'at', every: 'month', premake: 1, unitKind: history.unitKind, chunkBytes: 2_048 },
      jobs: 2,
      http: null,
      signal: stop.signal,
      log: pino({ level: verbose ? 'debug' : 'silent' }, process.stderr),
    });
    running.catch((error: unknown) => (failure ??= error));
    return { stop, running };
  };
  let current = start();
  const restart = async (meanwhile?: () => Promise<void>): Promise<void> => {
    current.stop.abort();
    await current.running;
    await meanwhile?.();
    current = start();
  };
  return {
    restart,
    kill: () => restart(),
    ended: () => current.running,
    failure: () => failure,
  };
}

async function untilReady(control: Client, daemon: Daemon): Promise<number> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    if (daemon.failure()) throw daemon.failure() as Error;
    const { rows } = await control
      .query<{ id: number; phase: string; failure: unknown; waiting: string | null }>(
        'select id, phase, failure, waiting from partitioner.migration',
      )
      .catch(() => ({ rows: [] }));
    if (rows[0]?.phase === 'ready') return rows[0].id;
    if (Date.now() > deadline) throw new Error(`not ready in time: ${JSON.stringify(rows)}`);
    await sleep(50);
  }
}

async function createTable(client: Client, history: History): Promise<void> {
  const type = history.keyType;
  await client.query(`
    create schema app;
    create table app.h (
      gone int, key ${type} not null, v int, at timestamptz not null, note varchar(40), doc text,
      ${history.textColumn ? `acl aclitem default makeaclitem(10, 10, 'SELECT', false),` : ''}
      twice int generated always as (v * 2) stored,
      n int generated always as identity,
      primary key (key${history.keyHoldsPartitionKey ? ', at' : ''})
    );
    alter table app.h drop column gone;
    alter table app.h alter column doc set storage external;
    ${history.keyType === 'text' ? 'alter table app.h alter column key set storage external; alter table app.h set (toast_tuple_target = 128);' : ''}
    ${history.replicaIdentityFull ? 'alter table app.h replica identity full;' : ''}
    create index on app.h (at);
    create index on app.h (v) where v > 3;
    create index on app.h (lower(note));
  `);
  for (let row = 0; row < history.rowsBefore; row++) {
    await client.query(
      `insert into app.h (key, v, at, note, doc) values (${key(history, row % 24)}, $1, ${at(row % 4)}, 'before', $2) on conflict do nothing`,
      [row, doc(row % 3 === 0, row)],
    );
  }
  await client.query('analyze app.h');
}

function key(history: History, n: number): string {
  switch (history.keyType) {
    case 'bigint':
      return String(n);
    case 'numeric':
      return Math.random() < 0.5 ? `${n}.0` : `${n}.00`; // equal, with other bytes
    case 'text':
      return `'k${n}${n % 2 === 0 ? '' : 'k'.repeat(400)}'`; // every second one is stored out of line
    case 'uuid':
      return `'00000000-0000-0000-0000-${String(n).padStart(12, '0')}'`;
  }
}

function at(month: number): string {
  return `timestamptz '2024-01-15 11:22:33.456789+00' + interval '${month} months'`;
}

function doc(toasted: boolean, n: number): string {
  return toasted ? `${n}:`.repeat(1_500) : `${n}`;
}

async function write(client: Client, history: History, transaction: Transaction, writer: number): Promise<number> {
  const gid = `h${writer}_${Math.random().toString(36).slice(2)}`;
  let statements = 0;
  try {
    await client
      .query(`begin; set local lock_timeout = '1s'; set local deadlock_timeout = '1s'`)
      .catch(() => client.query(`rollback; begin; set local lock_timeout = '1s'`));
    for (const step of transaction.steps) {
      statements++;
      await perform(client, history, step);
    }
    if (transaction.end === 'rollback') await client.query('rollback');
    else if (transaction.end === 'prepare' && (await canPrepare(client))) {
      await client.query(`prepare transaction '${gid}'`);
      await sleep(20);
      await client.query(`commit prepared '${gid}'`);
    } else await client.query('commit');
  } catch (error) {
    if (!COLLISIONS.has(sqlState(error) ?? '')) throw error;
    await client.query('rollback');
  }
  return statements;
}

async function canPrepare(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ most: string }>(`select current_setting('max_prepared_transactions') as most`);
  return rows[0]!.most !== '0';
}

let value = 0;

async function perform(client: Client, history: History, step: Step): Promise<void> {
  value++;
  const k = (n: number): string => key(history, n);
  switch (step.kind) {
    case 'insert':
      await client.query(
        `insert into app.h (key, v, at, note, doc) values (${k(step.key)}, $1, ${at(step.month)}, $2, $3) on conflict do nothing`,
        [value, `n${value}`, doc(step.toast, value)],
      );
      return;
    case 'update':
      await client.query(`update app.h set v = $1, note = $2 where key = ${k(step.key)}`, [value, step.key % 4 === 0 ? null : `u${value}`]);
      return;
    case 'update toast':
      await client.query(`update app.h set doc = $1 where key = ${k(step.key)}`, [doc(true, value)]);
      return;
    case 'move':
      await client.query(`update app.h set at = ${at(step.month)}, v = $1 where key = ${k(step.key)}`, [value]);
      return;
    case 'rekey':
      await client.query(
        `update app.h set key = ${k(step.to)} ${step.month === null ? '' : `, at = ${at(step.month)}`} where key = ${k(step.key)}`,
      );
      return;
    case 'swap':
      // Two rows exchange their keys by way of a third: the stream shows three key changes in one transaction.
      await client.query(
        `update app.h set key = ${k(900)} where key = ${k(step.key)}; update app.h set key = ${k(step.key)} where key = ${k(step.to)}; update app.h set key = ${k(step.to)} where key = ${k(900)}`,
      );
      return;
    case 'delete':
      await client.query(`delete from app.h where key = ${k(step.key)}`);
      return;
    case 'delete many':
      await client.query(`delete from app.h where at = ${at(step.month)}`);
      return;
    case 'savepoint':
      await client.query('savepoint s');
      return;
    case 'back to savepoint':
      await client.query('rollback to savepoint s');
      return;
    case 'pause':
      await sleep(step.ms);
  }
}

async function disturb(database: TestDatabase, events: readonly Event[], daemon: Daemon): Promise<void> {
  let control = await database.client();
  for (const { afterMs, kind } of events) {
    await sleep(afterMs);
    switch (kind) {
      case 'restart':
        await daemon.restart();
        break;
      case 'kill':
        await daemon.kill();
        break;
      case 'crash':
        await crashServer(database);
        control = await reconnect(database);
        break;
      case 'cut all':
        await control.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'partitioner%'`,
        );
        break;
      case 'disconnect':
        await control.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'partitioner%' order by random() limit 1`,
        );
        break;
      case 'truncate': {
        const client = await database.client();
        await client.query(`set lock_timeout = '2s'`);
        await client.query('truncate app.h').catch((error: unknown) => {
          if (!COLLISIONS.has(sqlState(error) ?? '')) throw error;
        });
        await client.end();
        break;
      }
      case 'pause':
        await control.query('update partitioner.migration set paused = false').catch(() => undefined);
        break;
      case 'vacuum': {
        const client = await database.client();
        await client.query('vacuum (analyze) app.h');
        await client.end();
        break;
      }
      case 'slot':
        await dropSlot(control);
        break;
      case 'slot while stopped':
        await daemon.restart(async () => {
          await dropSlot(control);
          await sleep(afterMs);
        });
    }
  }
}
