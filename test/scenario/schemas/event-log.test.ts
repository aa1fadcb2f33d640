import { expect, test } from 'vitest';
import { quoteIdent } from '../../../src/domain/identifier.ts';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { onLeaves, partitioned, partitionedInDump } from '../../support/partitioning-differences.ts';
import { migrateRebuilt } from '../../support/rebuilt-schema.ts';
import { createRole } from '../../support/roles.ts';

/** An event log: append-mostly, rolled up into materialized views, with views and routines on those. */

const EVENTS = 4_000;
const FIRST = `(date_trunc('month', now() at time zone 'UTC')::date - 60)`;

async function createEventLog(client: Client, owner: string, reporter: string): Promise<void> {
  const [o, r] = [owner, reporter].map(quoteIdent) as [string, string];
  await client.query(`
    create schema log authorization ${o};
    create schema rollup authorization ${o};
    set role ${o};
    grant usage on schema log, rollup to ${r};
    create sequence log.event_id as bigint cache 20;
    create type log.level as enum ('debug', 'info', 'warning', 'error');
    create table log.sources (name text primary key, note text);
    insert into log.sources select 's' || n from generate_series(1, 8) n;
    create table log.events (
      event_id bigint not null default nextval('log.event_id'),
      day date not null default current_date,
      at timestamptz not null default now(),
      source text not null references log.sources on update cascade,
      level log.level not null default 'info',
      session uuid,
      message text,
      payload jsonb not null default '{}',
      tags text[],
      duration interval,
      constraint events_pk primary key (event_id, day),
      constraint payload_is_object check (jsonb_typeof(payload) = 'object')
    ) with (fillfactor = 100, autovacuum_analyze_scale_factor = 0.2);
    create table log.dropped_events (event_id bigint primary key default nextval('log.event_id'), why text);
    alter table log.events alter column payload set compression pglz, alter column message set storage main;
    create index events_at on log.events using brin (at);
    create index events_payload on log.events using gin (payload jsonb_path_ops);
    create index events_errors on log.events (source, at desc) where level = 'error';
    create index events_session on log.events using hash (session);
    create unique index events_once on log.events (session, at);
    comment on table log.events is 'what happened';
    insert into log.events (event_id, day, at, source, level, session, message, payload, tags, duration)
      select nextval('log.event_id'), ${FIRST} + n / 50, (${FIRST} + n / 50) + n * interval '1 second', 's' || 1 + n % 8, (array['debug', 'info', 'warning', 'error'])[1 + n % 4]::log.level,
        md5(n::text)::uuid, 'message ' || n, jsonb_build_object('n', n), array['t' || n % 3], n * interval '1 millisecond'
      from generate_series(1, ${String(EVENTS)}) n;

    create view log.recent_errors as select event_id, day, at, source, message from log.events where level = 'error';
    create materialized view rollup.daily with (fillfactor = 70, autovacuum_enabled = false) as
      select day, source, level, count(*) as events, max(at) as last_at, avg(duration) as mean from log.events group by day, source, level;
    create unique index daily_key on rollup.daily (day, source, level);
    create index "Daily by Source" on rollup.daily (source, events desc) include (last_at) with (fillfactor = 60) where events > 0;
    alter materialized view rollup.daily cluster on daily_key;
    alter materialized view rollup.daily alter column events set statistics 250;
    alter materialized view rollup.daily alter column source set (n_distinct = 8);
    create materialized view rollup.errors as select day, count(*) as errors from log.recent_errors group by day with no data;
    create view rollup.weekly as select date_trunc('week', day)::date as week, source, sum(events) as events from rollup.daily group by 1, 2;
    create materialized view rollup.monthly as select date_trunc('month', week)::date as month, sum(events) as events from rollup.weekly group by 1;
    create unique index monthly_key on rollup.monthly (month);
    create view rollup.summary with (security_barrier = true) as select m.month, m.events, (select count(*) from log.sources) as sources from rollup.monthly m;
    create statistics rollup.daily_stats (dependencies) on day, source from rollup.daily;
    comment on materialized view rollup.daily is 'refreshed every night';
    comment on column rollup.daily.mean is 'of those that have one';
    comment on index rollup.daily_key is 'for concurrent refreshes';
    comment on view rollup.summary is 'for the dashboard';
    grant select on rollup.daily to ${r} with grant option;
    grant select (month) on rollup.monthly to ${r};
    grant select on rollup.weekly, rollup.summary to ${r};
    create function rollup.events_of(wanted text) returns numeric language sql stable return (select sum(events) from rollup.daily where source = wanted);
    create function log.latest() returns timestamptz language sql stable begin atomic select max(at) from log.events; end;
    create function rollup.refresh() returns void language plpgsql security definer as $$
      begin
        refresh materialized view concurrently rollup.daily;
        refresh materialized view rollup.errors;
        refresh materialized view concurrently rollup.monthly;
      end $$;
    create function log.count_rows() returns trigger language plpgsql security definer as $$
      begin
        update log.sources s set note = coalesce(nullif(s.note, '')::int, 0) + f.n from (select source, count(*) as n from fresh group by source) f where f.source = s.name;
        return null;
      end $$;
    create trigger count_rows after insert on log.events referencing new table as fresh for each statement execute function log.count_rows();
    create view log.inbox as select source, message, payload from log.events;
    create rule inbox_insert as on insert to log.inbox do instead insert into log.events (source, message, payload) values (new.source, new.message, coalesce(new.payload, '{}'));
    create publication dashboards for table log.events, log.sources with (publish = 'insert', publish_via_partition_root = true);
    grant insert on log.inbox to ${r};
    grant select on log.events to ${r};
    grant usage on sequence log.event_id to ${r};
    reset role;`);
  await client.query('vacuum analyze log.events');
}

test('an event log with a materialized rollup', async () => {
  await using database = await createDatabase();
  const owner = await createRole(database, 'nologin', ['create', 'temporary']);
  const reporter = await createRole(database, 'nologin', []);
  const table = 'log.events';
  await migrateRebuilt(database, {
    schemas: ['log', 'rollup'],
    table,
    plan: { range: 'day', every: '2 weeks', decisions: { 'unique:events_once': 'per-leaf' } },
    create: (client) => createEventLog(client, owner.name, reporter.name),
    write: [
      ({ run }) => run(`insert into log.events (source, message) values ('s1', 'writer')`),
      ({ run }) =>
        run(`insert into log.events (source, message, day) select 's2', 'writer', current_date - n from generate_series(1, 3) n`),
      ({ run }) =>
        run(
          `update log.events set tags = array['late'] where message = 'writer' and event_id = (select max(event_id) from log.events where message = 'writer')`,
        ),
      ({ run }) =>
        run(
          `delete from log.events where message = 'writer' and event_id = (select min(event_id) from log.events where message = 'writer')`,
        ),
    ],
    look: async ({ run }) => ({
      daily: await run('select * from rollup.daily where day < $1 order by day, source, level limit 50', ['2000-01-01']),
      some: await run(`select * from rollup.weekly where source = $1 and week < current_date - 50 order by week`, ['s5']),
      errors: await run('select count(*) from log.recent_errors'),
      summary: await run('select min(month), sum(sources) >= 8 as enough from rollup.summary'),
    }),
    act: async ({ run, client, refused }) => {
      await client.query(`set role ${quoteIdent(reporter.name)}`);
      await run(`insert into log.inbox (source, message) values ('s3', 'by the rule')`);
      expect(await refused('select events from rollup.monthly')).toBe('42501');
      await run('select month from rollup.monthly');
      await client.query('reset role');
      expect(await run(`delete from log.events where message = 'by the rule' returning source`)).toEqual([{ source: 's3' }]);
      const count = async (): Promise<unknown> => run<{ events: string }>(`select rollup.events_of('s4') as events`);
      const before = await count();
      await run(`insert into log.events (source, message, session) values ('s4', 'refreshed', '00000000-0000-0000-0000-000000000001')`);
      expect(await refused(`insert into log.events (source, session, at) values ('nobody', null, now())`)).toBe('23503');
      expect(await count()).toEqual(before);
      await client.query('refresh materialized view concurrently rollup.daily');
      expect(await count()).not.toEqual(before);
      await run(`delete from log.events where message = 'refreshed'`);
      await client.query('refresh materialized view concurrently rollup.daily; refresh materialized view concurrently rollup.monthly');
      expect(await refused('select * from rollup.errors')).toBe('55000'); // never filled
    },
    allowed: [
      ...partitioned(table, { options: true }),
      { pattern: /^- (dependency: )?index log\.events_once /, reason: 'on each leaf alone, as decided' },
    ],
    allowedOnLeaves: [...onLeaves(table, { comments: true, privileges: true, foreignKeys: true, statementTriggers: true })],
    allowedInDump: [
      ...partitionedInDump(table, { options: true }),
      { pattern: /^- events_once; Type: INDEX/, reason: 'on each leaf alone, as decided' },
    ],
  });
});
