import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/demo/embedded-server.ts';
import type { Client } from '../../src/pg/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { command, holds, readMigration, startDaemon, until, untilPhase } from '../support/daemon.ts';
import { differences, differingRows } from '../support/oracle.ts';
import { DEFAULT_MAJOR } from '../support/server.ts';
import { hangingCommit, holdCommits, letCommitsGo, type HangingCommit } from '../support/silent-standby.ts';

/**
 * Rule 2, the settled snapshot, on a server whose synchronous standby never answers: a COMMIT is in the WAL, and so in the
 * change stream, for as long as the test wants before a snapshot sees it. With the rule taken out (`unseen` in
 * sql/backfill/settled-position.sql made 0) every test here ends with differences.
 *
 * The server is the test's own: the setting holds for a whole cluster.
 */
let server: EmbeddedServer;
beforeAll(async () => {
  server = await startEmbeddedServer({ major: DEFAULT_MAJOR });
});
afterAll(() => server.stop('immediate'));

const PLAN = { range: 'at', every: 'month', unitKind: 'leaf', chunkBytes: 8_192 } as const;

/** Rows of three months; `at` and `id` say which ones a test changes. */
async function createTable(client: Client): Promise<void> {
  await client.query('create schema app');
  await client.query('create table app.t (id bigint primary key, at timestamptz not null, v text, doc text)');
  await client.query('alter table app.t alter column doc set storage external');
  await client.query(`
    insert into app.t select n, timestamptz '2026-01-01 00:00:00.123456+00' + n * interval '1 hour', 'before', repeat('d', case when n % 50 = 0 then 5000 else 20 end)
    from generate_series(1, 2000) n`);
  await client.query('create index on app.t (at)');
  await client.query('analyze app.t');
}

/** On rows of one leaf: changed, new, gone, and one that comes from another leaf. */
const CHANGES = [
  `update app.t set v = 'changed while it hung' where id = 10`,
  `update app.t set v = 'kept its TOAST value' where id = 50`,
  `insert into app.t values (9001, '2026-01-10 12:00:00+00', 'new while it hung', 'd')`,
  `delete from app.t where id = 20`,
  `update app.t set at = '2026-01-11 12:00:00+00' where id = 1500`,
  `update app.t set id = 9002 where id = 30`,
];

/** Opens the migration, but keeps its slot from being made: a transaction runs. */
async function untilSlotIsWaitedFor(control: Client, xid: string): Promise<void> {
  await until(control, `the slot's creation waits for ${xid}`, () =>
    holds(control, `select exists (select from pg_locks where locktype = 'transactionid' and transactionid::text = $1 and not granted)`, [
      xid,
    ]),
  );
}

async function openTransaction(database: TestDatabase): Promise<{ xid: string; end: () => Promise<void> }> {
  const client = await database.client('application');
  await client.query('begin');
  const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
  return {
    xid: rows[0]!.xid,
    end: async () => {
      await client.query('rollback');
      await client.end();
    },
  };
}

/** Starts the daemon so that it prepares everything and loads nothing: the pause is set while it waits for its slot. */
async function startPaused(database: TestDatabase, control: Client): Promise<ReturnType<typeof startDaemon>> {
  const running = await openTransaction(database);
  const daemon = startDaemon(database.settings, 'app.t', PLAN);
  await untilSlotIsWaitedFor(control, running.xid);
  await control.query('update partitioner.migration set paused = true');
  await running.end();
  await until(control, 'the plan', () => holds(control, `select plan <> '{}' and phase = 'backfill' from partitioner.migration`));
  return daemon;
}

async function untilDecoded(control: Client, xid: string): Promise<void> {
  await until(control, 'the hanging commit is decoded and applied', () =>
    holds(control, 'select unsettled @> array[$1::xid8] from partitioner.position', [xid]),
  );
}

/** Rows that are in a leaf of the target already count as live: the planned leaves with data are those of loaded units. */
async function loadedUnitsLive(control: Client): Promise<number> {
  const { rows } = await control.query<{ live: number }>(
    `select count(distinct u.unit)::int as live from partitioner.unit u join partitioner.chunk c using (migration, unit) where u.state = 'live'`,
  );
  return rows[0]!.live;
}

/**
 * The daemon waits for the commit and says so, for as long as it hangs; then it is released, everything goes live, the
 * cutover is made and nothing differs. Soft: with the rule taken out the last line shows what was lost.
 */
async function expectWaitThenNoDifference(control: Client, hanging: HangingCommit, waiting: string, liveMeanwhile = 0): Promise<void> {
  let said: string | null = null;
  for (const deadline = Date.now() + 5_000; Date.now() < deadline && said?.includes(waiting) !== true; await sleep(50))
    said = (await readMigration(control))?.waiting ?? null;
  expect.soft(said ?? 'nothing', 'what the daemon waits for').toContain(waiting);
  expect.soft(said ?? 'nothing').toContain(hanging.xid);
  await sleep(1_000); // many times the daemon's own patience between two looks
  expect.soft(await holds(control, 'select pg_visible_in_snapshot($1::xid8, pg_current_snapshot())', [hanging.xid])).toBe(false);
  expect.soft((await readMigration(control))?.phase).not.toBe('ready');
  expect
    .soft((await holds(control, `to_regclass('partitioner.chunk') is null`)) || (await loadedUnitsLive(control)) <= liveMeanwhile)
    .toBe(true);

  await letCommitsGo(control);
  await hanging.committed;
  const { id, retired_name: retired } = await untilPhase(control, 'ready');
  await command(control, id, 'cutover', { lockTimeoutMs: 500, maxLockHoldMs: 5_000, attempts: 60 });
  const [a, b] = [
    { schema: 'app', name: 't' },
    { schema: 'app', name: retired },
  ];
  expect(await differingRows(control, a, b, ['id', 'at', 'v'])).toEqual([]);
  expect(await differences(control, a, b)).toBe(0);
}

test('a commit that is decoded and not visible when a unit begins to load is not lost', async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createTable(control);
  await using daemon = await startPaused(database, control);
  await holdCommits(database);
  // The unit is pending: the applier does nothing with these changes but to remember that they may not be visible yet.
  const hanging = await hangingCommit(database, control, CHANGES);
  await untilDecoded(control, hanging.xid);
  await command(control, (await readMigration(control))!.id, 'resume');
  await expectWaitThenNoDifference(control, hanging, 'committed and not yet visible before chunk');
  await daemon.ended;
});

test('a commit that is decoded and not visible when a unit goes live is not lost', async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createTable(control);
  await using daemon = await startPaused(database, control);
  // Held off from its indexes, the leaf stays loading with all its chunks copied.
  const locker = await database.client('application');
  const { rows } = await control.query<{ leaf: string }>(
    `select l.name as leaf from partitioner.leaf l where l.lower <= extract(epoch from timestamptz '2026-01-10' - timestamptz '2000-01-01') * 1e6
       and l.upper > extract(epoch from timestamptz '2026-01-10' - timestamptz '2000-01-01') * 1e6`,
  );
  await locker.query(`begin; lock table app."${rows[0]!.leaf}" in row exclusive mode`);
  await command(control, (await readMigration(control))!.id, 'resume');
  const step = `select exists (select from partitioner.unit u join partitioner.leaf l using (migration, unit) where l.name = $1 and u.step = 'index')`;
  await until(control, 'the unit is copied and purged', () => holds(control, step, [rows[0]!.leaf]));
  await until(control, 'the others are live', async () => (await loadedUnitsLive(control)) === 2);
  await holdCommits(database);
  const hanging = await hangingCommit(database, control, CHANGES);
  await untilDecoded(control, hanging.xid);
  await locker.query('rollback');
  await expectWaitThenNoDifference(control, hanging, 'can go live', 2);
  await daemon.ended;
});

test('a commit that hangs between the slot and the plan is not lost: it is in the stream, and not in the snapshot of the plan', async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createTable(control);
  const running = await openTransaction(database);
  await using daemon = startDaemon(database.settings, 'app.t', PLAN);
  await untilSlotIsWaitedFor(control, running.xid);
  // The slot is made, and the daemon cannot write down its first position.
  const locker = await database.client('application');
  await locker.query('begin; lock table partitioner.position in exclusive mode');
  await holdCommits(database);
  await running.end();
  await until(control, 'the slot', () =>
    holds(control, `select exists (select from pg_locks where relation = 'partitioner.position'::regclass and not granted)`),
  );
  // One more row, where the plan sees no row: its leaf is live from the start.
  const hanging = await hangingCommit(database, control, [
    ...CHANGES,
    `insert into app.t values (9003, '2026-05-05 05:05:05+00', 'alone', 'd')`,
  ]);
  await locker.query('rollback');
  await expectWaitThenNoDifference(control, hanging, 'committed and not yet visible before chunk');
  await daemon.ended;
});

/**
 * A transaction that runs when the slot's creation begins cannot be the one: creation waits for it to end, which a hanging
 * COMMIT is not. One that begins while creation waits for others may have its commit record before the slot's first
 * position, and hang: the stream will never bring it, and a snapshot right after does not see it. The plan waits for it.
 */
test('a commit that hangs from before the first position of the slot is not lost', async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createTable(control);
  await holdCommits(database);
  const first = await openTransaction(database);
  await using daemon = startDaemon(database.settings, 'app.t', PLAN);
  await untilSlotIsWaitedFor(control, first.xid);
  const second = await openTransaction(database);
  await first.end();
  await untilSlotIsWaitedFor(control, second.xid);
  const hanging = await hangingCommit(database, control, CHANGES);
  await second.end();
  await expectWaitThenNoDifference(control, hanging, 'transactions that ran when the slot was made');
  await daemon.ended;
});
