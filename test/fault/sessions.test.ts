import { expect, test } from 'vitest';
import { sendCommand } from '../../src/actions/command.ts';
import type { Client } from '../../src/pg/client.ts';
import { createDatabase } from '../support/database.ts';
import { holds, startDaemon, until, untilPhase } from '../support/daemon.ts';
import { createEvents, startLoad, switchAndCompare } from '../support/events-table.ts';

/** Every session that the tool has, cut by the server while it works. */

const ROWS = 60_000;
const IN_BACKFILL = ['daemon', 'applier', 'walsender', 'commands', 'fence', 'reader', 'writer', 'builder'];
const LATER = ['walsender', 'applier', 'daemon', 'commands', 'fence'];

/** Ends one, as soon as there is one. */
async function terminate(control: Client, name: string): Promise<void> {
  const sql = `select coalesce(bool_or(pg_terminate_backend(pid)), false) as ended from pg_stat_activity where datname = current_database() and application_name = $1`;
  await until(control, `a session of partitioner ${name}`, async () => {
    const { rows } = await control.query<{ ended: boolean }>(sql, [`partitioner ${name}`]);
    return rows[0]!.ended;
  });
}

test('each session cut in turn, in the backfill and when ready: the daemon comes back, and nothing is lost', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, ROWS);
  const load = await startLoad(database, ROWS);
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 32_768 });
  for (const name of IN_BACKFILL) await terminate(control, name);
  await untilPhase(control, 'ready', 120_000);
  for (const name of LATER) {
    await terminate(control, name);
    await until(control, 'all of them back', () =>
      holds(
        control,
        `(select count(distinct application_name) >= 5 from pg_stat_activity where datname = current_database() and application_name like 'partitioner%')`,
      ),
    );
  }
  await load.stop();
  await switchAndCompare(control);
  await daemon.ended;
});

test('the session of a cutover cut while it waits for its lock, again and again: each costs an attempt, the last one says so, and the table is as it was', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 5_000);
  await using daemon = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(control, 'ready');
  const application = await database.client('application');
  await application.query(`begin; update app.events set kind = 5 where id = 7`);
  const asker = await database.client();
  const cutover = sendCommand(asker, id, 'cutover', { lockTimeoutMs: 20_000, maxLockHoldMs: 5_000, attempts: 3 }, { waitMs: 60_000 });
  let cut = 0;
  for (let attempt = 1; attempt <= 3; attempt++) {
    cut = await until(control, 'the cutover waits', async () => {
      const { rows } = await control.query<{ pid: number }>(
        `select pid from pg_stat_activity where datname = current_database() and application_name = 'partitioner cutover' and wait_event_type = 'Lock' and pid <> $1`,
        [cut],
      );
      return rows[0]?.pid;
    });
    await terminate(control, 'cutover');
  }
  const outcome = await cutover;
  expect(outcome).toMatchObject({ ok: false, error: { code: 'POSTGRES' } });
  expect(await holds(control, `(select relkind = 'r' from pg_class where oid = 'app.events'::regclass)`)).toBe(true);
  await application.query('commit');
  await switchAndCompare(control);
  await daemon.ended;
});
