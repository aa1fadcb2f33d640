import { afterAll, beforeAll, test } from 'vitest';
import { fetchStatus } from '../../../src/actions/status.ts';
import { startEmbeddedServer, type EmbeddedServer } from '../../../src/demo/embedded-server.ts';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { command, readMigration, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { createEvents, startLoad, switchAndCompare } from '../../support/events-table.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';
import { startStandby } from '../../support/standby.ts';

/** Limits on what a physical standby feels, with a real one. Its settings hold for a whole cluster: the server is the test's own. */
let server: EmbeddedServer;
beforeAll(async () => {
  server = await startEmbeddedServer({ major: DEFAULT_MAJOR });
});
afterAll(() => server.stop('immediate'));

const ROWS = 20_000;

async function untilPace(control: Client, pace: string, reason = ''): Promise<void> {
  await until(control, `pace ${pace} ${reason}`, async () => {
    const throttle = (await readMigration(control)) && (await fetchStatus(control))[0]?.throttle;
    return throttle?.pace === pace && (reason === '' || throttle.reasons.some((words) => words.includes(reason)));
  });
}

test('a standby that falls behind holds the copy, and so do commits that wait for it', async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createEvents(control, ROWS);
  await using standby = await startStandby(server);
  await until(control, 'the standby streams', async () => {
    const { rows } = await control.query(`select from pg_stat_replication where application_name = 'standby' and state = 'streaming'`);
    return rows.length === 1;
  });
  await standby.pauseReplay();
  const load = await startLoad(database, ROWS);
  const limits = { 'max-replay-lag': 500 };
  await using daemon = startDaemon(database.settings, 'app.events', { chunkBytes: 64 * 1024 }, { limits });
  await untilPace(control, 'hold', 'a standby is behind');
  const { id } = (await readMigration(control))!;
  await until(control, 'it says so', async () => (await readMigration(control))?.waiting?.includes('--max-replay-lag 500ms'));
  await standby.resumeReplay();
  await untilPhase(control, 'ready', 120_000);
  await untilPace(control, 'full');

  // The application's commits wait until the standby shows them; those of the migration do not.
  await command(control, id, 'throttle', { 'max-replay-lag': null, 'max-commit-latency': 300 });
  await control.query(`alter system set synchronous_standby_names = 'standby'`);
  await control.query(`alter system set synchronous_commit = 'remote_apply'`);
  await control.query('select pg_reload_conf()');
  await control.query('set synchronous_commit = local');
  await standby.pauseReplay();
  await untilPace(control, 'hold', 'a commit takes');
  await standby.resumeReplay();
  await untilPace(control, 'full');
  await load.stop();
  await switchAndCompare(control);
  await daemon.ended;
});
