import { expect, test } from 'vitest';
import { createPlainEvents } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { startDaemon, untilPhase } from '../../support/daemon.ts';
import { partitioner } from '../../support/partitioner.ts';

test('what comes after the start and leaves a choice refuses the cutover by name, and is decided with it', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createPlainEvents(control);
  await using daemon = startDaemon(database.settings, 'app.events');
  await untilPhase(control, 'ready');
  await control.query('create table app.late (event bigint constraint late_event_fkey references app.events)');
  const env = { DATABASE_URL: database.url };
  const refused = await partitioner(['cutover', 'app.events', '--when-ready'], env);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('--decide foreign-key:app.late.late_event_fkey=drop');
  const tooLate = await partitioner(['cutover', 'app.events', '--when-ready', '--decide', 'unique:events_at=drop'], env);
  expect(tooLate).toMatchObject({ code: 1 });
  expect(tooLate.stderr).toContain('comes too late');
  const unknown = await partitioner(['cutover', 'app.events', '--when-ready', '--decide', 'foreign-key:app.late.mistyped=drop'], env);
  expect(unknown.stderr).toContain('names nothing that hangs on app.events');

  const done = await partitioner(
    ['cutover', 'app.events', '--when-ready', '--no-way-back', '--decide', 'foreign-key:app.late.late_event_fkey=drop', '--json'],
    env,
  );
  expect(done).toMatchObject({ code: 0 });
  const { objects } = JSON.parse(done.stdout) as { objects: { name: string; action: string }[] };
  expect(objects).toContainEqual(
    expect.objectContaining({ name: 'app.late.late_event_fkey', action: 'moved in the swap: dropped, as decided' }),
  );
  await daemon.ended;
});
