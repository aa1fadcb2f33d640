import { expect, test } from 'vitest';
import { createPlainEvents, foreignKeysOut } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { isAfter, travel, type Application, type Moment } from '../../support/journey.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

const ORPHAN = '23503';

async function expectReferences(app: Application): Promise<void> {
  const { run, refused, client } = app;
  expect(await refused(`insert into app.events (at, tenant) values ('2026-02-03', 77)`)).toBe(ORPHAN);
  expect(await refused(`update app.events set tenant = 77 where id = 40`)).toBe(ORPHAN);
  expect(await refused(`insert into app.events (at, region, code) values ('2026-02-03', 'north', null)`), 'MATCH FULL').toBe(ORPHAN);
  expect(await refused(`insert into app.events (at, region, code) values ('2026-02-03', 'north', 2)`)).toBe(ORPHAN);

  // ON DELETE CASCADE and ON UPDATE CASCADE, in several months.
  const [tenant] = await run<{ id: number }>(`insert into app.tenant (name) values ('short-lived') returning id`);
  const moments = ['2026-01-20', '2026-02-20', '2026-03-20', '2026-04-02'];
  for (const moment of moments) await run(`insert into app.events (at, tenant, v) values ($1, $2, 'child')`, [moment, tenant!.id]);
  await run('update app.tenant set id = id + 5000 where id = $1', [tenant!.id]);
  expect(await run('select count(*)::int as rows from app.events where tenant = $1', [tenant!.id + 5000])).toEqual([
    { rows: moments.length },
  ]);
  await run('delete from app.tenant where id = $1', [tenant!.id + 5000]);
  expect(await run(`select count(*)::int as rows from app.events where v = 'child'`)).toEqual([{ rows: 0 }]);

  // ON DELETE SET NULL
  const [person] = await run<{ id: number }>(`insert into app.person (name) values ('somebody') returning id`);
  const [event] = await run<{ id: string }>(`insert into app.events (at, person, v) values ('2026-02-03', $1, 'person''s') returning id`, [
    person!.id,
  ]);
  await run('delete from app.person where id = $1', [person!.id]);
  expect(await run('select person, v from app.events where id = $1', [event!.id])).toEqual([{ person: null, v: "person's" }]);
  await run('delete from app.events where id = $1', [event!.id]);

  // NO ACTION
  const [placed] = await run<{ id: string }>(`insert into app.events (at, region, code) values ('2026-03-03', 'south', 2) returning id`);
  expect(await refused(`delete from app.place where region = 'south'`)).toBe(ORPHAN);
  expect(await refused(`update app.place set code = 3 where region = 'south'`)).toBe(ORPHAN);
  await run('delete from app.events where id = $1', [placed!.id]);

  // DEFERRABLE INITIALLY DEFERRED: the parent may come after the child, and must.
  await client.query('begin');
  await run(`insert into app.events (at, other, v) values ('2026-02-03', 5, 'deferred')`);
  await run('insert into app.other values (5)');
  await client.query('commit');
  await client.query('begin');
  await run('delete from app.other where id = 5');
  await expect(client.query('commit')).rejects.toMatchObject({ code: ORPHAN });
  await client.query('begin');
  await run('delete from app.other where id = 5');
  await run(`delete from app.events where v = 'deferred'`);
  await client.query('commit');
  await client.query('begin');
  await run(`insert into app.events (at, other) values ('2026-02-03', 6)`);
  await expect(client.query('commit')).rejects.toMatchObject({ code: ORPHAN });
  await client.query('begin');
  await run(`insert into app.events (at, other) values ('2026-02-03', 6)`);
  expect(await refused('set constraints app.events_other_fkey immediate')).toBe(ORPHAN);
  await client.query('rollback');

  // NOT VALID: what was there stays, what comes is checked.
  expect(await refused(`insert into app.events (at, loose) values ('2026-02-03', 667)`)).toBe(ORPHAN);
  expect(await refused('delete from app.loose where id = 1')).toBe(ORPHAN);
  expect(await run(`update app.events set v = 'orphan' where id = 8 returning loose`)).toEqual([{ loose: 666 }]);
}

/** By name, as whoever looks at the table or at each of its leaves sees it. */
async function constraints({ run }: Application, relation: string): Promise<unknown[]> {
  return run(
    `select conname, convalidated, pg_get_constraintdef(oid) as definition from pg_constraint where contype = 'f' and conrelid = $1::text::regclass order by 1`,
    [relation],
  );
}

test('foreign keys out refuse orphans and act on their parents all the way; what is not valid stays so', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(foreignKeysOut(DEFAULT_MAJOR));
  let before: unknown[] = [];
  await travel(database, {
    look: async (app: Application, moment: Moment) => {
      await expectReferences(app);
      if (moment === 'before') before = await constraints(app, 'app.events');
      expect(before).toHaveLength(5);
      if (moment === 'switched') return; // validated afterwards
      // Before 18 a partitioned table cannot have one that is not valid: its leaves have it.
      const kept = before.filter((row) => !isAfter(moment) || DEFAULT_MAJOR >= 18 || (row as { convalidated: boolean }).convalidated);
      expect(await constraints(app, 'app.events')).toEqual(kept);
      expect(
        await app.run(
          `select obj_description(oid, 'pg_constraint') as comment from pg_constraint where conrelid = 'app.events'::regclass and conname = 'events_tenant_fkey'`,
        ),
      ).toEqual([{ comment: 'whose' }]);
      if (!isAfter(moment)) return;
      const leaves = await app.run<{ leaf: string }>(
        `select inhrelid::regclass::text as leaf from pg_inherits where inhparent = 'app.events'::regclass`,
      );
      expect(leaves.length).toBeGreaterThan(2);
      for (const { leaf } of leaves) expect(await constraints(app, leaf), leaf).toEqual(before);
    },
    retired: async (app, retired) => {
      expect(await constraints(app, retired), 'the retired table has none').toEqual([]);
      await app.client.query(`create table app.events_later partition of app.events for values from ('2044-01-01') to ('2044-02-01')`);
      expect(await app.refused(`insert into app.events (at, tenant) values ('2044-01-03', 77)`), 'a later leaf').toBe(ORPHAN);
      await app.client.query('drop table app.events_later');
    },
  });
});
