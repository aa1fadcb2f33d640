import { expect, test } from 'vitest';
import type { Client } from '../../../src/pg/client.ts';
import { createPlainEvents, publications } from '../../support/attached-table.ts';
import { checkAs } from '../../support/check.ts';
import { createDatabase } from '../../support/database.ts';
import { isAfter, travel, type Application, type Moment } from '../../support/journey.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';
import { subscribe, type Subscriber } from '../../support/subscriber.ts';

/** What a subscriber has: a row that arrived twice would stop it. */
const TABLES = `
  create schema app;
  create table app.events (id bigint primary key, at timestamptz, tenant int, kind int, v text, doc jsonb, stamps text, person int, region text, code int, other int, loose int);
  create table app.tenant (id int primary key, name text);`;

async function expectToArrive({ run }: Application, { client, arrives }: Subscriber, table = 'app.events'): Promise<void> {
  const [made] = await run<{ id: string }>(
    `insert into app.events (at, kind, v, doc) values ('2026-02-03', 1, 'sent', '{"a": 1}') returning id`,
  );
  const id = made!.id;
  await arrives(`select from ${table} where id = $1 and v = 'sent' and doc = '{"a": 1}'`, [id]);
  await run(`update app.events set v = 'sent again' where id = $1`, [id]);
  await arrives(`select from ${table} where id = $1 and v = 'sent again'`, [id]);
  const { rows } = await client.query(`select count(*)::int as rows from ${table} where id = $1`, [id]);
  expect(rows, 'once').toEqual([{ rows: 1 }]);
  await run('delete from app.events where id = $1', [id]);
  await arrives(`select where not exists (select from ${table} where id = $1)`, [id]);
}

async function memberships(client: Client): Promise<unknown[]> {
  const { rows } = await client.query(
    `select p.pubname, schemaname, tablename, ${DEFAULT_MAJOR >= 15 ? 'attnames::text[], rowfilter,' : ''} pubviaroot, pubinsert, pubupdate, pubdelete, pubtruncate
     from pg_publication_tables t join pg_publication p using (pubname) where pubname !~ '^partitioner_' order by 1, 2, 3`,
  );
  return rows;
}

test('a subscriber goes on receiving each row once, by the same name', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(publications(DEFAULT_MAJOR));
  await using subscriber = await subscribe(database, 'all_of_it', TABLES);
  let before: unknown[] = [];
  await travel(database, {
    look: async (app: Application, moment: Moment) => {
      await expectToArrive(app, subscriber);
      await app.run(`update app.tenant set name = $1 where id = 2`, [moment]);
      if (moment === 'before') before = await memberships(client);
      expect(await memberships(client)).toEqual(before);
    },
  });
  // Nothing of the copying reached it: it has what the writer wrote, and that as it is at the source.
  const { rows: source } = await client.query<{ rows: string }>(`select count(*) as rows from app.events where v like 'writer%'`);
  await subscriber.arrives(`select from app.events having count(*) = $1`, [source[0]!.rows]);
});

test.skipIf(DEFAULT_MAJOR < 15)('a row filter and a column list go on', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(publications(DEFAULT_MAJOR));
  await using subscriber = await subscribe(database, 'part_of_it', TABLES);
  await travel(database, {
    look: async ({ run }: Application) => {
      const made = await run<{ id: string; v: string }>(
        `insert into app.events (at, kind, v, tenant) values ('2026-02-03', 50, 'filtered', 5), ('2026-02-03', 150, 'x', 5), ('2026-02-03', 150, 'through', 5) returning id, v`,
      );
      const id = made.find(({ v }) => v === 'through')!.id;
      await subscriber.arrives('select from app.events where id = $1', [id]);
      const { rows } = await subscriber.client.query('select kind, v, tenant, doc from app.events where id = any ($1)', [
        made.map((row) => row.id),
      ]);
      expect(rows, 'the row and the columns that pass').toEqual([{ kind: 150, v: 'through', tenant: null, doc: null }]);
      await run('delete from app.events where id = any ($1)', [made.map((row) => row.id)]);
    },
  });
});

test('a publication that does not publish through the root: by the name of the table when that is decided', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query('create publication plain for table app.events');
  const undecided = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  expect(undecided).toHaveLength(1);
  expect(undecided[0]!.message).toContain('plain');
  expect(undecided[0]!.fix).toContain('publication:plain=root');
  await using subscriber = await subscribe(database, 'plain', TABLES);
  await travel(database, {
    plan: { decisions: { 'publication:plain': 'root' } },
    look: async (app: Application) => {
      await expectToArrive(app, subscriber);
    },
  });
});

test('a publication that does not publish through the root: by the names of the leaves when that is decided', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query('create publication plain for table app.events');
  await using subscriber = await subscribe(database, 'plain', TABLES);
  await travel(database, {
    plan: { decisions: { 'publication:plain': 'leaves' } },
    look: async (app: Application, moment: Moment) => {
      if (moment === 'ready') {
        // The leaves have to be there before the switch; a subscriber takes note of new tables when it is refreshed.
        const leaves = await app.run<{ leaf: string }>(
          `select relname as leaf from pg_class where relname like 'events\\_p%' and relkind = 'r'`,
        );
        for (const { leaf } of leaves) await subscriber.client.query(`create table app.${leaf} (like app.events including indexes)`);
      }
      if (!isAfter(moment)) {
        await expectToArrive(app, subscriber);
        return;
      }
      const { rows } = await subscriber.client.query<{ name: string }>(
        'select subname as name from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())',
      );
      await subscriber.client.query(`alter subscription ${rows[0]!.name} refresh publication with (copy_data = false)`);
      await expectToArrive(app, subscriber, 'app.events_p2026_02');
    },
  });
});

test.each([
  ['everything', 'create publication everything for all tables', 14],
  ['of_schema', 'create publication of_schema for tables in schema app', 15],
] as const)('the check explains that the copy leaks into %s', async (name, sql, since) => {
  if (DEFAULT_MAJOR < since) return;
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(sql);
  const undecided = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  expect(undecided).toHaveLength(1);
  expect(undecided[0]!.message).toContain(name);
  expect(undecided[0]!.fix).toContain(`publication:${name}=`);
  const decided = await checkAs(database.settings, 'app.events', { decisions: { [`publication:${name}`]: 'root' } });
  expect(decided.filter(({ severity }) => severity === 'blocker')).toEqual([]);
  expect(
    decided.find(({ severity, message }) => severity === 'warning' && message.includes(name)),
    'what the subscriber sees',
  ).toBeDefined();
});
