import { expect, test } from 'vitest';
import { quoteIdent } from '../../../src/domain/identifier.ts';
import { withClient, type Client } from '../../../src/pg/client.ts';
import { createPlainEvents, rowSecurity } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { application, isAfter, travel, type Application, type Moment } from '../../support/journey.ts';
import { createRole } from '../../support/roles.ts';

const NOT_PERMITTED = '42501';

/** The reader sees tenants 2 and 3, writes tenant 2, deletes kind 7, and nothing of kind 66 is to be seen by anybody. */
async function expectPolicies(superuser: Application, { run, refused }: Application): Promise<void> {
  const all = await superuser.run<{ tenants: number[] }>('select array_agg(distinct tenant order by tenant) as tenants from app.events');
  expect(all[0]!.tenants).toEqual([1, 2, 3, 4, 5]);
  const seen = await run<{ tenants: number[]; rows: number }>(
    'select array_agg(distinct tenant order by tenant) as tenants, count(*)::int as rows from app.events',
  );
  expect(seen[0]!.tenants).toEqual([2, 3]);
  expect(seen[0]!.rows).toBeGreaterThan(1_000);

  const [own] = await run<{ id: string }>(
    `insert into app.events (at, tenant, kind, v) values ('2026-02-03', 2, 5, 'readers') returning id`,
  );
  const id = own!.id;
  expect(await refused(`insert into app.events (at, tenant, v) values ('2026-02-03', 3, 'x')`)).toBe(NOT_PERMITTED);
  expect(await refused(`insert into app.events (at, tenant, v) values ('2026-02-03', 2, 'forbidden')`)).toBe(NOT_PERMITTED);
  expect(await refused(`insert into app.events (at, tenant, kind, v) values ('2026-02-03', 2, 67, 'x')`), 'restrictive').toBe(
    NOT_PERMITTED,
  );
  expect(await run(`update app.events set v = 'changed' where id = $1 returning v`, [id])).toEqual([{ v: 'changed' }]);
  expect(await refused(`update app.events set tenant = 3 where id = $1`, [id])).toBe(NOT_PERMITTED);
  expect(await run(`update app.events set v = 'stolen' where tenant = 3 returning id`)).toEqual([]);
  expect(await run(`delete from app.events where id = $1 returning id`, [id]), 'of another kind').toEqual([]);
  await superuser.run('update app.events set kind = 66 where id = $1', [id]);
  expect(await run('select id from app.events where id = $1', [id]), 'hidden by the restrictive policy').toEqual([]);
  await superuser.run('update app.events set kind = 7 where id = $1', [id]);
  expect(await run(`delete from app.events where id = $1 returning id`, [id])).toEqual([{ id }]);

  const remarks = `select array_agg(event::int order by event) as events from app.remark where event <= 30`;
  expect(await run(remarks), "through another table's policy, which reads this one under its own").toEqual([
    { events: [2, 7, 12, 17, 22, 27] },
  ]);
}

/** The owner of nothing: each leaf is closed to it, whatever it may do with the table. */
async function expectLeavesClosed(superuser: Application, { refused }: Application): Promise<void> {
  const leaves = await superuser.run<{ leaf: string; secured: boolean }>(
    `select format('%I.%I', n.nspname, c.relname) as leaf, c.relrowsecurity as secured
     from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace where i.inhparent = 'app.events'::regclass`,
  );
  expect(leaves.length).toBeGreaterThan(2);
  for (const { leaf, secured } of leaves) {
    expect(secured, leaf).toBe(true);
    expect(await refused(`select from ${leaf}`), leaf).toBe(NOT_PERMITTED);
    expect(await refused(`insert into ${leaf} (at) values (now())`), leaf).toBe(NOT_PERMITTED);
  }
}

async function policies({ run }: Application): Promise<unknown[]> {
  return run(`
    select p.tablename, p.policyname, p.permissive, p.roles, p.cmd, p.qual, p.with_check, obj_description(o.oid, 'pg_policy') as comment
    from pg_policies p join pg_policy o on o.polname = p.policyname and o.polrelid = format('%I.%I', p.schemaname, p.tablename)::regclass
    where p.schemaname = 'app' and p.tablename in ('events', 'remark') order by 1, 2`);
}

test('policies hide and refuse the same rows all the way, those of other tables too', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  const role = await createRole(database, 'login', ['connect']);
  await createPlainEvents(client);
  await client.query(rowSecurity(role.name));
  await withClient(role.settings, { applicationName: 'reader' }, async (session) => {
    await session.query('set row_security = on');
    const reader = application(session);
    let before: unknown[] = [];
    await travel(database, {
      look: async (superuser: Application, moment: Moment) => {
        await expectPolicies(superuser, reader);
        if (moment === 'before') before = await policies(superuser);
        expect(await policies(superuser)).toEqual(before);
        if (isAfter(moment)) await expectLeavesClosed(superuser, reader);
      },
      retired: async (_, retired) => {
        const seen = `select array_agg(distinct tenant order by tenant) as tenants from ${retired}`;
        expect(await reader.run(seen), 'the retired rows stay hidden').toEqual([{ tenants: [2, 3] }]);
      },
    });
  });
});

test('forced row security binds the owner all the way', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  const owner = await createRole(database, 'login', ['connect']);
  await createPlainEvents(client);
  await client.query(
    `grant usage, create on schema app to ${quoteIdent(owner.name)}; alter table app.events owner to ${quoteIdent(owner.name)}`,
  );
  await withClient(owner.settings, { applicationName: 'owner' }, async (session: Client) => {
    await session.query('set row_security = on');
    await session.query(`
      create policy few on app.events using (kind = 3) with check (kind = 3);
      alter table app.events enable row level security, force row level security`);
    const { run, refused } = application(session);
    await travel(database, {
      look: async () => {
        expect(await run('select array_agg(distinct kind) as kinds from app.events')).toEqual([{ kinds: [3] }]);
        expect(await refused(`insert into app.events (at, kind) values ('2026-02-03', 4)`)).toBe(NOT_PERMITTED);
        expect(await run(`insert into app.events (at, kind, v) values ('2026-02-03', 3, 'forced') returning v`)).toEqual([{ v: 'forced' }]);
        expect(await run(`delete from app.events where v = 'forced' returning v`)).toEqual([{ v: 'forced' }]);
        expect(await run(`select relrowsecurity, relforcerowsecurity from pg_class where oid = 'app.events'::regclass`)).toEqual([
          { relrowsecurity: true, relforcerowsecurity: true },
        ]);
      },
    });
  });
});
