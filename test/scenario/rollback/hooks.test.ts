import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createDatabase } from '../../support/database.ts';
import { holds, startDaemon, until } from '../../support/daemon.ts';
import { createEvents } from '../../support/events-table.ts';
import { partitioner, startPartitioner, type Run } from '../../support/partitioner.ts';
import { expectKind, switchOver, untilPhaseOf } from '../../support/way-back.ts';

const PATIENT = ['--lock-timeout', '1s', '--max-lock-hold', '20s'];
const read = (file: string): Promise<string | null> => readFile(file, 'utf8').catch(() => null);

test('--before that fails refuses the rollback, --after that fails undoes nothing', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 500);
  const dir = await mkdtemp(join(tmpdir(), 'partitioner-hooks-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const [before, after, config] = [join(dir, 'before'), join(dir, 'after'), join(dir, 'partitioner.yaml')];
  const run = (...args: string[]): Promise<Run> => partitioner(['rollback', 'app.events', ...args], { DATABASE_URL: database.url });
  await using daemon = startDaemon(database.settings, 'app.events');
  await switchOver(daemon, control);

  const refused = await run('--before', 'echo said by the hook; exit 3', '--after', `touch ${after}`);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('said by the hook');
  expect(refused.stderr).toContain('the command of --before refuses the rollback of app.events: it ended with exit code 3');
  expect(await read(after)).toBeNull();
  expect(await holds(control, `not exists (select from partitioner.command where verb = 'rollback')`)).toBe(true);
  await expectKind(control, 'p');

  // From the file, as the cutover has them.
  await writeFile(config, `before: echo "$PARTITIONER_TABLE $PARTITIONER_PHASE" > ${before}\n`);
  const hook = `echo "$PARTITIONER_PHASE $PARTITIONER_RECEIPT" > ${after}; exit 4`;
  const switched = await run('--json', '--config', config, '--after', hook, ...PATIENT);
  expect(switched.code, switched.stderr).toBe(7);
  const receipt = JSON.parse(switched.stdout) as object;
  expect(receipt).toMatchObject({ source: 'app.events', differences: 0 });
  expect(switched.stderr).toContain('app.events is switched back, but the command of --after failed: it ended with exit code 4');
  expect(await read(before)).toBe('app.events switched\n');
  const seen = (await read(after))!;
  expect(seen.startsWith('rolled_back {')).toBe(true);
  expect(JSON.parse(seen.slice('rolled_back '.length))).toEqual(receipt);
  await expectKind(control, 'r');
  await untilPhaseOf(daemon, control, 'ready');
});

test('Ctrl-C calls a rollback off: nothing was switched, and the next one is performed', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 500);
  await using daemon = startDaemon(database.settings, 'app.events');
  await switchOver(daemon, control);
  const application = await database.client('application');
  await application.query('begin; lock table app.events in row exclusive mode'); // without an xid, for which the new slot would wait
  const env = { DATABASE_URL: database.url };
  const first = startPartitioner(['rollback', 'app.events', '--lock-timeout', '60s', '--attempts', '3'], env);
  await until(control, 'it waits for the application', () =>
    holds(
      control,
      `exists (select from pg_locks where relation = 'app.events'::regclass and mode = 'ShareRowExclusiveLock' and not granted)`,
    ),
  );
  first.signal('SIGINT');
  const ended = await first.ended;
  expect(ended).toMatchObject({ code: 3, stdout: '' });
  expect(ended.stderr).toContain('the rollback was called off; nothing was switched');
  await expectKind(control, 'p');
  await application.query('commit');
  expect(await partitioner(['rollback', 'app.events', ...PATIENT], env)).toMatchObject({ code: 0 });
  await expectKind(control, 'r');
});

test('without a daemon no hook is run', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 500);
  const dir = await mkdtemp(join(tmpdir(), 'partitioner-hooks-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const file = join(dir, 'ran');
  const daemon = startDaemon(database.settings, 'app.events');
  await switchOver(daemon, control);
  await daemon.stop();
  const alone = await partitioner(['rollback', 'app.events', '--before', `touch ${file}`], { DATABASE_URL: database.url });
  expect(alone).toMatchObject({ code: 3, stdout: '' });
  expect(alone.stderr).toContain('no daemon runs for app.events');
  expect(await read(file)).toBeNull();
});
