import { expect, test } from 'vitest';
import { createPlainEvents, TRIGGERS } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { isAfter, travel, type Application, type Moment } from '../../support/journey.ts';

/** What fired in one transaction, in order; the row's own id is `own`. */
async function fired({ run }: Application, id: string | null, tx: string): Promise<string[]> {
  const rows = await run<{ line: string }>(
    `select concat_ws(' ', who, op, case when id = $1::bigint then 'own' else id::text end, nullif(detail, '')) as line from app.log where tx = $2::xid8 order by n`,
    [id, tx],
  );
  return rows.map(({ line }) => line);
}

async function inTransaction<T>(app: Application, use: (tx: string) => Promise<T>): Promise<T> {
  await app.client.query('begin');
  const [{ tx }] = (await app.run<{ tx: string }>('select pg_current_xact_id()::text as tx')) as [{ tx: string }];
  try {
    const result = await use(tx);
    await app.client.query('commit');
    return result;
  } catch (error) {
    await app.client.query('rollback');
    throw error;
  }
}

const MADE = [
  'statement_before BEFORE INSERT STATEMENT',
  'a_row AFTER INSERT ROW own',
  'always AFTER INSERT ROW own',
  `z_row AFTER INSERT ROW own x,it's`,
  'fresh_rows INSERT 1 mine',
  'statement_after AFTER INSERT STATEMENT',
];

async function expectOncePerWrite(app: Application, at: string): Promise<void> {
  const { run } = app;
  const made = await inTransaction(app, async (tx) => {
    const [row] = await run<{ id: string; stamps: string }>(`insert into app.events (at, v) values ($1, 'mine') returning id, stamps`, [
      at,
    ]);
    return { ...row!, fired: await fired(app, row!.id, tx) };
  });
  expect(made.stamps, 'BEFORE triggers in the order of their names').toBe('Aab');
  expect(made.fired).toEqual(MADE);

  const changed = await inTransaction(app, async (tx) => {
    const [row] = await run<{ stamps: string }>(`update app.events set kind = 5, v = 'changed' where id = $1 returning stamps`, [made.id]);
    return { ...row!, fired: await fired(app, made.id, tx) };
  });
  expect(changed.stamps).toBe('AabAab');
  expect(changed.fired, 'WHEN holds, UPDATE OF does not').toEqual([
    'statement_before BEFORE UPDATE STATEMENT',
    'kind_changed AFTER UPDATE ROW own',
    `z_row AFTER UPDATE ROW own x,it's`,
    'changed_rows UPDATE mine to changed',
    'statement_after AFTER UPDATE STATEMENT',
  ]);

  const documented = await inTransaction(app, async (tx) => {
    await run(`update app.events set doc = '{"a": 1}' where id = $1`, [made.id]);
    return fired(app, made.id, tx);
  });
  expect(documented, 'UPDATE OF holds, WHEN does not').toEqual([
    'statement_before BEFORE UPDATE STATEMENT',
    'doc_written AFTER UPDATE ROW own',
    `z_row AFTER UPDATE ROW own x,it's`,
    'changed_rows UPDATE changed to changed',
    'statement_after AFTER UPDATE STATEMENT',
  ]);

  const gone = await inTransaction(app, async (tx) => {
    await run(`delete from app.events where id = $1`, [made.id]);
    return fired(app, made.id, tx);
  });
  expect(gone).toEqual([
    'statement_before BEFORE DELETE STATEMENT',
    `z_row AFTER DELETE ROW own x,it's`,
    'statement_after AFTER DELETE STATEMENT',
  ]);
}

async function expectVetoAndRefusals(app: Application): Promise<void> {
  const { run, refused, client } = app;
  const [row] = await run<{ id: string }>(`insert into app.events (at, v, kind) values ('2026-02-05', 'kept', 13) returning id`);
  await run('delete from app.events where id = $1', [row!.id]);
  expect(await run('select v from app.events where id = $1', [row!.id])).toEqual([{ v: 'kept' }]);
  await run('update app.events set kind = 0 where id = $1', [row!.id]);
  await run('delete from app.events where id = $1', [row!.id]);
  expect(await run('select v from app.events where id = $1', [row!.id])).toEqual([]);
  expect(await refused('truncate app.events cascade')).toBe('P0001');

  const unbalanced = `insert into app.events (at, v, kind) values ('2026-02-06', 'unbalanced', 99) returning id`;
  await client.query('begin');
  await run(unbalanced);
  await expect(client.query('commit'), 'deferred to the commit').rejects.toMatchObject({ code: '23514' });
  await client.query('begin');
  const [mended] = await run<{ id: string }>(unbalanced);
  await run(`update app.events set kind = 98, v = 'balanced' where id = $1`, [mended!.id]);
  await client.query('commit');
  await client.query('begin');
  await run(unbalanced);
  expect(await refused('set constraints app.balanced immediate')).toBe('23514');
  await client.query('rollback');
  await run('delete from app.events where id = $1', [mended!.id]);
}

/** Origin triggers are quiet when a replica writes, those for replicas and the ones that fire always are not. */
async function expectReplicaState(app: Application): Promise<void> {
  await app.client.query('set session_replication_role = replica');
  const lines = await inTransaction(app, async (tx) => {
    const [row] = await app.run<{ id: string }>(`insert into app.events (at, v) values ('2026-02-07', 'replicated') returning id`);
    return fired(app, row!.id, tx);
  }).finally(() => app.client.query('reset session_replication_role'));
  expect(lines).toEqual(['always AFTER INSERT ROW own', 'on_replica AFTER INSERT ROW own']);
  await app.run(`delete from app.events where v = 'replicated'`);
}

async function states({ run }: Application): Promise<unknown[]> {
  return run(
    `select tgname, tgenabled, obj_description(oid, 'pg_trigger') as comment from pg_trigger where tgrelid = 'app.events'::regclass and not tgisinternal order by tgname`,
  );
}

test('triggers fire once per write, in their order, with their conditions and states, all the way', async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createPlainEvents(client);
  await client.query(TRIGGERS);
  let before: unknown[] = [];
  await travel(database, {
    look: async (app: Application, moment: Moment) => {
      await expectOncePerWrite(app, '2026-02-03');
      await expectVetoAndRefusals(app);
      await expectReplicaState(app);
      if (moment === 'before') before = await states(app);
      expect(await states(app)).toEqual(before);
      if (!isAfter(moment)) return;
      const { rows } = await app.client.query<{ leaves: number }>(
        `select count(*)::int as leaves from pg_inherits i join pg_trigger t on t.tgrelid = i.inhrelid where i.inhparent = 'app.events'::regclass and t.tgname = 'z_row'`,
      );
      expect(rows[0]!.leaves, 'a trigger on every leaf').toBeGreaterThan(2);
    },
    retired: async (app, retired) => {
      // It takes no writes; where they are let through (as a way back would), its own triggers do not fire.
      await expect(app.client.query(`delete from ${retired} where id = 6`)).rejects.toMatchObject({ code: '40001' });
      await app.client.query(`alter table ${retired} disable trigger partitioner_refuse`);
      const lines = await inTransaction(app, async (tx) => {
        await app.client.query(
          `update ${retired} set v = 'touched' where id = 5; delete from ${retired} where id = 6; insert into ${retired} (id, at) values (0, now())`,
        );
        return fired(app, null, tx);
      });
      expect(lines, 'on the retired table none fires').toEqual([]);
      // A leaf that is made later has them too, in the same states.
      await app.client.query(`create table app.events_later partition of app.events for values from ('2044-01-01') to ('2044-02-01')`);
      await expectOncePerWrite(app, '2044-01-03');
    },
  });
});
