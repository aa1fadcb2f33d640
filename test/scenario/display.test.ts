import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/demo/embedded-server.ts';
import { createDatabase } from '../support/database.ts';
import { holds, readMigration, startDaemon, until, untilPhase } from '../support/daemon.ts';
import { createEvents, switchAndCompare } from '../support/events-table.ts';
import { freePort, takePort } from '../support/ports.ts';
import { DEFAULT_MAJOR } from '../support/server.ts';

/** What a daemon shows over HTTP when it does not copy or follow: it waits, stands by, or PostgreSQL is away. The server is the test's own: it is stopped. */
let server: EmbeddedServer;
beforeAll(async () => {
  server = await startEmbeddedServer({ major: DEFAULT_MAJOR, settings: { fsync: 'off' } });
});
afterAll(() => server.stop('immediate'));

/** Status code and body; null while nobody listens. */
async function ask(port: number, path: string): Promise<{ code: number; body: string } | null> {
  const answer = await fetch(`http://127.0.0.1:${String(port)}${path}`).catch(() => null);
  return answer && { code: answer.status, body: await answer.text() };
}

const says = async (port: number, path: string, text: RegExp): Promise<boolean> => text.test((await ask(port, path))?.body ?? '');

test('it is alive while it waits, stands by and looks for PostgreSQL, and who takes over shows it', { timeout: 120_000 }, async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createEvents(control, 2_000);
  const open = await database.client('application');
  await open.query('begin; select pg_current_xact_id()');
  const port = await freePort();
  const first = startDaemon(database.settings, 'app.events', {}, { http: { host: '127.0.0.1', port } });
  await until(control, 'it waits for the transaction', () => says(port, '/api/status', /"waiting":"[^"]*transaction/));
  expect(await ask(port, '/healthz')).toMatchObject({ code: 200 });
  expect(await ask(port, '/readyz')).toMatchObject({ code: 503 });

  // One on the same port of the same host, as a restart that comes too soon, and one on another.
  await using same = startDaemon(database.settings, 'app.events', {}, { http: { host: '127.0.0.1', port } });
  const other = await freePort();
  const beside = startDaemon(database.settings, 'app.events', {}, { http: { host: '127.0.0.1', port: other } });
  await until(control, 'the standby shows it', () => says(other, '/api/status', /"phase":"prepared"/));
  await beside.stop();
  await open.query('rollback');
  await untilPhase(control, 'ready');
  await until(control, 'ready is shown', async () => (await ask(port, '/readyz'))?.code === 200);
  expect((await ask(port, '/metrics'))!.body).toMatch(/partitioner_rows_copied_total\{migration="\d+"\} 2000/);

  await first.stop();
  await until(control, 'the other one works', () => holds(control, 'exists (select from partitioner.daemon)'));
  await until(control, 'it is shown at the same address', async () => (await ask(port, '/readyz'))?.code === 200);
  await control.end();

  await server.kill();
  await until(control, 'PostgreSQL is missed', async () => (await ask(port, '/readyz'))?.code === 503);
  expect(await ask(port, '/healthz')).toMatchObject({ code: 200 });
  expect((await ask(port, '/metrics'))!.body).toMatch(/partitioner_phase\{phase="ready",migration="\d+"\} 1/);
  await server.restart();
  const again = await database.client();
  await until(again, 'it goes on', async () => (await ask(port, '/readyz'))?.code === 200);
  await switchAndCompare(again);
  await same.ended;
  expect(await ask(port, '/healthz')).toBe(null);
});

test('a port that somebody else has is refused before anything is done, and is no failure of the migration', async () => {
  await using database = await createDatabase({ server: server.url });
  const control = await database.client();
  await createEvents(control, 1_000);
  const taken = await takePort();
  const http = { host: '127.0.0.1', port: taken.port };
  for (let n = 0; n < 2; n++) {
    const refused = startDaemon(database.settings, 'app.events', {}, { http });
    await expect(refused.ended).rejects.toMatchObject({ code: 'USAGE', hint: expect.stringMatching(/--http 127\.0\.0\.1:\d+, or/) });
    expect((await readMigration(control))?.phase).toBe('prepared');
    expect(await holds(control, 'not exists (select from pg_replication_slots where database = current_database())')).toBe(true);
  }
  await taken.free();
  await using daemon = startDaemon(database.settings, 'app.events', {}, { http });
  await untilPhase(control, 'ready');
  await switchAndCompare(control);
  await daemon.ended;
});
