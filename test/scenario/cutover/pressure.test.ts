import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { connect, sqlState, type Client } from '../../../src/pg/client.ts';
import { HAS, setCutoverStage, WAITS } from '../../support/cutover-stage.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { holds, until } from '../../support/daemon.ts';
import { createRole } from '../../support/roles.ts';

/** What the application holds and waits for while it is switched. No statement of it may fail, and none is lost. */

const isPartitioned = (control: Client): Promise<boolean> =>
  holds(control, `(select relkind = 'p' from pg_class where oid = 'app.events'::regclass)`);

interface Sessions {
  /** Stops them: how many statements or transactions were done, and how any was refused. */
  stop(): Promise<{ done: number; refused: string[] }>;
}

/** So many sessions that do `use` over and over. */
function repeat(database: TestDatabase, sessions: number, use: (client: Client) => Promise<unknown>): Sessions {
  let stopped = false;
  const refused: string[] = [];
  const counts = Array.from({ length: sessions }, async () => {
    const client = await database.client('application');
    let done = 0;
    while (!stopped) {
      try {
        await use(client);
        done++;
      } catch (error) {
        refused.push(`${sqlState(error) ?? ''} ${String(error)}`);
        await client.query('rollback');
      }
    }
    return done;
  });
  return {
    stop: async () => {
      stopped = true;
      return { done: (await Promise.all(counts)).reduce((sum, count) => sum + count, 0), refused };
    },
  };
}

test('long readers and long writers without a pause: the cutover finds its moment, nobody fails, every write is there', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, cutover, daemon } = stage;
  const writers = repeat(database, 4, (client) => client.query(`insert into app.events (at, v) values (now(), 'short')`));
  const long = repeat(database, 2, async (client) => {
    await client.query('begin');
    await client.query(`insert into app.events (at, v) values (now(), 'long')`);
    await sleep(150);
    await client.query(`update app.events set kind = kind + 1 where id = 100 + $1::int`, [Math.floor(Math.random() * 1_000)]);
    await client.query('commit');
    await sleep(100);
  });
  const readers = repeat(database, 2, async (client) => {
    await client.query('begin isolation level repeatable read');
    await client.query('select count(*) from app.events');
    await sleep(150);
    await client.query('commit');
    await sleep(100);
  });
  expect(await cutover({ lockTimeoutMs: 100, maxLockHoldMs: 2_000, attempts: 500 })).toMatchObject({ ok: true });
  const [short, written, read] = [await writers.stop(), await long.stop(), await readers.stop()];
  for (const { refused, done } of [short, written, read]) expect([refused, done > 0]).toEqual([[], true]);
  await daemon.ended;
  const { rows } = await control.query(
    `select count(*) filter (where v = 'short')::int as short, count(*) filter (where v = 'long')::int as long from app.events`,
  );
  expect(rows).toEqual([{ short: short.done, long: written.done }]);
});

test('a deadlock at the lock upgrade: the cutover gives way, the application does not notice', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, cutover, daemon } = stage;
  const application = await database.client('application');
  await application.query('begin; select count(*) from app.events');
  const switched = cutover({ lockTimeoutMs: 1_000, maxLockHoldMs: 20_000 });
  // The reader writes: in the first attempt it waits for the cutover, which waits for it and gives way; in the second it need not wait.
  await until(control, 'it holds the writers off', () => holds(control, HAS, ['ShareRowExclusiveLock']));
  await application.query(`insert into app.events (at, v) values (now(), 'by the reader')`);
  await until(control, 'it waits for everybody', () => holds(control, WAITS, ['AccessExclusiveLock']));
  await application.query(`insert into app.events (at, v) values (now(), 'by the reader')`);
  await application.query('commit');
  expect(await switched).toMatchObject({ ok: true });
  await daemon.ended;
  expect(await holds(control, `(select count(*) = 2 from app.events where v = 'by the reader')`)).toBe(true);
});

test('readers that write, without a pause: the table itself and one that it references', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database, {
    prepare: (control) => control.query('alter table app.events add constraint tenant_fkey foreign key (tenant) references app.tenant'),
  });
  const { cutover, daemon } = stage;
  const own = repeat(database, 4, async (client) => {
    await client.query('begin; select count(*) from app.events where id < 10');
    await sleep(Math.random() * 20);
    await client.query(`insert into app.events (at, v) values (now(), 'read before')`);
    await client.query('commit');
    await sleep(Math.random() * 20);
  });
  const tenants = repeat(database, 2, async (client) => {
    await client.query('begin; select count(*) from app.tenant');
    await sleep(Math.random() * 20);
    await client.query(`update app.tenant set name = name where id = 1 + $1::int`, [Math.floor(Math.random() * 20)]);
    await client.query('commit');
    await sleep(Math.random() * 20);
  });
  expect(await cutover({ lockTimeoutMs: 200, maxLockHoldMs: 2_000, attempts: 500 })).toMatchObject({ ok: true });
  for (const sessions of [own, tenants]) expect((await sessions.stop()).refused).toEqual([]);
  await daemon.ended;
});

test('a queue of statements behind the cutover goes on when it gives up, and when it succeeds', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, cutover, daemon } = stage;
  const holder = await database.client('holder');
  for (const attempts of [1, 60]) {
    await holder.query(`begin; update app.events set v = 'held' where id = 7`);
    const switched = cutover({ lockTimeoutMs: attempts === 1 ? 2_000 : 60_000, attempts });
    await until(control, 'it waits', () => holds(control, WAITS, ['ShareRowExclusiveLock']));
    const queue = await Promise.all(Array.from({ length: 8 }, () => database.client('queued')));
    const statements = queue.map((client, n) =>
      client.query(
        n % 2 === 0
          ? `insert into app.events (at, v) values (now(), 'queued')`
          : `update app.events set kind = 9 where id = ${String(100 + n)}`,
      ),
    );
    await until(control, 'they queue', () =>
      holds(
        control,
        `(select count(*) = 8 from pg_locks l join pg_stat_activity a using (pid) where a.application_name = 'queued' and not l.granted)`,
      ),
    );
    if (attempts === 1) expect(await switched).toMatchObject({ ok: false, error: { code: 'LOCK_NOT_ACQUIRED' } });
    else {
      await holder.query('commit');
      expect(await switched).toMatchObject({ ok: true });
    }
    await Promise.all(statements);
    expect(await isPartitioned(control)).toBe(attempts !== 1);
    if (attempts === 1) await holder.query('commit');
    await Promise.all(queue.map((client) => client.end()));
  }
  await daemon.ended;
  expect(await holds(control, `(select count(*) = 8 from app.events where v = 'queued')`)).toBe(true);
});

test('timeouts that the DBA has set on the role and on the database do not reach our sessions', async () => {
  await using database = await createDatabase({
    settings: {
      statement_timeout: '100ms',
      idle_in_transaction_session_timeout: '20ms',
      lock_timeout: '10ms',
      idle_session_timeout: '200ms',
    },
  });
  const role = await createRole(database, 'superuser login replication', ['connect', 'create', 'temporary']);
  await using admin = await adminOf(database);
  for (const setting of [
    'statement_timeout = 100',
    'idle_in_transaction_session_timeout = 20',
    'lock_timeout = 10',
    'idle_session_timeout = 200',
  ])
    await admin.client.query(`alter role ${role.name} set ${setting}`);
  const { rows } = await admin.client.query<{ there: boolean }>(`select current_setting('transaction_timeout', true) is not null as there`);
  if (rows[0]!.there) await admin.client.query(`alter role ${role.name} set transaction_timeout = 100`);
  const asRole: TestDatabase = { ...database, url: role.url, settings: role.settings };
  await using stage = await setCutoverStage(asRole, {
    // Its twin takes longer to fill than any of the limits.
    prepare: (control) =>
      control.query(`create function app.slow(v text) returns text language plpgsql as $$ begin perform pg_sleep(0.4); return v; end $$;
        create materialized view app.latest as select app.slow(max(v)) as v from app.events where id < 10`),
  });
  const { control, run, daemon } = stage;
  const holder = await database.client('holder');
  await holder.query(`set idle_in_transaction_session_timeout = 0; begin; update app.events set v = 'held' where id = 7`);
  const switched = run('cutover', 'app.events', '--lock-timeout', '60s');
  await until(control, 'it waits longer than any of the limits', () =>
    holds(
      control,
      `exists (select from pg_locks l join pg_stat_activity a using (pid) where a.application_name = 'partitioner cutover' and a.datname = current_database()
      and not l.granted and a.query_start < clock_timestamp() - interval '500 milliseconds')`,
    ),
  );
  await holder.query('commit');
  expect(await switched).toMatchObject({ code: 0 });
  await daemon.ended;
  expect(await isPartitioned(control)).toBe(true);
});

/** A session of the server's own superuser, whom no setting of the test reaches. */
async function adminOf(database: TestDatabase): Promise<{ client: Client } & AsyncDisposable> {
  const client = await connect(database.server, { applicationName: 'test' });
  return { client, [Symbol.asyncDispose]: () => client.end() };
}
