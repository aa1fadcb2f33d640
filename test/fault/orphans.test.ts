import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { finishLeaf } from '../../src/actions/finish-leaf.ts';
import { quoteIdent } from '../../src/domain/identifier.ts';
import { createDatabase } from '../support/database.ts';
import { command, holds, readMigration, startDaemon, until, untilPhase } from '../support/daemon.ts';
import { createEvents, EVENTS, endProcess, switchAndCompare } from '../support/events-table.ts';
import { leftovers, NO_LEFTOVERS } from '../support/oracle.ts';
import { startPartitioner } from '../support/partitioner.ts';

const AT_ONCE = (): Promise<void> => Promise.resolve();

/** What a killed daemon has left running on the server, and what a server's administrator does to one that takes too much. */

test('the index of a leaf is built by a session that was left behind, while its name is waited for: it is taken as it is', async () => {
  await using database = await createDatabase();
  const [orphan, builder, control] = [await database.client(), await database.client(), await database.client('control')];
  await control.query('create schema app; create table app.leaf (id int)');
  const leaf = { leaf: 0, unit: 0, name: 'leaf', lower: null, upper: null };
  const sql = 'create index leaf_id on app.leaf (id)';
  await orphan.query(`begin; ${sql}`);
  const finished = finishLeaf(builder, 'app', leaf, [{ sql, lock: 'SHARE', why: '', makes: 'leaf_id' }], AT_ONCE);
  finished.catch(() => undefined);
  await until(control, 'it waits', () =>
    holds(control, `exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`),
  );
  await orphan.query('commit');
  await finished;
  expect(await holds(control, `exists (select from pg_index where indexrelid = 'app.leaf_id'::regclass and indisvalid)`)).toBe(true);
  // What is wrong otherwise is told.
  await control.query('create table app.other_id ()');
  const step = { sql: 'create index other_id on app.leaf (id)', lock: 'SHARE', why: '', makes: 'other_id' };
  const wrong = finishLeaf(builder, 'app', leaf, [step], AT_ONCE);
  await expect(wrong).rejects.toMatchObject({ code: '42P07' });
});

test('a slot and a publication that a session made when everything was removed already go with the migration', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 1_000);
  await using daemon = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(control, 'ready');
  const slot = `partitioner_7777_${database.name.slice(-8)}`;
  await control.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
  await control.query(`create publication partitioner_7777; create publication ${quoteIdent('partitioner_of_somebody')}`);
  await command(control, id, 'abort');
  await daemon.ended;
  const left = await leftovers(control);
  expect({ ...left, sessions: [] }).toEqual({ ...NO_LEFTOVERS, publications: ['partitioner_of_somebody'] });
});

/** Heaps that are too small to start with, or to go on with: it depends on the version of Node. */
const HEAPS_MB = process.env['TEST_FAULTS'] === 'all' ? [20, 27] : [20];

test('out of memory: the process dies, and the next one goes on', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const rows = 20_000;
  await createEvents(control, rows);
  const env = { DATABASE_URL: database.url };
  let died = 0;
  for (const heap of HEAPS_MB) {
    const daemon = startPartitioner(['start', ...EVENTS, '--chunk-size', '64kB'], {
      ...env,
      NODE_OPTIONS: `--max-old-space-size=${String(heap)}`,
    });
    const ended = daemon.ended.then(({ stderr }) => stderr.includes('heap out of memory'));
    // More changes than so small a heap can hold objects for.
    for (let flood = 0; flood < 60; flood++) {
      const isOutOfMemory = await Promise.race([ended, sleep(250)]);
      if (isOutOfMemory !== undefined) break;
      if (await holds(control, 'exists (select from partitioner.chunk where done)'))
        await control.query('do $$ begin for i in 1 .. 8 loop update app.events set kind = kind + 1; end loop; end $$');
    }
    await endProcess(daemon);
    if (await ended) died++;
    expect((await readMigration(control))?.failure ?? null).toBeNull();
  }
  expect(died).toBeGreaterThan(0);
  const enough = startPartitioner(['start', ...EVENTS], env);
  try {
    await untilPhase(control, 'ready', 120_000);
    await switchAndCompare(control);
    expect((await enough.ended).code).toBe(0);
  } finally {
    await endProcess(enough);
  }
});
