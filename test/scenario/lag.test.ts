import { expect, test } from 'vitest';
import { fetchStatus } from '../../src/actions/status.ts';
import { createDatabase } from '../support/database.ts';
import { holds, startDaemon, until, untilPhase } from '../support/daemon.ts';
import { createEvents, switchAndCompare } from '../support/events-table.ts';

test('the lag in seconds grows while a change waits, also a small one that the server has sent', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 500);
  await using daemon = startDaemon(database.settings, 'app.events');
  await untilPhase(control, 'ready');
  const locker = await database.client('application');
  await locker.query('begin; lock table partitioner.position in exclusive mode');
  await control.query(`update app.events set v = 'waits' where id = 5`);
  const lag = async (): Promise<{ bytes: number; seconds: number }> => (await fetchStatus(control))[0]!.lag!;
  await until(control, 'it is past the limit', async () => (await lag()).seconds > 5.5);
  await untilPhase(control, 'catchup');
  expect((await lag()).bytes).toBeLessThan(64 << 20);
  await locker.query('rollback');
  await untilPhase(control, 'ready');
  await until(control, 'nothing is behind', async () => (await lag()).seconds === 0);
  expect(await holds(control, 'exists (select from partitioner.daemon where behind_since is null)')).toBe(true);
  await switchAndCompare(control);
  await daemon.ended;
});
