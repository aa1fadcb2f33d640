import { expect, test } from 'vitest';
import { createPlainEvents, foreignKeysIn } from '../../support/attached-table.ts';
import { checkAs } from '../../support/check.ts';
import { createDatabase } from '../../support/database.ts';
import { isAfter, travel, type Application, type Moment } from '../../support/journey.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

const ORPHAN = '23503';

async function insertEvent({ run }: Application): Promise<{ id: string; at: Date }> {
  const [event] = await run<{ id: string; at: Date }>(
    `insert into app.events (at, v) values ('2026-02-03 04:05:06', 'referenced') returning id, at`,
  );
  return event!;
}

/** `note_event_fkey`: ON DELETE CASCADE, ON UPDATE CASCADE. */
async function expectNoteKey(app: Application, isEnforced: boolean): Promise<void> {
  const { run, refused } = app;
  const event = await insertEvent(app);
  await run('insert into app.note_of (event, event_at) values ($1, $2)', [event.id, event.at]);
  const orphan = await refused(`insert into app.note_of (event, event_at, body) values (-1, '2026-02-03', 'orphan')`);
  expect(orphan).toBe(isEnforced ? ORPHAN : null);
  await run(`delete from app.note_of where body = 'orphan'`);
  if (isEnforced) {
    await run('update app.events set id = -5 where id = $1', [event.id]);
    expect(await run('select count(*)::int as rows from app.note_of where event = -5')).toEqual([{ rows: 1 }]);
    await run('update app.events set id = $1 where id = -5', [event.id]);
  }
  await run('delete from app.events where id = $1', [event.id]);
  expect(await run('select count(*)::int as rows from app.note_of where event = $1', [event.id])).toEqual([{ rows: isEnforced ? 0 : 1 }]);
  await run('delete from app.note_of where event = $1', [event.id]);
}

/** `mark_event_fkey`: ON DELETE SET NULL, deferred. */
async function expectMarkKey(app: Application): Promise<void> {
  const { run, client } = app;
  const event = await insertEvent(app);
  const [mark] = await run<{ id: number }>('insert into app.mark (event, event_at) values ($1, $2) returning id', [event.id, event.at]);
  await run('delete from app.events where id = $1', [event.id]);
  expect(await run('select event from app.mark where id = $1', [mark!.id])).toEqual([{ event: null }]);
  await run('delete from app.mark where id = $1', [mark!.id]);
  await client.query('begin');
  await run(`insert into app.mark (event, event_at) values (-2, '2026-02-03 00:00:00+00')`);
  await run(`insert into app.events (id, at) values (-2, '2026-02-03 00:00:00+00')`);
  await client.query('commit');
  await client.query('begin');
  await run(`insert into app.mark (event, event_at) values (-3, '2026-02-03 00:00:00+00')`);
  await expect(client.query('commit')).rejects.toMatchObject({ code: ORPHAN });
  await run('delete from app.mark where event = -2');
  await run('delete from app.events where id = -2');
}

async function keys({ run }: Application): Promise<unknown[]> {
  return run(`
    select conname, convalidated, pg_get_constraintdef(oid) as definition, obj_description(oid, 'pg_constraint') as comment, confrelid::regclass::text as table
    from pg_constraint where contype = 'f' and conparentid = 0 and conrelid in ('app.note_of'::regclass, 'app.mark'::regclass) order by 1`);
}

test('foreign keys in go on where the primary key has the partition key', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client, 'id, at');
  await client.query(foreignKeysIn('id, at'));
  let before: unknown[] = [];
  await travel(database, {
    look: async (app: Application, moment: Moment) => {
      await expectNoteKey(app, true);
      await expectMarkKey(app);
      if (moment === 'before') before = await keys(app);
      if (moment !== 'switched') expect(await keys(app)).toEqual(before);
      if (!isAfter(moment) || DEFAULT_MAJOR < 15) return;
      // A row that moves to another leaf takes what references it along.
      const event = await insertEvent(app);
      await app.run('insert into app.note_of (event, event_at) values ($1, $2)', [event.id, event.at]);
      await app.run(`update app.events set at = at + interval '1 month' where id = $1`, [event.id]);
      expect(
        await app.run(`select event_at - interval '1 month' = $2 as moved from app.note_of where event = $1`, [event.id, event.at]),
      ).toEqual([{ moved: true }]);
      await app.run('delete from app.events where id = $1', [event.id]);
    },
  });
});

test('foreign keys in are dropped or widened as decided', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(foreignKeysIn('id'));

  const undecided = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  for (const name of ['app.note_of.note_event_fkey', 'app.mark.mark_event_fkey']) {
    const finding = undecided.find(({ object, message }) => object.includes(name) || message.includes(name.split('.')[2]!));
    expect(finding, name).toBeDefined();
    expect(finding!.fix).toContain(`foreign-key:${name}=drop`);
    expect(finding!.fix).toContain(`foreign-key:${name}=widen:`);
  }

  await travel(database, {
    plan: { decisions: { 'foreign-key:app.note_of.note_event_fkey': 'drop', 'foreign-key:app.mark.mark_event_fkey': 'widen:event_at' } },
    look: async (app: Application, moment: Moment) => {
      await expectNoteKey(app, !isAfter(moment));
      await expectMarkKey(app);
      if (moment === 'switched' || !isAfter(moment)) return;
      expect(await keys(app)).toEqual([
        {
          conname: 'mark_event_fkey',
          convalidated: true,
          definition: 'FOREIGN KEY (event, event_at) REFERENCES app.events(id, at) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED',
          comment: null,
          table: 'app.events',
        },
      ]);
    },
  });
});

test('a foreign key of the table to itself is dropped when that is decided', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(`
    alter table app.events add column parent bigint constraint events_parent_fkey references app.events;
    update app.events set parent = id - 1 where id > 1;`);
  const undecided = (await checkAs(database.settings, 'app.events')).filter(({ severity }) => severity === 'blocker');
  expect(undecided).toHaveLength(1);
  expect(undecided[0]!.message).toContain('events_parent_fkey');
  expect(undecided[0]!.fix).toContain('foreign-key:app.events.events_parent_fkey=drop');
  await travel(database, {
    plan: { decisions: { 'foreign-key:app.events.events_parent_fkey': 'drop' } },
    look: async ({ run, refused }: Application, moment: Moment) => {
      expect(await refused(`insert into app.events (at, parent, v) values ('2026-02-03', -1, 'orphan')`)).toBe(
        isAfter(moment) ? null : ORPHAN,
      );
      await run(`delete from app.events where v = 'orphan'`);
    },
  });
});
