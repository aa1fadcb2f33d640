import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { HAS } from '../support/cutover-stage.ts';
import { createDatabase } from '../support/database.ts';
import { holds, until, untilPhase } from '../support/daemon.ts';
import { createEvents, EVENTS, endProcess, startLoad, switchAndCompare } from '../support/events-table.ts';
import { startPartitioner, type Running } from '../support/partitioner.ts';

/** The daemon killed, or stopped without a word, in the middle of a cutover. */

const ROWS = 5_000;

test('killed while it holds the lock: writers go on, the table is as it was, and the next daemon switches', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const env = { DATABASE_URL: database.url };
  const first = startPartitioner(['start', ...EVENTS], env);
  await untilPhase(control, 'ready');
  const reader = await database.client('reader');
  await reader.query('begin; select count(*) from app.events');
  const cutover = startPartitioner(['cutover', 'app.events', '--no-way-back', '--lock-timeout', '60s', '--max-lock-hold', '60s'], env);
  await until(control, 'it holds the lock', () => holds(control, HAS, ['ShareRowExclusiveLock']));
  const writer = await database.client('writer');
  const waiting = writer.query(`insert into app.events (at, v) values (now(), 'waited')`);
  await endProcess(first);
  await waiting;
  expect(await cutover.ended).toMatchObject({ code: 3, stdout: '' });
  expect(cutover.output().stderr).toContain('the daemon ended while it performed');
  expect(await holds(control, `(select relkind = 'r' from pg_class where oid = 'app.events'::regclass)`)).toBe(true);
  await reader.query('commit');
  const second = startPartitioner(['start', 'app.events', '--http', 'off'], env);
  try {
    await until(control, 'the second works', () => holds(control, 'exists (select from partitioner.daemon where pid = $1)', [second.pid]));
    await until(control, 'the command of the first is answered', () =>
      holds(control, `not exists (select from partitioner.command where started_at is not null and finished_at is null)`),
    );
    await switchAndCompare(control);
    expect((await second.ended).code).toBe(0);
  } finally {
    await endProcess(second);
  }
});

test('killed at any moment of a cutover under load: before or after, and the command line says which', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const load = await startLoad(database, ROWS);
  const env = { DATABASE_URL: database.url };
  let daemon: Running | null = null;
  try {
    for (let kill = 0; ; kill++) {
      daemon = startPartitioner(kill === 0 ? ['start', ...EVENTS] : ['start', 'app.events', '--http', 'off'], env);
      const { pid } = daemon;
      await until(control, 'the daemon works', () => holds(control, 'exists (select from partitioner.daemon where pid = $1)', [pid]));
      await untilPhase(control, 'ready', 120_000);
      const cutover = startPartitioner(['cutover', 'app.events', '--no-way-back', '--when-ready', '--json'], env);
      // After some kills it may come to its end.
      if (kill < 4) {
        await until(control, 'it has begun', () =>
          holds(
            control,
            `exists (select from partitioner.command where started_at is not null and finished_at is null) or (select phase = 'switched' from partitioner.migration)`,
          ),
        );
        await sleep(Math.random() * 900);
        await endProcess(daemon);
      }
      const { code } = await cutover.ended;
      const switched = await holds(control, `(select relkind = 'p' from pg_class where oid = 'app.events'::regclass)`);
      expect(await holds(control, `(select (phase = 'switched') = $1 from partitioner.migration)`, [switched])).toBe(true);
      expect(code, `kill ${String(kill)}`).toBe(switched ? 0 : 3);
      if (switched) break;
    }
    expect(await load.stop()).toBeGreaterThan(50);
    const last = startPartitioner(['start', 'app.events', '--http', 'off'], env);
    await Promise.race([last.ended, sleep(5_000)]);
    await endProcess(last);
    const finished = await startPartitioner(['finish', 'app.events'], env).ended;
    expect(finished.code).toBe(0);
  } finally {
    if (daemon) await endProcess(daemon);
  }
});

test('stopped without a word while it holds the lock: the server takes the lock away, and the cutover goes on when the process does', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const env = { DATABASE_URL: database.url };
  const daemon = startPartitioner(['start', ...EVENTS], env);
  try {
    await untilPhase(control, 'ready');
    const reader = await database.client('reader');
    await reader.query('begin; select count(*) from app.events');
    const cutover = startPartitioner(['cutover', 'app.events', '--no-way-back', '--lock-timeout', '2s', '--max-lock-hold', '2s'], env);
    await until(control, 'it holds the lock', () => holds(control, HAS, ['ShareRowExclusiveLock']));
    daemon.signal('SIGSTOP');
    const writer = await database.client('writer');
    await writer.query(`insert into app.events (at, v) values (now(), 'waited')`);
    expect(await holds(control, HAS, ['ShareRowExclusiveLock'])).toBe(false);
    daemon.signal('SIGCONT');
    await reader.query('commit');
    expect(await cutover.ended).toMatchObject({ code: 0 });
    expect((await daemon.ended).code).toBe(0);
    expect(await holds(control, `(select count(*) = 1 from app.events where v = 'waited')`)).toBe(true);
  } finally {
    daemon.signal('SIGCONT');
    await endProcess(daemon);
  }
});
