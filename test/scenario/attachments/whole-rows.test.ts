import { expect, test } from 'vitest';
import { createPlainEvents } from '../../support/attached-table.ts';
import { checkAs } from '../../support/check.ts';
import { createDatabase } from '../../support/database.ts';
import { isAfter, travel, type Application, type Moment } from '../../support/journey.ts';

/** Expressions over the row as a whole: they name every column, and the row's type. */

test('triggers, policies, views and routines that look at the whole row', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(`
    create table app.log (id bigint, row jsonb);
    create function app.note() returns trigger language plpgsql as $$ begin insert into app.log values (new.id, to_jsonb(new)); return null; end $$;
    create trigger really_changed after update on app.events for each row when (old.* is distinct from new.*) execute function app.note();
    create trigger made after insert on app.events for each row when (not new.* is null) execute function app.note();
    create policy whole on app.events using (events.* is not null or not events.* is null) with check (to_jsonb(events) ->> 'v' <> 'refused');
    alter table app.events enable row level security;
    create function app.as_json(wanted bigint) returns jsonb language sql stable begin atomic select to_jsonb(e) from app.events e where e.id = wanted; end;
    create view app.distinct_rows as select distinct on (e) e.id, row_to_json(e.*) as json from app.events e where e is not distinct from e;
    create view app.joined as select a.id from app.events a join app.events b on a.id = b.id and a = b;
    create index events_hash on app.events (hashtext(v)) where v is not null;`);
  expect((await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker')).toEqual([]);
  await travel(database, {
    look: async ({ run }: Application) => {
      const [made] = await run<{ id: string }>(
        `insert into app.events (at, v, doc) values ('2026-02-03', 'whole', '{"a": [1]}') returning id`,
      );
      const id = made!.id;
      await run(`update app.events set v = v where id = $1`, [id]);
      await run(`update app.events set doc = '{"a": [2]}' where id = $1`, [id]);
      expect(await run(`select row -> 'doc' as doc from app.log where id = $1 order by row -> 'doc'`, [id])).toEqual([
        { doc: { a: [1] } },
        { doc: { a: [2] } },
      ]);
      expect(
        await run(
          `select app.as_json($1) ->> 'v' as v, (select json ->> 'v' from app.distinct_rows where id = $1) as w, (select id from app.joined where id = $1) as id`,
          [id],
        ),
      ).toEqual([{ v: 'whole', w: 'whole', id }]);
      await run('delete from app.events where id = $1', [id]);
    },
  });
});

test.each([
  ['a CHECK', 'whole_check', 'alter table app.events add constraint whole_check check (not events is null)'],
  ['an index', 'whole_index', 'create index whole_index on app.events ((events is not null))'],
  ['a condition of an index', 'whole_partial', 'create index whole_partial on app.events (kind) where not events is null'],
] as const)('%s over the whole row is carried, or refused by its name', async (_, name, sql) => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(sql);
  const blockers = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  if (blockers.length > 0) {
    expect(blockers).toHaveLength(1);
    expect(blockers[0]!.object).toContain(name);
    return;
  }
  await travel(database, {
    look: async ({ run }: Application) => {
      expect(
        await run(
          `select relname as name from pg_class where relname = $1 union all select conname from pg_constraint where conname = $1 and conrelid = 'app.events'::regclass`,
          [name],
        ),
      ).toEqual([{ name }]);
    },
  });
});

test('unique indexes of all kinds, widened', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(`
    alter table app.events add column number int, add column slug text;
    update app.events set number = id, slug = 'slug (' || id || ')';
    create unique index with_include on app.events (number) include (at, v);
    create unique index by_expression on app.events ((replace(slug, ')', '("')) collate "C" text_pattern_ops desc nulls last, number) with (fillfactor = 70) where slug <> ')';
    alter table app.events add constraint "deferred (one)" unique (number, slug) include (at) deferrable initially deferred;`);
  const decisions = { 'unique:with_include': 'widen', 'unique:by_expression': 'widen', 'unique:deferred (one)': 'widen' };
  expect((await checkAs(database.settings, 'app.events', { decisions })).filter(({ severity }) => severity === 'blocker')).toEqual([]);
  await travel(database, {
    plan: { decisions },
    look: async ({ run, refused, client: session }: Application, moment: Moment) => {
      const at = '(select at from app.events where id = 40)';
      expect(await refused(`insert into app.events (at, number) values (${at}, 40)`), 'with_include').toBe('23505');
      expect(await refused(`insert into app.events (at, slug, number) values (${at}, 'slug (40)', 40)`), 'all of them').toBe('23505');
      await run('drop index if exists app.none');
      await session.query('begin');
      await session.query('drop index app.with_include, app.by_expression');
      await session.query(`insert into app.events (at, slug, number) values (${at}, 'slug (40)', 40)`);
      await expect(session.query('commit'), 'deferred to the end').rejects.toMatchObject({ code: '23505' });
      const definitions = await run<{ name: string; definition: string }>(
        `select relname as name, replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') as definition from pg_index join pg_class c on c.oid = indexrelid where indrelid = 'app.events'::regclass and indisunique and not indisprimary order by 1`,
      );
      expect(definitions.map(({ name }) => name)).toEqual(['by_expression', 'deferred (one)', 'with_include']);
      if (isAfter(moment)) for (const { definition } of definitions) expect(definition).toMatch(/, at\)/);
    },
  });
});
