import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase } from '../support/database.ts';
import { holds, readMigration, until } from '../support/daemon.ts';
import { createEvents, EVENTS, endProcess, startLoad, switchAndCompare } from '../support/events-table.ts';
import { startPartitioner, type Running } from '../support/partitioner.ts';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/demo/embedded-server.ts';
import { DEFAULT_MAJOR, TEST_SETTINGS } from '../support/server.ts';
import { planRound, survive } from './random/rounds.ts';

/** The daemon as a process, and what may happen to it. */

const ROWS = 60_000;

/** TEST_KILLS and TEST_STOPS: more of them; the large run is `npm run faults:random`. TEST_SEED: the same moments again. */
const [KILLS, STOPS] = [Number(process.env['TEST_KILLS'] ?? 16), Number(process.env['TEST_STOPS'] ?? 4)];
const SEED = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);

let server: EmbeddedServer;
beforeAll(async () => {
  server = await startEmbeddedServer({ major: DEFAULT_MAJOR, settings: TEST_SETTINGS });
});
afterAll(async () => {
  await server.stop('immediate');
});

test(`${String(KILLS)} kills of the daemon and ${String(STOPS)} of PostgreSQL at random moments under load: nothing is lost (seed ${String(SEED)})`, async () => {
  const rounds = [0, 1].map((index) => planRound(SEED + index, { kills: Math.ceil(KILLS / 2), stops: Math.ceil(STOPS / 2) }));
  for (const round of rounds) {
    const { wrong, log, kills, stops } = await survive(server, round);
    expect(wrong, `seed ${String(round.seed)}\n${log}`).toEqual([]);
    expect([kills, stops]).toEqual([Math.ceil(KILLS / 2), Math.ceil(STOPS / 2)]);
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
