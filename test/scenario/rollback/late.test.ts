import { expect, test } from 'vitest';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { holds, readMigration, startDaemon, until, type TestDaemon } from '../../support/daemon.ts';
import { createEvents } from '../../support/events-table.ts';
import { differingRows } from '../../support/oracle.ts';
import { expectKind, switchBack, switchOver, untilPhaseOf } from '../../support/way-back.ts';

/** What came while the table was migrated and was left to the switch, once the switch was taken back. */

/** Ready, with a NOT NULL and a CHECK that came meanwhile. */
async function startWithLate(database: TestDatabase, control: Client): Promise<TestDaemon> {
  await createEvents(control, 500);
  const daemon = startDaemon(database.settings, 'app.events');
  await untilPhaseOf(daemon, control, 'ready');
  await control.query('alter table app.events alter column v set not null, add constraint positive check (kind >= 0)');
  await until(control, 'it is followed', () =>
    holds(control, `(select plan #> '{late,notNull}' = '["v"]' from partitioner.migration where reverse_of is null)`),
  );
  return daemon;
}

test('a NOT NULL and a CHECK that came late are dropped after a rollback: rows that break them follow', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await using daemon = await startWithLate(database, control);
  // As with a table that is validated for hours.
  await control.query(`
    create function app.hold() returns event_trigger language plpgsql as $$
      begin
        if current_query() ilike '%validate constraint%' then raise lock_not_available using message = 'held'; end if;
      end $$;
    create event trigger hold on ddl_command_end execute function app.hold();`);
  await switchOver(daemon, control);
  await switchBack(control);
  await control.query('drop event trigger hold');
  await untilPhaseOf(daemon, control, 'ready');
  await control.query(`insert into app.events (at, v) values ('2031-05-05', 'a leaf of its own')`);
  await until(control, 'its leaf', () => holds(control, `to_regclass('app.events_p2031_05') is not null`));
  await control.query('alter table app.events alter column v drop not null, drop constraint positive');
  await control.query('update app.events set v = null, kind = -1 where id % 7 = 0');
  await control.query(`insert into app.events (at, v, kind) values ('2032-05-05', null, -1)`);
  const applied = until(control, 'the rows', () => holds(control, `to_regclass('app.events_p2032_05') is not null`));
  await Promise.race([applied, daemon.ended]);
  await switchOver(daemon, control);
  await expectKind(control, 'p');
  const { retired_name: name } = (await readMigration(control))!;
  expect(await differingRows(control, { schema: 'app', name }, { schema: 'app', name: 'events' })).toEqual([]);
  expect(await holds(control, `exists (select from pg_constraint where conrelid = 'app.events'::regclass and contype = 'c')`)).toBe(false);
});

test('what the steps after the switch make of a late NOT NULL and a late CHECK does not stand in the way of the rollback', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await using daemon = await startWithLate(database, control);
  await switchOver(daemon, control);
  await until(control, 'the steps are done', () =>
    holds(control, `(select count(*) > 0 and bool_and(done_at is not null) from partitioner.after_step)`),
  );
  await control.query(`comment on table app.events is 'altered by somebody else'`);
  await expect(switchBack(control)).rejects.toThrow(/SOURCE_CHANGED/);
  await control.query(`comment on table app.events is 'what happened'`);
  await switchBack(control);
  await expectKind(control, 'r');
  expect(await holds(control, `(select attnotnull from pg_attribute where attrelid = 'app.events'::regclass and attname = 'v')`)).toBe(
    true,
  );
  await switchOver(daemon, control);
  await expectKind(control, 'p');
});
