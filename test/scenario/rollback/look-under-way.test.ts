import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createDatabase } from '../../support/database.ts';
import { command, holds, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { createEvents } from '../../support/events-table.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

/**
 * The session that holds the migration's lock is shared by who looks at something. What it looks at in a snapshot from before the switch must not be
 * what the daemon goes on with: it would take the switched migration for one that is not, and remove its way back.
 */
/** The server's processes are to be reached: a server that is not ours is left alone. */
const isOurs = process.env['TEST_SERVER'] !== 'testcontainers' && process.env[`TEST_PG_${String(DEFAULT_MAJOR)}`] === undefined;

test.runIf(isOurs)('a look that is under way when the switch commits: the way back stays open', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 1_000);
  await using daemon = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(control, 'ready');
  const holder = await database.client('application');
  await holder.query('begin; lock table partitioner.definition in access exclusive mode');
  const { pid } = await until(control, 'the look waits, its snapshot taken', async () => {
    const { rows } = await control.query<{ pid: number }>(
      `select pid from pg_locks where relation = 'partitioner.definition'::regclass and not granted`,
    );
    return rows[0];
  });
  // Stopped in it: the lock's holder is itself a transaction that the way back's slot would wait for.
  process.kill(pid, 'SIGSTOP');
  try {
    await holder.query('rollback');
    await command(control, id, 'cutover', { lockTimeoutMs: 500, maxLockHoldMs: 5_000, attempts: 60, wayBack: true });
    await sleep(2_000); // the run has ended by now, and whoever goes on would have asked on that session
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await until(control, 'the way back is followed', () =>
    holds(control, `exists (select from partitioner.history where event = 'way back followed')`),
  );
  expect(await holds(control, `(select phase = 'ready' from partitioner.migration where reverse_of = ${String(id)})`)).toBe(true);
  expect(await holds(control, `not exists (select from partitioner.history where event in ('failed', 'resumed'))`)).toBe(true);
  await command(control, id, 'finish');
  await daemon.ended;
});
