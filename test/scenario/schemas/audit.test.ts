import { expect, test } from 'vitest';
import type { Major } from '../../../src/demo/embedded-server.ts';
import { quoteIdent } from '../../../src/domain/identifier.ts';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { onLeaves, partitioned, partitionedInDump, widened, widenedInDump } from '../../support/partitioning-differences.ts';
import { migrateRebuilt } from '../../support/rebuilt-schema.ts';
import { createRole } from '../../support/roles.ts';

/** An audit table of many tenants: who sees what is decided by policies, column privileges and what was passed on with a grant option. */

const RECORDS = 3_000;
const FIRST = `(date_trunc('month', now() at time zone 'UTC') - interval '70 days')`;

interface Roles {
  readonly owner: string;
  readonly app: string;
  readonly support: string;
  readonly auditor: string;
  readonly intern: string;
}

async function createAudit(client: Client, major: Major, roles: Roles, forced: boolean): Promise<void> {
  const { owner, app, support, auditor, intern } = Object.fromEntries(
    Object.entries(roles).map(([key, name]) => [key, quoteIdent(name)]),
  ) as unknown as Roles;
  await client.query(`
    create schema audit authorization ${owner};
    set role ${owner};
    alter default privileges for role ${owner} grant all on tables to ${intern};
    grant usage on schema audit to ${app}, ${support}, ${auditor}, ${intern};
    create table audit.tenants (id int primary key, name text not null, region text not null);
    create table audit.members (role_name name not null, tenant_id int not null references audit.tenants, is_admin boolean not null default false, primary key (role_name, tenant_id));
    create table audit.records (
      tenant_id int not null,
      record_id bigint not null default (extract(epoch from clock_timestamp()) * 1000000)::bigint,
      happened_at timestamp not null default (now() at time zone 'UTC'),
      actor name not null default current_user,
      action text not null check (action in ('read', 'write', 'delete', 'login')),
      "table" text,
      "user" text,
      old_row jsonb,
      new_row jsonb,
      ip inet,
      secret text,
      severity smallint not null default 0,
      constraint records_pk primary key (tenant_id, record_id),
      constraint records_tenant_fk foreign key (tenant_id) references audit.tenants on delete restrict
    );
    create table audit.comments (id int generated always as identity primary key, tenant_id int not null, record_id bigint not null, body text);
    create table audit.tickets (id int primary key, tenant_id int not null, opened_by name not null default current_user);
    comment on table audit.records is 'who did what';
    comment on column audit.records."user" is 'as the client says';
    create index records_actor on audit.records (tenant_id, actor, happened_at desc);
    create index records_new on audit.records using gin (new_row jsonb_path_ops);
    create index "by ""user""" on audit.records (lower("user")) where "user" is not null;
    insert into audit.tenants select n, 'tenant ' || n, case when n % 2 = 0 then 'eu' else 'us' end from generate_series(1, 20) n;
    insert into audit.members values ('${roles.app}', 1, false), ('${roles.app}', 2, false), ('${roles.support}', 3, true), ('${roles.auditor}', 4, false);
    insert into audit.records (tenant_id, record_id, happened_at, actor, action, "table", "user", new_row, secret, severity)
      select 1 + n % 20, n, ${FIRST} + n * interval '30 minutes', 'app', (array['read', 'write', 'delete', 'login'])[1 + n % 4], 't' || n % 5, 'u' || n, jsonb_build_object('n', n), 's' || n, n % 10
      from generate_series(1, ${String(RECORDS)}) n;
    insert into audit.comments (tenant_id, record_id, body) select tenant_id, record_id, 'note' from audit.records where record_id % 30 = 0;
    insert into audit.tickets select n, 1 + n % 20 from generate_series(1, 100) n;

    create function audit.tenants_of(who name) returns setof int language sql stable security definer set search_path = audit begin atomic select tenant_id from audit.members where role_name = who; end;
    create function audit.sees(tenant int) returns boolean language sql stable return (tenant in (select audit.tenants_of(current_user)));
    create function audit.is_loud(wanted_tenant int, wanted bigint) returns boolean language sql stable security definer
      return exists (select from audit.records r where r.tenant_id = wanted_tenant and r.record_id = wanted and r.severity > 7);
    create policy tenant_isolation on audit.records as permissive for all to ${app}, ${support} using (audit.sees(tenant_id)) with check (audit.sees(tenant_id) and actor = current_user);
    create policy by_setting on audit.records for select to ${auditor} using (tenant_id = nullif(current_setting('audit.tenant', true), '')::int);
    create policy "only ""Admins"" delete" on audit.records as restrictive for delete to public
      using (exists (select from audit.members m where m.role_name = current_user and m.is_admin and m.tenant_id = records.tenant_id));
    create policy quiet on audit.records as restrictive for select to ${support} using (severity < 9 or (select count(*) from audit.tickets t where t.tenant_id = records.tenant_id) > 100);
    create policy owner_inserts on audit.records for insert to ${owner} with check (true);
    create policy owner_reads on audit.records for select to ${owner} using (true);
    comment on policy tenant_isolation on audit.records is 'each its own';
    alter table audit.records enable row level security${forced ? ', force row level security' : ''};
    create policy of_visible_records on audit.comments using (exists (select from audit.records r where r.tenant_id = comments.tenant_id and r.record_id = comments.record_id and r.action <> 'login')) with check (true);
    create policy loud_ones on audit.tickets for select to ${support} using (tenant_id in (select r.tenant_id from audit.records r where r.severity >= 5 group by r.tenant_id having count(*) > 3));
    comment on policy of_visible_records on audit.comments is 'as the records';
    alter table audit.comments enable row level security;
    alter table audit.tickets enable row level security, force row level security;

    create view audit.visible with (security_barrier) as select tenant_id, record_id, happened_at, action, "table", "user" from audit.records where action <> 'login';
    create view audit.loud with (security_barrier = true, check_option = local) as select * from audit.visible where "user" is not null;
    ${major >= 15 ? 'create view audit.own with (security_invoker = on) as select r.tenant_id, r.record_id, r.action, r.actor from audit.records r;' : ''}
    create view audit.per_tenant as select t.name, count(r.*) as records, count(*) filter (where audit.is_loud(r.tenant_id, r.record_id)) as loud from audit.tenants t left join audit.records r on r.tenant_id = t.id group by t.name;

    revoke all on audit.records, audit.comments, audit.tickets, audit.members, audit.visible, audit.loud, audit.per_tenant from ${intern};
    grant select on audit.members, audit.tickets, audit.tenants to ${app}, ${support}, ${auditor};
    grant insert (tenant_id, record_id, action, "table", "user", new_row, happened_at), select (tenant_id, record_id, action, actor, happened_at, severity) on audit.records to ${app};
    grant update (severity) on audit.records to ${app} with grant option;
    grant select, delete on audit.records to ${support} with grant option;
    grant select (tenant_id, record_id, severity, action) on audit.records to ${auditor} with grant option;
    grant select, insert on audit.comments to ${support}, ${app};
    grant select on audit.visible to ${auditor} with grant option;
    grant select on audit.loud to public;
    reset role;`);
  // Passed on by those who may.
  await client.query(`
    set role ${support}; grant select on audit.records to ${auditor}; reset role;
    set role ${auditor}; grant select (tenant_id, record_id) on audit.records to ${intern}; reset role;`);
  await client.query('vacuum analyze audit.records');
}

test.each([false, true])('an audit table of many tenants, row security forced: %s', async (forced) => {
  await using database = await createDatabase();
  const role = async (): Promise<string> => (await createRole(database, 'nologin', ['create'])).name;
  const roles: Roles = { owner: await role(), app: await role(), support: await role(), auditor: await role(), intern: await role() };
  const table = 'audit.records';
  await migrateRebuilt(database, {
    schemas: ['audit'],
    table,
    plan: { range: 'happened_at' },
    create: (client, major) => createAudit(client, major, roles, forced),
    write: [
      ({ run }) => run(`insert into audit.records (tenant_id, action, happened_at) values (20, 'write', now() - interval '20 days')`),
      ({ run }) =>
        run(
          `update audit.records set severity = severity + 1 where tenant_id = 20 and record_id = (select max(record_id) from audit.records where tenant_id = 20)`,
        ),
      ({ run }) =>
        run(
          `update audit.records set happened_at = now() - interval '60 days' where tenant_id = 20 and record_id = (select min(record_id) from audit.records where tenant_id = 20 and record_id > 10000)`,
        ),
      ({ run }) =>
        run(
          `delete from audit.records where tenant_id = 20 and record_id = (select min(record_id) from audit.records where tenant_id = 20 and record_id > 10000)`,
        ),
    ],
    look: async ({ run, client, refused }) => {
      const seen: Record<string, unknown> = {};
      for (const [name, who] of Object.entries(roles)) {
        await client.query(`set role ${quoteIdent(who)}; set audit.tenant = '4'`);
        const count = async (from: string): Promise<unknown> =>
          (await refused(`select count(*) from ${from}`)) ?? run(`select count(*) from ${from} where tenant_id <> 20`);
        seen[name] = {
          records: await count('audit.records'),
          columns: (await refused('select tenant_id, record_id, severity, action from audit.records')) ?? 'may read them',
          pair: (await refused('select tenant_id, record_id from audit.records')) ?? 'may read them',
          secret: (await refused('select secret from audit.records')) ?? 'may read it',
          comments: await count('audit.comments'),
          tickets: await count('audit.tickets'),
          visible: await count('audit.visible'),
          loud: await count('audit.loud'),
          granted: await run(
            `select has_table_privilege('audit.records', 'SELECT WITH GRANT OPTION') as all, has_any_column_privilege('audit.records', 'SELECT WITH GRANT OPTION') as some`,
          ),
        };
        await client.query('reset role');
      }
      seen['per tenant'] = await run(`select * from audit.per_tenant where name <> 'tenant 20' order by 1`);
      return seen;
    },
    act: async ({ run, refused, client }) => {
      await client.query(`set role ${quoteIdent(roles.app)}`);
      await run(`insert into audit.records (tenant_id, action) values (2, 'write')`);
      expect(await refused(`insert into audit.records (tenant_id, action) values (3, 'write')`)).toBe('42501');
      expect(await refused(`insert into audit.records (tenant_id, action, secret) values (2, 'write', 'x')`)).toBe('42501');
      expect(await run(`update audit.records set severity = 1 where tenant_id = 3 returning tenant_id`)).toEqual([]);
      await client.query('reset role');
      await run(`delete from audit.records where tenant_id = 2 and record_id > 10000`);
    },
    allowed: [...partitioned(table), ...widened(table, 'records_pk', 'happened_at')],
    allowedOnLeaves: [
      ...onLeaves(table, { comments: true, privileges: true, foreignKeys: true }),
      ...widened(table, 'records_pk', 'happened_at', { onLeaf: true }),
      { pattern: /^- policy audit.records./, reason: 'policies are on the table: a leaf, read by itself, shows nothing to anybody' },
    ],
    allowedInDump: [...partitionedInDump(table), widenedInDump(table, 'records_pk', 'happened_at')],
  });
});
