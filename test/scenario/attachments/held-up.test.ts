import { expect, test } from 'vitest';
import { sendCommand } from '../../../src/actions/command.ts';
import { ATTACHED_DECISIONS, createAttachedEvents } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { startDaemon, untilPhase } from '../../support/daemon.ts';
import { createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

/** The swap needs locks on what hangs on the table too. */
test('whoever holds a lock on another table or view that the swap needs is named', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const reader = await createRole(database, 'nologin', []);
  await createAttachedEvents(control, DEFAULT_MAJOR, reader.name);
  await using daemon = startDaemon(database.settings, 'app.events', { decisions: ATTACHED_DECISIONS });
  const { id } = await untilPhase(control, 'ready');
  const cutover = (): ReturnType<typeof sendCommand> =>
    sendCommand(control, id, 'cutover', { lockTimeoutMs: 300, maxLockHoldMs: 10_000, attempts: 1 }, { waitMs: 60_000 });
  const application = await database.client('application');
  const { rows } = await application.query<{ pid: number }>('select pg_backend_pid() as pid');
  for (const statement of [
    `update app.tenant set name = 'held' where id = 1`,
    'lock table only app.note_of in access share mode',
    'select from app.recent limit 1',
    'select from app.daily limit 1',
  ]) {
    await application.query('begin');
    await application.query(statement);
    const outcome = await cutover();
    expect(outcome, statement).toMatchObject({ ok: false, error: { code: 'LOCK_NOT_ACQUIRED' } });
    expect.soft(JSON.stringify(outcome), statement).toContain(`pid ${String(rows[0]!.pid)} `);
    await application.query('rollback');
  }
  expect(await cutover()).toMatchObject({ ok: true });
  await daemon.ended;
});
