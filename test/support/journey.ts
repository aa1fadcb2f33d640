import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import pino from 'pino';
import { finishMigration } from '../../src/actions/finish.ts';
import { sqlState, type Client } from '../../src/pg/client.ts';
import type { PlanOptions } from '../../src/plan/options.ts';
import type { Load } from './events-table.ts';
import type { TestDatabase } from './database.ts';
import { command, startDaemon, untilPhase } from './daemon.ts';
import { differingRows } from './oracle.ts';

/**
 * When the behaviour of what hangs on the table is looked at: before the migration, while it is ready, right after the switch (what is
 * validated afterwards may not be yet), when the daemon has ended, and when the retired table has been dropped.
 */
export type Moment = 'before' | 'ready' | 'switched' | 'ended' | 'finished';

/** Whether the application works on the partitioned table. */
export function isAfter(moment: Moment): boolean {
  return moment !== 'before' && moment !== 'ready';
}

/** A session of the application, from before the migration to its end: each of its statements is prepared once, and so before the switch. */
export interface Application {
  readonly client: Client;
  readonly run: <R = Record<string, unknown>>(text: string, values?: unknown[]) => Promise<R[]>;
  /** Runs it in a savepoint or by itself, and returns the SQLSTATE of its refusal, or null. */
  readonly refused: (text: string, values?: unknown[]) => Promise<string | null>;
}

export function application(client: Client): Application {
  const run = async <R = Record<string, unknown>>(text: string, values: unknown[] = []): Promise<R[]> => {
    const name = createHash('md5').update(text).digest('hex');
    const { rows } = await client.query<R & Record<string, unknown>>({ name, text, values });
    return rows;
  };
  return {
    client,
    run,
    refused: async (text, values) => {
      try {
        await run(text, values);
        return null;
      } catch (error) {
        return sqlState(error) ?? String(error);
      }
    },
  };
}

export interface Journey {
  readonly plan?: Partial<PlanOptions>;
  readonly look: (application: Application, moment: Moment) => Promise<void>;
  /** When the daemon has ended: what is to be seen of the retired table, by its name. */
  readonly retired?: (application: Application, retired: string) => Promise<void>;
}

const LIMITS = { lockTimeoutMs: 1_000, maxLockHoldMs: 10_000, attempts: 60 };
/** By hand: every journey goes there, back, and there again. */
const RETURNS = process.env['TEST_WAY_BACK'] !== undefined;

const SILENT = pino({ level: 'silent' });

/** Takes `app.events` through a whole migration by the real daemon, beside a writer, and looks at it at every moment. */
export async function travel(database: TestDatabase, { plan = {}, look, retired }: Journey): Promise<void> {
  const control = await database.client();
  const session = application(await database.client('application'));
  await look(session, 'before');
  const load = await startWriter(database);
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 64 * 1024, ...plan });
  const ended = daemon.ended.then(() => 'ended' as const);
  ended.catch(() => undefined);
  const { id, retired_name: name } = await Promise.race([
    untilPhase(control, 'ready'),
    ended.then(() => Promise.reject(new Error('the daemon has ended before it was ready'))),
  ]);
  await look(session, 'ready');
  if (RETURNS) {
    await command(control, id, 'cutover', { ...LIMITS, wayBack: true });
    await look(session, 'switched');
    await command(control, id, 'rollback', LIMITS);
    await Promise.race([
      untilPhase(control, 'ready'),
      ended.then(() => Promise.reject(new Error('the daemon has ended after the rollback'))),
    ]);
    await look(session, 'ready');
  }
  await command(control, id, 'cutover', LIMITS);
  await look(session, 'switched');
  expect(await load.stop(), 'writes').toBeGreaterThan(20);
  await daemon.ended;
  const { rows } = await control.query<{ kind: string; anomalies: string; lost: number }>(
    `select (select relkind from pg_class where oid = 'app.events'::regclass)::text as kind, (select sum(anomalies) from partitioner.position)::text as anomalies,
       (select count(*)::int from app.${name} r where at < '2026-01-03' and not exists (select from app.events e where e.id = r.id)) as lost`,
  );
  expect(rows).toEqual([{ kind: 'p', anomalies: '0', lost: 0 }]);
  await expectSameRows(control, name);
  await retired?.(session, `app.${name}`);
  await look(session, 'ended');
  await finishMigration(database.settings, id, { dropRetired: true }, SILENT);
  await look(session, 'finished');
}

/** The first two days belong to nobody: what lies there is as the source had it. */
async function expectSameRows(client: Client, retired: string): Promise<void> {
  for (const [view, table] of Object.entries({ a: 'events', b: retired }))
    await client.query(`create temp view ${view} as select * from app.${table} where at < '2026-01-03'`);
  const { rows } = await client.query<{ name: string }>(
    `select attname as name from pg_attribute where attrelid = 'app.events'::regclass and attnum > 0 and not attisdropped`,
  );
  const columns = rows.map(({ name }) => name);
  expect(await differingRows(client, { schema: 'pg_temp', name: 'a' }, { schema: 'pg_temp', name: 'b' }, columns)).toEqual([]);
  await client.query('drop view pg_temp.a, pg_temp.b');
}

/**
 * A light writer: tenant 1, rows of its own (kind 0, later than the first two days), inserted, changed, moved and deleted. Any error of it
 * fails the test.
 */
async function startWriter(database: TestDatabase): Promise<Load> {
  const { client, run } = application(await database.client('application'));
  let stopped = false;
  const days = (): string => `${String(4 + Math.floor(Math.random() * 90))} days ${String(Math.random() * 86_000)} seconds`;
  const steps: (() => Promise<unknown>)[] = [
    () => run(`insert into app.events (at, v) values (timestamptz '2026-01-01 00:00:00+00' + $1::interval, 'writer')`, [days()]),
    () => run(`update app.events set v = 'writer again' where id = (select max(id) from app.events where v = 'writer')`),
    () =>
      run(
        `update app.events set at = timestamptz '2026-01-01 00:00:00+00' + $1::interval where id = (select min(id) from app.events where v = 'writer again')`,
        [days()],
      ),
    () => run(`delete from app.events where id = (select min(id) from app.events where v = 'writer again')`),
  ];
  const loop = async (): Promise<number> => {
    let count = 0;
    for (; !stopped; count++) {
      await steps[count % steps.length]!();
      await sleep(10);
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
