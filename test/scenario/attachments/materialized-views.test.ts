import { expect, test } from 'vitest';
import { withClient } from '../../../src/pg/client.ts';
import { createPlainEvents, materializedViews } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { application, isAfter, travel, type Application, type Moment } from '../../support/journey.ts';
import { createRole } from '../../support/roles.ts';
import { expectNoneOfRetired, viewDefinitions } from '../../support/view-definitions.ts';

const NOT_PERMITTED = '42501';

async function expectMaterialized(app: Application): Promise<void> {
  const { run, refused } = app;
  const before = await run<{ events: number }>('select events from app.total');
  expect(before[0]!.events).toBeGreaterThan(2_900);
  const [made] = await run<{ id: string }>(
    `insert into app.events (id, at, v) values (1000000, '2026-02-03 12:00:00+00', 'rolled up') returning id`,
  );
  await run('refresh materialized view concurrently app.daily');
  expect(await run(`select newest from app.busy where day = '2026-02-03'`), 'a view of a materialized view').toEqual([
    { newest: made!.id },
  ]);
  await run('refresh materialized view app.total');
  expect(await run('select newest from app.summary'), 'through the whole chain').toEqual([{ newest: made!.id }]);
  await run('delete from app.events where id = $1', [made!.id]);
  await run('refresh materialized view app.daily');
  await run('refresh materialized view app.total');
  expect(await refused('select from app.empty'), 'never filled').toBe('55000');
}

test('materialized views stay filled, keep what they have, and are refreshed from the new table', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  const role = await createRole(database, 'login', ['connect']);
  await createPlainEvents(client);
  await client.query(materializedViews(role.name));
  await withClient(role.settings, { applicationName: 'reader' }, async (session) => {
    const reader = application(session);
    let before: unknown[] = [];
    await travel(database, {
      look: async (app: Application, moment: Moment) => {
        expect(await reader.run(`select count(*)::int as days from app.daily where day < '2026-01-03'`), 'filled').toEqual([{ days: 2 }]);
        expect(await reader.refused('select events from app.total')).toBe(null);
        expect(await reader.refused('select newest from app.total')).toBe(NOT_PERMITTED);
        await expectMaterialized(app);
        if (moment === 'before') before = await viewDefinitions(app);
        expect(await viewDefinitions(app)).toEqual(before);
        if (isAfter(moment)) await expectNoneOfRetired(app);
        const own = await app.run(`select relname from pg_class where relkind = 'm' and relname like 'partitioner%'`);
        if (moment === 'before' || moment === 'finished') expect(own, 'of ours').toEqual([]);
      },
    });
  });
});
