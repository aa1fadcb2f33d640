import { expect, test } from 'vitest';
import { createDatabase } from '../support/database.ts';
import { command, holds, readMigration, startDaemon, until } from '../support/daemon.ts';
import { createEvents, switchAndCompare } from '../support/events-table.ts';

const ROWS = 2_000;

/** A key that does not hold the partition key: a row is looked for in every live leaf, and may be in none yet. */
test('a row of a live leaf takes the key that a row of a pending leaf leaves, in one transaction', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  await control.query('alter table app.events alter column id drop identity');
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 8_192 }, { jobs: 1, limits: { 'copy-rate': 60_000 } });
  const leaf = await until(control, 'a leaf with rows is live, and the first one is pending', async () => {
    const { rows } = await control
      .query<{ name: string }>(
        `select l.name from partitioner.unit u join partitioner.leaf l using (migration, unit)
         where u.state = 'live' and exists (select from partitioner.chunk c where c.unit = u.unit and c.rows > 0) limit 1`,
      )
      .catch(() => ({ rows: [] }));
    return rows[0]?.name;
  });
  const { id } = (await readMigration(control))!;
  await command(control, id, 'pause');
  expect(await holds(control, `exists (select from partitioner.unit where state = 'pending')`)).toBe(true);
  await control.query(`begin;
    update app.events set id = 900001, at = (select max(at) from app."${leaf}") where id = 5;
    update app.events set id = 5 where id = (select min(id) from app."${leaf}");
    commit`);
  await until(control, 'both are applied', () => holds(control, `exists (select from app."${leaf}" where id = 900001)`));
  expect(await holds(control, `exists (select from app."${leaf}" where id = 5)`)).toBe(true);
  await command(control, id, 'throttle', { 'copy-rate': null });
  await command(control, id, 'resume');
  await switchAndCompare(control);
  await daemon.ended;
});
