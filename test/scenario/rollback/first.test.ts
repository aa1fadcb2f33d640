import { expect, test } from 'vitest';
import { createDatabase } from '../../support/database.ts';
import { command, readMigration, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { createEvents, startLoad } from '../../support/events-table.ts';
import { differingRows } from '../../support/oracle.ts';

const LIMITS = { lockTimeoutMs: 500, maxLockHoldMs: 5_000, attempts: 60, wayBack: true };

test('there and back again', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 5_000);
  const load = await startLoad(database, 5_000);
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 256 * 1024 });
  const ended = daemon.ended.then(() => Promise.reject(new Error('the daemon has ended')));
  ended.catch(() => undefined);
  const { id } = await Promise.race([untilPhase(control, 'ready'), ended]);
  await command(control, id, 'cutover', LIMITS);
  await until(control, 'followed', async () => {
    const { rows } = await control.query<{ n: string }>(
      `select inserted + updated + deleted as n from partitioner.position p join partitioner.migration m on m.id = p.migration where m.reverse_of is not null`,
    );
    return Number(rows[0]?.n ?? 0) > 100;
  });
  await Promise.race([command(control, id, 'rollback', LIMITS), ended]);
  await Promise.race([untilPhase(control, 'ready'), ended]);
  expect((await control.query(`select relkind from pg_class where oid = 'app.events'::regclass`)).rows).toEqual([{ relkind: 'r' }]);
  await command(control, id, 'cutover', LIMITS);
  await load.stop();
  const migration = await readMigration(control);
  void migration;
  await command(control, id, 'rollback', LIMITS);
  expect(await differingRows(control, { schema: 'app', name: 'events' }, { schema: 'app', name: 'partitioner_1_target_events' })).toEqual(
    [],
  );
});
