import { expect, test } from 'vitest';
import { setCutoverStage, WAITS } from '../../support/cutover-stage.ts';
import { createDatabase } from '../../support/database.ts';
import { holds, until } from '../../support/daemon.ts';
import { partitioner } from '../../support/partitioner.ts';

/** What else is asked for while a cutover runs. */

const LONG = ['--lock-timeout', '60s', '--attempts', '3'];

test('a second cutover, a pause, a resume and an abort are refused at once, and work when it has ended; Ctrl-C calls it off', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, run, start, daemon } = stage;
  const application = await database.client('application');
  await application.query(`begin; update app.events set v = 'held' where id = 7`);
  const first = start('cutover', 'app.events', ...LONG);
  await until(control, 'the cutover waits', () => holds(control, WAITS, ['ShareRowExclusiveLock']));
  await until(control, 'and tells for whom', () => holds(control, `(select waiting like '%blocked by pid%' from partitioner.migration)`));

  for (const verb of [['cutover'], ['cutover', '--dry-run'], ['cutover', '--when-ready'], ['pause'], ['resume'], ['abort']]) {
    const refused = await run(verb[0]!, 'app.events', ...verb.slice(1));
    expect.soft(refused, verb.join(' ')).toMatchObject({ code: 3, stdout: '' });
    expect.soft(refused.stderr, verb.join(' ')).toMatch(/a cutover of app\.events is running since [0-9:]+Z, asked for by \S+: no \w+ now/);
    expect.soft(refused.stderr, verb.join(' ')).toContain('blocked by pid');
  }
  const hooked = await run('cutover', 'app.events', '--before', 'echo the hook has run');
  expect(hooked).toMatchObject({ code: 3 });
  expect(hooked.stderr).not.toContain('the hook has run');
  expect((await run('finish', 'app.events')).code).toBe(3);
  expect((await run('status', 'app.events')).stdout).toContain('app.events cutover');
  expect(await holds(control, WAITS, ['ShareRowExclusiveLock']), 'it still waits').toBe(true);

  first.signal('SIGINT');
  const ended = await first.ended;
  expect(ended).toMatchObject({ code: 3, stdout: '' });
  expect(ended.stderr).toContain('the cutover was called off; nothing was switched');
  expect(await holds(control, `not exists (select from partitioner.command where finished_at is null)`)).toBe(true);
  await until(control, 'ready again', () => holds(control, `(select phase = 'ready' from partitioner.migration)`));

  expect((await run('pause', 'app.events')).code).toBe(0);
  expect((await run('resume', 'app.events')).code).toBe(0);
  await application.query('commit');
  expect(await run('cutover', 'app.events', '--dry-run')).toMatchObject({ code: 0 });
  expect(await run('abort', 'app.events')).toMatchObject({ code: 0, stderr: '' });
  await daemon.ended;
});

test('a rehearsal that runs is named too', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, run, start, daemon } = stage;
  const application = await database.client('application');
  await application.query(`begin; update app.events set v = 'held' where id = 7`);
  const rehearsal = start('cutover', 'app.events', '--dry-run', ...LONG);
  await until(control, 'it waits', () => holds(control, WAITS, ['ShareRowExclusiveLock']));
  const refused = await run('cutover', 'app.events');
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain('a rehearsal of the cutover of app.events is running');
  expect(await holds(control, `(select phase = 'ready' from partitioner.migration)`)).toBe(true);
  await application.query('commit');
  expect(await rehearsal.ended).toMatchObject({ code: 0 });
  expect(await run('cutover', 'app.events')).toMatchObject({ code: 0 });
  await daemon.ended;
});

test('--when-ready waits through the copy, tells what for, leaves nothing behind when interrupted, and switches when it is time', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, run, start, daemon, id } = stage;
  // A unit that is not live again: the monitor of the daemon decides the phase by that.
  await control.query(
    `update partitioner.unit set state = 'loading', step = 'index' where unit = (select min(unit) from partitioner.unit)`,
  );
  await until(control, 'not ready', () => holds(control, `(select phase = 'backfill' from partitioner.migration)`));
  const refused = await run('cutover', 'app.events');
  expect(refused).toMatchObject({ code: 3, stdout: '' });
  expect(refused.stderr).toContain('hint: partitioner cutover app.events --when-ready');

  const interrupted = start('cutover', 'app.events', '--when-ready');
  await until(control, 'it shows what it waits for', () => Promise.resolve(interrupted.output().stderr.includes('app.events backfill')));
  interrupted.signal('SIGINT');
  const ended = await interrupted.ended;
  expect(ended).toMatchObject({ code: 3, stdout: '' });
  expect(ended.stderr).toContain('nothing was switched');
  expect(await holds(control, `not exists (select from partitioner.command where verb = 'cutover')`)).toBe(true);

  const waiting = start('cutover', 'app.events', '--when-ready', '--json', '--before', 'echo the hook, phase $PARTITIONER_PHASE');
  await until(control, 'it waits', () => Promise.resolve(waiting.output().stderr.includes('app.events backfill')));
  expect(waiting.output().stderr).not.toContain('the hook');
  await control.query(`update partitioner.unit set state = 'live', step = 'live'`);
  const switched = await waiting.ended;
  expect(switched.code).toBe(0);
  expect(switched.stderr).toContain('the hook, phase ready');
  expect(JSON.parse(switched.stdout)).toMatchObject({ migration: id });
  await daemon.ended;
});

test('--when-ready fails when the migration fails, and when the daemon goes', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, start, daemon } = stage;
  await control.query(
    `update partitioner.unit set state = 'loading', step = 'index' where unit = (select min(unit) from partitioner.unit)`,
  );
  await until(control, 'not ready', () => holds(control, `(select phase = 'backfill' from partitioner.migration)`));
  const first = start('cutover', 'app.events', '--when-ready');
  const second = partitioner(['cutover', 'app.events', '--when-ready', '--json'], { DATABASE_URL: database.url });
  await until(control, 'it waits', () => Promise.resolve(first.output().stderr.includes('app.events backfill')));
  await control.query(`alter table app.events drop column v; insert into app.events (at) values (now())`);
  const ended = await first.ended;
  expect(ended).toMatchObject({ code: 3, stdout: '' });
  // Whichever is seen first: the failure is recorded, and its daemon ends with it.
  expect(ended.stderr).toMatch(/error: (the migration of app\.events has failed: .*altered|no daemon runs for app\.events)/);
  expect((await second).code).toBe(3);
  await expect(daemon.ended).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
});
