import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createDatabase } from '../support/database.ts';
import { holds, readMigration, until } from '../support/daemon.ts';
import { createEvents, EVENTS, endProcess, startLoad, switchAndCompare } from '../support/events-table.ts';
import { startPartitioner, type Running } from '../support/partitioner.ts';

/** The daemon as a process, and what may happen to it. */

const ROWS = 60_000;

test.each([
  ['leaf', 10],
  ['table', 5],
] as const)('unit %s: killed %i times at any moment under load, and nothing is lost', async (unit, kills) => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const load = await startLoad(database, ROWS);
  const env = { DATABASE_URL: database.url };
  const start = (): Running => startPartitioner(['start', ...EVENTS, '--unit', unit, '--chunk-size', '64kB'], env);
  const log: string[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const daemon = start();
    // In some, the process is hardly up; most are in the middle of a chunk, a purge, an index build, a batch.
    await sleep(900 + Math.random() * 1_500);
    await endProcess(daemon);
    const migration = await readMigration(control);
    log.push(`${migration?.phase ?? 'nothing'} ${daemon.output().stderr.slice(-200)}`);
    expect(migration?.failure ?? null, log.join('\n')).toBeNull();
  }
  const daemon = start();
  try {
    await until(control, 'ready', async () => (await readMigration(control))?.phase === 'ready', 120_000);
    expect(await load.stop()).toBeGreaterThan(100);
    await switchAndCompare(control);
    expect((await daemon.ended).code).toBe(0);
  } finally {
    await endProcess(daemon);
  }
});

test('SIGTERM in the middle drains and ends with 0; the next one goes on where it ended', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const load = await startLoad(database, ROWS);
  const env = { DATABASE_URL: database.url };
  const first = startPartitioner(['start', ...EVENTS, '--chunk-size', '64kB'], env);
  await until(control, 'a chunk', () => holds(control, 'exists (select from partitioner.chunk where done)'));
  first.signal('SIGTERM');
  const asked = Date.now();
  expect(await first.ended).toMatchObject({ code: 0 });
  expect(Date.now() - asked).toBeLessThan(10_000);
  expect(first.output().stdout).toContain('Stopped: app.events');
  expect(
    await holds(
      control,
      `not exists (select from pg_stat_activity where datname = current_database() and application_name like 'partitioner%')`,
    ),
  ).toBe(true);
  expect(await holds(control, '(select count(*) = 0 from partitioner.daemon)')).toBe(true);
  const { rows: before } = await control.query<{ chunk: string }>("select unit || '.' || chunk as chunk from partitioner.chunk where done");

  const second = startPartitioner(['start', 'app.events', '--http', 'off'], env);
  try {
    await until(control, 'ready', async () => (await readMigration(control))?.phase === 'ready', 120_000);
    await load.stop();
    await switchAndCompare(control);
    expect((await second.ended).code).toBe(0);
  } finally {
    await endProcess(second);
  }
  expect(before.length).toBeGreaterThan(0);
});

test('a second daemon stands by, and takes over when the first one is killed', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const load = await startLoad(database, ROWS);
  const env = { DATABASE_URL: database.url };
  const works = (daemon: Running) => () => holds(control, 'exists (select from partitioner.daemon where pid = $1)', [daemon.pid]);
  const first = startPartitioner(['start', ...EVENTS, '--chunk-size', '64kB'], env);
  await until(control, 'the first works', works(first));
  const second = startPartitioner(['start', 'app.events', '--http', 'off'], env);
  try {
    await until(control, 'the second stands by', () => Promise.resolve(second.output().stderr.includes('standing by')));
    await until(control, 'a chunk', () => holds(control, 'exists (select from partitioner.chunk where done)'));
    expect(await works(second)()).toBe(false);
    await endProcess(first);
    await until(control, 'the second works', works(second), 15_000);
    await until(control, 'ready', async () => (await readMigration(control))?.phase === 'ready', 120_000);
    await load.stop();
    await switchAndCompare(control);
    expect((await second.ended).code).toBe(0);
  } finally {
    await endProcess(second);
  }
});
