import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { sendCommand } from '../../../src/actions/command.ts';
import { fetchStatus } from '../../../src/actions/status.ts';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { holds, startDaemon, until, type TestDaemon } from '../../support/daemon.ts';
import { createEvents } from '../../support/events-table.ts';
import { leftovers, NO_LEFTOVERS } from '../../support/oracle.ts';
import { partitioner } from '../../support/partitioner.ts';
import { readSlot } from '../../support/slot-reader.ts';
import { LIMITS, switchOver } from '../../support/way-back.ts';

/** What ends the way back: loudly, without a slot that retains WAL, and without the application noticing. */

interface Ending {
  readonly wayBackWalBytes?: number;
  readonly happens: (application: Client) => Promise<unknown>;
  readonly reason: RegExp;
}

const ENDINGS: Readonly<Record<string, Ending>> = {
  'a key that is unique in the old table and not in the new one': {
    happens: (application) =>
      application.query(
        `insert into app.events (id, at, v) overriding system value select id, at + interval '1 day', 'again' from app.events where id = 7`,
      ),
    reason: /refuses what the partitioned one holds.*unique constraint/,
  },
  'a value that the old table refuses': {
    happens: async (application) => {
      await application.query('alter table app.events drop constraint small');
      await application.query('update app.events set kind = 5000 where id = 8');
    },
    reason: /refuses what the partitioned one holds.*small/,
  },
  'a column that the old table does not have': {
    happens: async (application) => {
      await application.query('alter table app.events add column more text');
      await application.query(`update app.events set more = 'x' where id = 9`);
    },
    reason: /was altered/,
  },
  'more WAL than the limit': {
    wayBackWalBytes: 1,
    happens: (application) => application.query(`insert into app.events (at, v) values ('2026-02-01', 'one more')`),
    reason: /more than its limit of 1 B/,
  },
  'its slot is gone': {
    happens: (application) =>
      until(application, 'the slot is dropped', async () => {
        const slot = `from pg_replication_slots where slot_name like 'partitioner\\_2\\_%' and database = current_database()`;
        await application.query(`select pg_terminate_backend(active_pid) ${slot} and active_pid is not null`);
        await application.query(`select pg_drop_replication_slot(slot_name) ${slot}`).catch(() => undefined);
        return holds(application, `not exists (select ${slot})`);
      }),
    reason: /slot .*(lost|cannot go on)/,
  },
};

test.each(Object.entries(ENDINGS))('%s closes the way back', async (_, { wayBackWalBytes, happens, reason }) => {
  await using database = await createDatabase();
  const control = await database.client();
  const application = await database.client('application');
  await createEvents(control, 500);
  await control.query('alter table app.events add constraint small check (kind < 1000)');
  await using daemon = startDaemon(database.settings, 'app.events', {}, wayBackWalBytes === undefined ? {} : { wayBackWalBytes });
  await switchOver(daemon, control);
  await happens(application);
  const status = await until(control, 'closed', async () => {
    const [now] = await fetchStatus(control, 'app.events');
    return now?.wayBack?.open === false && now;
  });
  expect(status.wayBack?.reason).toMatch(reason);
  expect(status.phase).toBe('switched');
  await until(control, 'no slot', () =>
    holds(control, 'not exists (select from pg_replication_slots where database = current_database())'),
  );
  expect(await holds(control, `exists (select from partitioner.history where event = 'way back closed')`)).toBe(true);
  await application.query(`insert into app.events (at, v) values ('2026-02-02', 'goes on')`);
  expect(await sendCommand(control, status.migration, 'rollback', LIMITS, { waitMs: 30_000 })).toMatchObject({
    ok: false,
    error: { code: 'WAY_BACK_CLOSED' },
  });
  await expectFinished(database, control);
  await daemon.ended;
});

/** Longer than a slot is waited for by who does not stay. */
const HELD_MS = 13_000;
const OF_WAY_BACK = `slot_name like 'partitioner\\_2\\_%' and database = current_database()`;

/** The way back closes while the slot is read; the daemon serves all the while, and drops the slot once `letGo` has ended the reader. */
async function expectClosed(control: Client, daemon: TestDaemon, letGo: () => unknown): Promise<void> {
  const status = await until(control, 'closed', async () => {
    const [now] = await fetchStatus(control, 'app.events');
    return now?.wayBack?.open === false && now;
  });
  expect(status.wayBack?.reason).toMatch(/more than its limit/);
  await sleep(HELD_MS);
  expect(await holds(control, `exists (select from pg_replication_slots where ${OF_WAY_BACK} and active)`)).toBe(true);
  letGo();
  await until(control, 'no slot', () => holds(control, `not exists (select from pg_replication_slots where ${OF_WAY_BACK})`));
  expect(await sendCommand(control, status.migration, 'rollback', LIMITS, { waitMs: 30_000 })).toMatchObject({
    ok: false,
    error: { code: 'WAY_BACK_CLOSED' },
  });
  await daemon.stop();
  await daemon.ended;
}

async function readerOf(control: Client): Promise<number> {
  const { rows } = await control.query<{ pid: number }>(
    `select active_pid as pid from pg_replication_slots where ${OF_WAY_BACK} and active`,
  );
  return rows[0]!.pid;
}

test('a walsender that neither sends nor hears keeps the slot of a way back that closes: it is told to end, and waited for', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 500);
  await using daemon = startDaemon(database.settings, 'app.events', {}, { wayBackWalBytes: 64 << 20 });
  await switchOver(daemon, control);
  const walsender = await until(control, 'it is read', () => readerOf(control).catch(() => null));
  process.kill(walsender, 'SIGSTOP'); // as one that replays a huge transaction of other tables
  try {
    await control.query(`select pg_logical_emit_message(false, 'test', repeat('x', 1 << 20)) from generate_series(1, 80)`);
    await expectClosed(control, daemon, () => process.kill(walsender, 'SIGCONT'));
  } finally {
    if (await holds(control, `exists (select from pg_stat_activity where pid = $1)`, [walsender])) process.kill(walsender, 'SIGCONT');
  }
});

test('a stranger reads the slot of a way back that closes: he is waited for, by name', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 500);
  const first = startDaemon(database.settings, 'app.events');
  await switchOver(first, control);
  await until(control, 'it is read', () => readerOf(control).catch(() => null));
  await first.stop();
  await until(control, 'it is free', () => holds(control, `(select not active from pg_replication_slots where ${OF_WAY_BACK})`));
  const { rows } = await control.query<{ slot: string }>(`select slot_name as slot from pg_replication_slots where ${OF_WAY_BACK}`);
  await using stranger = await readSlot(database, rows[0]!.slot, 'stranger', 'partitioner_2');
  await using daemon = startDaemon(database.settings, 'app.events', {}, { wayBackWalBytes: 1 });
  const waits = until(control, 'he is named', async () => (await fetchStatus(control, 'app.events'))[0]?.waiting?.includes('"stranger"'));
  waits.catch(() => undefined);
  await expectClosed(control, daemon, () => stranger.end());
  await waits;
});

async function expectFinished(database: TestDatabase, control: Client): Promise<void> {
  const env = { DATABASE_URL: database.url };
  const refused = await partitioner(['rollback', 'app.events'], env);
  expect(refused.code, refused.stderr).toBe(3);
  expect(await partitioner(['finish', 'app.events', '--drop-retired'], env)).toMatchObject({ code: 0, stderr: '' });
  await until(control, 'the sessions end', async () => (await leftovers(control)).sessions.length === 0);
  expect(await leftovers(control)).toEqual(NO_LEFTOVERS);
}
