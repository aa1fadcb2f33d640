import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { isDaemonAlive } from '../../src/actions/command.ts';
import { fetchStatus } from '../../src/actions/status.ts';
import type { Client } from '../../src/pg/client.ts';
import type { TestDatabase } from './database.ts';
import { command, until, untilPhase } from './daemon.ts';
import { differingRows } from './oracle.ts';
import type { Running } from './partitioner.ts';

/** Its partitioning, for the command line. */
export const EVENTS = [
  'app.events',
  '--range',
  'at',
  '--every',
  'month',
  '--premake',
  '1',
  '--http',
  'off',
  '--log-level',
  'info',
] as const;

/** `app.events` with rows of six months, about 300 bytes each. */
export async function createEvents(client: Client, rows: number): Promise<void> {
  await client.query(`
    create schema app;
    create table app.events (id bigint generated always as identity primary key, at timestamptz not null, kind int not null default 0, v text, doc text, number serial);
    alter table app.events alter column doc set storage external;
    comment on table app.events is 'what happened';
    comment on column app.events.at is 'when';`);
  await client.query(
    `insert into app.events (at, kind, v, doc) select timestamptz '2026-01-01 00:00:00+00' + n * interval '180 days' / $1::int, n % 10, repeat('v', 200), case when n % 100 = 0 then repeat('d', 4000) end
     from generate_series(1, $1::int) n`,
    [rows],
  );
  await client.query(
    `create index on app.events (at); create index by_kind on app.events (kind, at desc) where kind > 2; analyze app.events`,
  );
}

/** An application that inserts, changes, moves and deletes until it is stopped. */
export interface Load {
  stop(): Promise<number>;
}

export async function startLoad(database: TestDatabase, rows: number): Promise<Load> {
  const client = await database.client('application');
  let stopped = false;
  const id = (): number => 1 + Math.floor(Math.random() * rows);
  const steps: (() => [string, unknown[]])[] = [
    () => [`insert into app.events (at, kind, v) values (timestamptz '2026-01-01 00:00:00+00' + $1::interval, 1, 'new')`, [days()]],
    () => [`update app.events set kind = kind + 1 where id = $1`, [id()]],
    () => [`update app.events set v = 'changed', doc = case when id % 2 = 0 then repeat('t', 3000) else doc end where id = $1`, [id()]],
    () => [`update app.events set at = timestamptz '2026-01-01 00:00:00+00' + $1::interval where id = $2`, [days(), id()]],
    () => [`delete from app.events where id = $1`, [id()]],
    () => [`update app.events set kind = kind + 1 where id between $1 and $1 + 20`, [id()]],
  ];
  const loop = async (): Promise<number> => {
    let count = 0;
    for (; !stopped; count++) {
      const [text, values] = steps[Math.floor(Math.random() * steps.length)]!();
      await client.query(text, values);
      await sleep(3);
    }
    return count;
  };
  const done = loop();
  done.catch(() => undefined);
  return {
    stop: async () => {
      stopped = true;
      const count = await done;
      await client.end();
      return count;
    },
  };
}

function days(): string {
  return `${String(Math.floor(Math.random() * 200))} days`;
}

/** Waits for ready, switches over, and compares every row of the two tables. */
export async function switchAndCompare(control: Client): Promise<void> {
  const { id, retired_name: retired } = await untilPhase(control, 'ready', 120_000);
  // The phase is written once a second: a pass that has begun since is not in it.
  await until(control, 'everything compared', async () => {
    const status = (await fetchStatus(control)).find(({ migration }) => migration === id);
    return status?.phase === 'ready' && status.verified.units >= status.verified.total;
  });
  // The phase may be what a daemon wrote that was killed; the one that follows takes the command once it has its lock.
  // One whose session was just cut ends before it takes any.
  for (let attempt = 1; ; attempt++) {
    await until(control, 'a daemon that takes commands', () => isDaemonAlive(control, id));
    try {
      await command(control, id, 'cutover', { lockTimeoutMs: 500, maxLockHoldMs: 5_000, attempts: 60 });
      break;
    } catch (error) {
      if (attempt === 5 || !(error instanceof Error) || error.message !== 'cutover: null') throw error;
    }
  }
  expect(await differingRows(control, { schema: 'app', name: 'events' }, { schema: 'app', name: retired })).toEqual([]);
  const { rows } = await control.query<{ anomalies: string; kind: string }>(
    `select (select sum(anomalies) from partitioner.position)::text as anomalies, (select relkind from pg_class where oid = 'app.events'::regclass)::text as kind`,
  );
  expect(rows[0]).toEqual({ anomalies: '0', kind: 'p' });
}

/** Ends a process whatever the test came to. */
export async function endProcess(daemon: Running): Promise<void> {
  daemon.signal('SIGKILL');
  await daemon.ended;
}
