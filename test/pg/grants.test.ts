import { expect, it } from 'vitest';
import { buildPlan } from '../../src/actions/build-plan.ts';
import { fetchTable } from '../../src/pg/catalog.ts';
import { inTransaction } from '../../src/pg/client.ts';
import { DEFAULT_PLAN_OPTIONS } from '../../src/plan/options.ts';
import { lostGrantors } from '../../src/plan/grants.ts';
import { createDatabase } from '../support/database.ts';
import { createRole } from '../support/roles.ts';

it('privileges that were passed on keep their grantors, on the table, its columns and its identity sequence', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(() => createRole(database, 'nologin', [])));
  await client.query(`
    create schema app; grant usage on schema app to public;
    create table app.events (id int generated always as identity primary key, at date not null, v text);
    grant select, update on app.events to ${a!.name} with grant option;
    grant select (v), insert (v) on app.events to ${a!.name} with grant option;
    grant usage on sequence app.events_id_seq to ${a!.name} with grant option;
    set role ${a!.name};
    grant select on app.events to ${b!.name} with grant option; grant update on app.events to public;
    grant insert (v) on app.events to ${b!.name}; grant usage on sequence app.events_id_seq to ${c!.name};
    set role ${b!.name};
    grant select on app.events to ${c!.name};
    reset role`);
  const acls = async (table: string): Promise<unknown> => {
    const { rows } = await client.query<{ acl: string }>(
      `select array(select x::text from unnest(c.relacl) x order by 1)::text as acl from pg_class c where c.oid = $1::regclass
       union all select a.attname || array(select x::text from unnest(a.attacl) x order by 1)::text from pg_attribute a where a.attrelid = $1::regclass and a.attnum > 0
       union all select array(select x::text from unnest(s.relacl) x order by 1)::text from pg_class s where s.oid = pg_get_serial_sequence($2, 'id')::regclass`,
      [table, table],
    );
    return rows;
  };
  const table = (await fetchTable(client, { schema: 'app', name: 'events' }))!;
  expect(lostGrantors(table)).toEqual([]);
  const plan = await buildPlan(client, table, { ...DEFAULT_PLAN_OPTIONS, range: 'at' }, 1);
  await inTransaction(client, async () => {
    for (const step of plan.createTarget) await client.query(step.sql);
  });
  expect(await acls(`app.${plan.target.name}`)).toEqual(await acls('app.events'));
  expect(lostGrantors({ ...table, settableRoles: [b!.name] })).toEqual([a!.name]);
});
