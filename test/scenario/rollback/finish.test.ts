import { expect, test } from 'vitest';
import { createDatabase } from '../../support/database.ts';
import { startDaemon, until } from '../../support/daemon.ts';
import { createEvents } from '../../support/events-table.ts';
import { leftovers, NO_LEFTOVERS } from '../../support/oracle.ts';
import { partitioner } from '../../support/partitioner.ts';
import { expectKind, switchBack, switchOver, untilPhaseOf } from '../../support/way-back.ts';

/** The end, wherever it is asked for. */

test.each(['with its daemon', 'without a daemon'])('finish ends an open way back %s', async (how) => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 500);
  await using daemon = startDaemon(database.settings, 'app.events');
  await switchOver(daemon, control);
  if (how === 'without a daemon') await daemon.stop();
  const finished = await partitioner(['finish', 'app.events'], { DATABASE_URL: database.url });
  expect(finished, finished.stderr).toMatchObject({ code: 0, stderr: '' });
  await daemon.ended;
  const retired = 'app.partitioner_1_retired_events';
  await until(control, 'the sessions end', async () => (await leftovers(control)).sessions.length === 0);
  expect(await leftovers(control)).toEqual({ ...NO_LEFTOVERS, tables: [retired] });
  await control.query(`insert into ${retired} (at, v) values ('2026-01-01', 'nobody refuses it any more')`);
  await expectKind(control, 'p');
});

test('abort after a rollback leaves the table as it was, and a new migration may begin', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 500);
  const env = { DATABASE_URL: database.url };
  await using daemon = startDaemon(database.settings, 'app.events');
  await switchOver(daemon, control);
  await switchBack(control);
  await untilPhaseOf(daemon, control, 'ready');
  expect(await partitioner(['finish', 'app.events'], env)).toMatchObject({ code: 3 });
  expect(await partitioner(['abort', 'app.events'], env)).toMatchObject({ code: 0, stderr: '' });
  await daemon.ended;
  await until(control, 'the sessions end', async () => (await leftovers(control)).sessions.length === 0);
  expect(await leftovers(control)).toEqual(NO_LEFTOVERS);
  await expectKind(control, 'r');
  await using next = startDaemon(database.settings, 'app.events');
  await switchOver(next, control);
  await expectKind(control, 'p');
});

test('without a way back the daemon ends with the cutover, and rollback says why there is none', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 500);
  const env = { DATABASE_URL: database.url };
  await using daemon = startDaemon(database.settings, 'app.events');
  await untilPhaseOf(daemon, control, 'ready');
  expect(
    await partitioner(['cutover', 'app.events', '--no-way-back', '--lock-timeout', '1s', '--max-lock-hold', '10s'], env),
  ).toMatchObject({ code: 0 });
  await daemon.ended;
  const refused = await partitioner(['rollback', 'app.events'], env);
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain('made without one');
  expect(await partitioner(['finish', 'app.events', '--drop-retired'], env)).toMatchObject({ code: 0, stderr: '' });
  expect(await leftovers(control)).toEqual(NO_LEFTOVERS);
});
