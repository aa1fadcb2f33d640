import { expect, test } from 'vitest';
import { withClient } from '../../../src/pg/client.ts';
import { createPlainEvents, views } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { application, isAfter, travel, type Application, type Moment } from '../../support/journey.ts';
import { createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';
import { expectNoneOfRetired, viewDefinitions } from '../../support/view-definitions.ts';

const NOT_PERMITTED = '42501';
const CHECK_OPTION = '44000';

async function expectViews(app: Application): Promise<void> {
  const { run, refused } = app;
  const [made] = await run<{ id: string }>(
    `insert into app.events (at, tenant, kind, v, doc) values ('2026-02-03', 4, 20, 'seen', '{"a": 1}') returning id`,
  );
  const id = made!.id;
  expect(await run('select number, "Text", secret from app.recent where number = $1', [id])).toEqual([
    { number: id, Text: 'seen', secret: { a: 1 } },
  ]);
  expect(await run('select number from app.latest where number = $1', [id]), 'a view of a view').toEqual([{ number: id }]);
  expect(await run('select v from app.fewer where id = $1', [id])).toEqual([{ v: 'seen' }]);
  expect(await run('select tenant from app.joined where id = $1', [id])).toEqual([{ tenant: 'tenant 4' }]);
  expect(await run(`select document ->> 'v' as v, value from app.documents where id = $1`, [id]), 'the whole row').toEqual([
    { v: 'seen', value: 'seen' },
  ]);
  expect(await run('select place, v from app.ranked where id = $1', [id])).toEqual([{ place: '1', v: 'seen' }]);
  if (DEFAULT_MAJOR >= 15) expect(await run('select v from app.invoked where id = $1', [id])).toEqual([{ v: 'seen' }]);

  // Through the view it is changed, and what the view would not show is refused.
  expect(await run(`update app.fewer set v = 'changed' where id = $1 returning v`, [id])).toEqual([{ v: 'changed' }]);
  expect(await refused('update app.few set kind = 60 where id = $1', [id])).toBe(CHECK_OPTION);
  expect(await refused('update app.fewer set kind = 5 where id = $1', [id])).toBe(CHECK_OPTION);
  expect(await refused('update app.fewer set kind = 60 where id = $1', [id]), 'cascaded from below').toBe(CHECK_OPTION);
  await run('delete from app.few where id = $1', [id]);

  expect(await run(`insert into app.few (at, kind) values ('2026-02-03', 21) returning v`), 'a default of the view').toEqual([
    { v: 'from the view' },
  ]);
  await run(`delete from app.few where v = 'from the view'`);
  const [joined] = await run<{ id: string }>(
    `insert into app.joined (at, v, tenant) values ('2026-02-03', 'joined', 'tenant 3') returning id`,
  );
  expect(await run('delete from app.events where id = $1 returning tenant, v', [joined!.id]), 'INSTEAD OF trigger').toEqual([
    { tenant: 3, v: 'joined' },
  ]);
  const ruled = await run<{ v: string }>(`insert into app.ruled (at, v) values ('2026-02-03', 'made') returning v`);
  expect(ruled, 'an INSERT rule on a view').toEqual([{ v: 'made by rule' }]);
  expect(await run(`delete from app.events where v = 'made by rule' returning v`)).toEqual([{ v: 'made by rule' }]);
}

test('views show what is written, and take what is written through them, all the way', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  const role = await createRole(database, 'login', ['connect']);
  await createPlainEvents(client);
  await client.query(views(DEFAULT_MAJOR, role.name));
  await withClient(role.settings, { applicationName: 'reader' }, async (session) => {
    const reader = application(session);
    let before: unknown[] = [];
    await travel(database, {
      look: async (app: Application, moment: Moment) => {
        await expectViews(app);
        expect(await reader.run('select number, "Text" from app.recent where number = 5')).toEqual([{ number: '5', Text: 'row 5' }]);
        expect(await reader.refused('select secret from app.recent'), 'a column without a privilege').toBe(NOT_PERMITTED);
        expect(await reader.refused('select moment from app.latest')).toBe(null);
        expect(await reader.refused('select from app.events'), 'the table itself').toBe(NOT_PERMITTED);
        if (moment === 'before') before = await viewDefinitions(app);
        expect(await viewDefinitions(app)).toEqual(before);
        if (isAfter(moment)) await expectNoneOfRetired(app);
      },
    });
  });
});
