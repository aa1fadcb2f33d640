import { expect, test } from 'vitest';
import { ATTACHED_DECISIONS, createPlainEvents, foreignKeysIn, foreignKeysOut } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { command, startDaemon, untilPhase } from '../../support/daemon.ts';
import { application } from '../../support/journey.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

const ORPHAN = '23503';
const { 'foreign-key:app.note_of.note_event_fkey': widen, 'foreign-key:app.mark.mark_event_fkey': drop } = ATTACHED_DECISIONS;
const DECISIONS = { 'foreign-key:app.note_of.note_event_fkey': widen, 'foreign-key:app.mark.mark_event_fkey': drop };

test('a validation that the data refuses stays NOT VALID, guards new rows, and does not hold up the rest', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const { run, refused } = application(await database.client('application'));
  await createPlainEvents(control);
  await control.query(foreignKeysIn('id'));
  // What is to be its second column does not say what the event says.
  await control.query(`
    update app.note_of set event_at = event_at + interval '1 second' where id = 3;
    create table app.reply (id int primary key, event bigint constraint reply_event_fkey references app.events, event_at timestamptz);
    insert into app.reply select 1, id, at from app.events where id = 9;`);
  await using daemon = startDaemon(database.settings, 'app.events', {
    decisions: { ...DECISIONS, 'foreign-key:app.reply.reply_event_fkey': 'widen:event_at' },
  });
  const { id } = await untilPhase(control, 'ready');
  await command(control, id, 'cutover');
  await daemon.ended;
  const { rows } = await control.query(
    `select conname, convalidated from pg_constraint where contype = 'f' and conparentid = 0 and conrelid in ('app.note_of'::regclass, 'app.mark'::regclass, 'app.reply'::regclass) order by 1`,
  );
  expect(rows).toEqual([
    { conname: 'note_event_fkey', convalidated: false },
    { conname: 'reply_event_fkey', convalidated: true },
  ]);
  expect(await refused(`insert into app.note_of (event, event_at) select id, at + interval '1 second' from app.events where id = 50`)).toBe(
    ORPHAN,
  );
  expect(await run(`insert into app.note_of (event, event_at) select id, at from app.events where id = 50 returning event`)).toEqual([
    { event: '50' },
  ]);
});

test('a daemon that was stopped after the switch, before all is validated, is taken over by the next', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createPlainEvents(control);
  await control.query(foreignKeysOut(DEFAULT_MAJOR));
  await control.query(foreignKeysIn('id'));
  await using first = startDaemon(database.settings, 'app.events', { decisions: DECISIONS });
  const { id } = await untilPhase(control, 'ready');
  // Each validation ends with its session.
  await control.query(`
    create function app.cut() returns event_trigger language plpgsql as $$
      begin
        if current_query() ilike '%validate constraint%' then perform pg_terminate_backend(pg_backend_pid()); end if;
      end $$;
    create event trigger cut on ddl_command_end execute function app.cut();`);
  await command(control, id, 'cutover');
  await first.stop();
  const unfinished = `select count(*)::int as steps from partitioner.after_step where done_at is null`;
  const { rows: before } = await control.query<{ steps: number }>(unfinished);
  expect(before[0]!.steps).toBeGreaterThan(4);
  await control.query('drop event trigger cut');
  await using second = startDaemon(database.settings, 'app.events', { decisions: DECISIONS });
  await second.ended;
  expect((await control.query(unfinished)).rows).toEqual([{ steps: 0 }]);
  // Before 18 the rows that stand for a reference to each leaf, below the one that was validated, stay as they were made.
  const { rows } = await control.query(
    `select conname from pg_constraint c join pg_class r on r.oid = c.confrelid
     where contype = 'f' and not convalidated and not r.relispartition and conname <> 'events_loose_fkey' and conname not like 'partitioner%'`,
  );
  expect(rows).toEqual([]);
});
