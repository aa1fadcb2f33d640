import { expect, test } from 'vitest';
import { withClient } from '../../../src/pg/client.ts';
import { createPlainEvents, routines } from '../../support/attached-table.ts';
import { checkAs } from '../../support/check.ts';
import { createDatabase } from '../../support/database.ts';
import { application, isAfter, travel, type Application, type Moment } from '../../support/journey.ts';
import { createRole } from '../../support/roles.ts';

async function expectRoutines(app: Application, reader: Application): Promise<void> {
  const { run } = app;
  await run(`insert into app.events (id, at, v) values (1000000, '2026-02-03', 'newest')`);
  const [newest] = await run<{ id: string }>(`select id from app.events where v = 'newest'`);
  expect(
    await run('select app.newest() as a, app.by_text() as b, (select newest from app.through) as c, app.in_body($1) as d', [newest!.id]),
  ).toEqual([{ a: newest!.id, b: newest!.id, c: newest!.id, d: 'newest' }]);
  await run(`call app.add('2026-03-03', 'added')`);
  expect(await reader.run(`select app.count_of('added') as count`), 'SECURITY DEFINER').toEqual([{ count: '1' }]);
  await run(`delete from app.events where v in ('newest', 'added')`);
}

async function definitions({ run }: Application): Promise<unknown[]> {
  return run(
    `select pg_get_functiondef(oid) as definition, proowner::regrole::text as owner, proacl::text, obj_description(oid, 'pg_proc') as comment from pg_proc where pronamespace = 'app'::regnamespace order by proname`,
  );
}

test('routines with a body of SQL read and write the new table from the switch on', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  const role = await createRole(database, 'login', ['connect']);
  await createPlainEvents(client);
  await client.query(routines(role.name));
  await withClient(role.settings, { applicationName: 'reader' }, async (session) => {
    const reader = application(session);
    let before: unknown[] = [];
    await travel(database, {
      look: async (app: Application, moment: Moment) => {
        await expectRoutines(app, reader);
        if (moment === 'before') before = await definitions(app);
        expect(await definitions(app)).toEqual(before);
      },
    });
  });
});

test('routines that take or return the row type are carried, or named by the check', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  const role = await createRole(database, 'login', ['connect']);
  await createPlainEvents(client);
  await client.query(`
    create function app.old_ones(wanted int) returns setof app.events language sql stable as $$ select * from app.events e where e.kind = wanted and e.id < 100 $$;
    create function app.label(event app.events) returns text language plpgsql immutable as $$ begin return event.v || '!'; end $$;
    create function app.those(many app.events[]) returns int language sql as $$ select cardinality(many) $$;
    comment on function app.label(app.events) is 'a label';
    revoke all on function app.label(app.events) from public;
    grant usage on schema app to ${role.name};
    grant select on app.events to ${role.name};
    grant execute on function app.label(app.events) to ${role.name};`);
  const blockers = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  if (blockers.length > 0) {
    for (const name of ['app.old_ones', 'app.label', 'app.those']) {
      const finding = blockers.find(({ object }) => object.includes(name));
      expect(finding, name).toBeDefined();
      expect(finding!.fix).toContain('DROP');
    }
    return;
  }
  await withClient(role.settings, { applicationName: 'reader' }, async (session) => {
    const reader = application(session);
    await travel(database, {
      look: async ({ client: session }: Application, moment: Moment) => {
        // Not prepared: a plan whose result is the row type itself has to be made anew when the type changes.
        const { rows } = await session.query(`select id, app.label(e) as label from app.old_ones(3) e where id = 7`);
        expect(rows).toEqual([{ id: '7', label: 'row 7!' }]);
        expect((await session.query('select app.those(array_agg(e)) as those from app.events e where id < 5')).rows).toEqual([
          { those: 4 },
        ]);
        expect(await reader.client.query(`select app.label(e) as label from app.events e where id = 7`)).toMatchObject({
          rows: [{ label: 'row 7!' }],
        });
        expect(
          (
            await session.query(
              `select obj_description('app.label(app.events)'::regprocedure, 'pg_proc') as comment, has_function_privilege('pg_monitor', 'app.label(app.events)', 'execute') as anybody`,
            )
          ).rows,
        ).toEqual([{ comment: 'a label', anybody: false }]);
        if (isAfter(moment))
          expect((await session.query(`select prorettype::regtype::text as type from pg_proc where proname = 'old_ones'`)).rows).toEqual([
            { type: 'app.events' },
          ]);
      },
    });
  });
});
