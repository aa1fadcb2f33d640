import { expect, test } from 'vitest';
import { sqlState, type Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { command, holds, readMigration, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { createEvents, switchAndCompare } from '../../support/events-table.ts';
import { leftovers, NO_LEFTOVERS } from '../../support/oracle.ts';
import { partitioner } from '../../support/partitioner.ts';

/** What somebody else does to the target and its leaves before the cutover. */

const NOT_YET = '55000'; // object_not_in_prerequisite_state

/** Every kind of write, as the tables' owner and superuser: nobody is let in by privilege. */
function writes(table: string): string[] {
  return [
    `insert into ${table} (id, at) overriding system value values (-1, '2026-02-02')`,
    `update ${table} set kind = 99`,
    `delete from ${table}`,
    `truncate ${table}`,
    `merge into ${table} t using (select 1 as one) s on t.id = s.one when matched then delete`,
  ];
}

async function refusals(client: Client, tables: readonly string[]): Promise<(string | undefined)[]> {
  const { rows } = await client.query<{ version: number }>(`select current_setting('server_version_num')::int as version`);
  const states: (string | undefined)[] = [];
  for (const table of tables)
    for (const write of writes(table).slice(0, rows[0]!.version < 150_000 ? 4 : 5))
      states.push(
        await client.query(write).then(
          () => 'done',
          (error: unknown) => sqlState(error),
        ),
      );
  return [...new Set(states)];
}

test('nobody else writes to the target or a leaf of it: neither while rows are copied nor when all is ready; after the cutover everybody does', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 6_000);
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 8_192 });
  await until(control, 'a chunk', () => holds(control, 'exists (select from partitioner.chunk where done)'));
  const { id } = (await readMigration(control))!;
  await command(control, id, 'pause');
  const { rows } = await control.query<{ name: string }>(
    `select format('app.%I', name) as name from partitioner.leaf union all select format('app.%I', target_name) from partitioner.migration`,
  );
  const tables = rows.map(({ name }) => name);
  expect(await refusals(control, tables)).toEqual([NOT_YET]);
  await command(control, id, 'resume');
  await untilPhase(control, 'ready');
  expect(await refusals(control, tables)).toEqual([NOT_YET]);
  // The stream makes a leaf of its own.
  await control.query(`insert into app.events (at) values ('2031-05-05')`);
  await until(control, 'the leaf', () => holds(control, `to_regclass('app.events_p2031_05') is not null`));
  expect(await refusals(control, ['app.events_p2031_05'])).toEqual([NOT_YET]);
  await control.query('update app.events set kind = 7 where id < 100');
  await until(control, 'the leaf is compared', () =>
    holds(control, '(select count(*) from partitioner.verified where reached is null) >= (select count(*) from partitioner.leaf)'),
  );
  await switchAndCompare(control);
  await daemon.ended;
  await control.query(
    `insert into app.events (at) values ('2026-02-02'); update app.events_p2026_02 set kind = 8; truncate app.events_p2026_03`,
  );
  expect(await holds(control, `not exists (select from pg_trigger where tgname = 'partitioner_guard')`)).toBe(true);
  expect(await holds(control, `to_regprocedure('partitioner.guard_${String(id)}()') is null`)).toBe(true);
});

const ALTERED: readonly [name: string, statement: string, says: RegExp][] = [
  ['a leaf is dropped', 'drop table app.events_p2026_02', /leaf events_p2026_02 was dropped/],
  ['a leaf is renamed', 'alter table app.events_p2026_02 rename to other', /leaf events_p2026_02 was dropped or renamed/],
  [
    'a leaf is detached',
    'alter table app.partitioner_1_target_events detach partition app.events_p2026_02',
    /leaf events_p2026_02 was detached/,
  ],
  [
    'a table is attached',
    `create table app.other (like app.events); alter table app.other alter column number drop default;
     alter table app.partitioner_1_target_events attach partition app.other for values from ('2040-01-01') to ('2040-02-01')`,
    /partition app\.other was attached/,
  ],
  [
    'a trigger is made on a leaf',
    `create function app.nothing() returns trigger language plpgsql as 'begin return new; end';
     create trigger nothing before insert on app.events_p2026_02 for each row execute function app.nothing()`,
    /trigger nothing was made on app\.events_p2026_02/,
  ],
  [
    'the guard is taken off',
    'alter table app.events_p2026_02 disable trigger partitioner_guard',
    /trigger partitioner_guard .* was disabled/,
  ],
  ['the target is dropped', 'drop table app.partitioner_1_target_events', /the target .* was dropped/],
];
const RUN = process.env['TEST_DDL'] === undefined ? ALTERED.filter((_, i) => i === 0 || i === 4) : ALTERED;

test.each(RUN)('%s: the migration stops and says so, the source serves', async (_, statement, says) => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 1_000);
  await using daemon = startDaemon(database.settings, 'app.events');
  await untilPhase(control, 'ready');
  await control.query(statement);
  await expect(daemon.ended).rejects.toMatchObject({ code: 'TARGET_CHANGED' });
  const { failure } = (await readMigration(control)) as unknown as { failure: { message: string } };
  expect(failure.message).toMatch(says);
  await control.query('update app.events set kind = 1 where id = 5');
  await control.query('drop table if exists app.other');
  expect(await partitioner(['abort', 'app.events'], { DATABASE_URL: database.url })).toMatchObject({ code: 0 });
  expect(await leftovers(control)).toEqual(NO_LEFTOVERS);
});
