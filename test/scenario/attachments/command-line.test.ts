import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isDaemonAlive } from '../../../src/actions/command.ts';
import { ATTACHED_DECISIONS, createAttachedEvents } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { endProcess, EVENTS } from '../../support/events-table.ts';
import { until, untilPhase } from '../../support/daemon.ts';
import { leftovers, NO_LEFTOVERS } from '../../support/oracle.ts';
import { partitioner, startPartitioner } from '../../support/partitioner.ts';
import { createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

const TEXTS = Object.entries(ATTACHED_DECISIONS).map(([object, choice]) => `${object}=${choice}`);
const FLAGS = TEXTS.flatMap((text) => ['--decide', text]);

/** Each is named in the plan and in the receipt. */
const NAMED = [
  'z_row', 'refuse_truncate', 'seen', 'of_events', 'events_tenant_fkey', 'events person', 'app.note_of.note_event_fkey', 'app.mark.mark_event_fkey',
  'app.recent', 'app.few', 'app.daily', 'app.empty', 'app.newest()', 'ruled_insert', 'events_pair', 'Of expressions', 'all_of_it',
  'events_number_key', 'events_slug_key', 'events_tag_key',
]; // prettier-ignore

test('the whole way by the command line, with decisions as flags, and in a file the second time', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const reader = await createRole(database, 'nologin', []);
  await createAttachedEvents(control, DEFAULT_MAJOR, reader.name);
  const env = { DATABASE_URL: database.url };
  const table = EVENTS.slice(0, 7);

  const undecided = await partitioner(['check', ...table, '--json'], env);
  expect(undecided.code).toBe(2);
  for (const object of Object.keys(ATTACHED_DECISIONS)) expect(undecided.stdout).toContain(`--decide ${object}=`);
  const mistaken = await partitioner(['check', ...table, ...FLAGS, '--decide', 'unique:nothing_key=drop'], env);
  expect(mistaken).toMatchObject({ code: 2 });
  expect(mistaken.stdout).toContain('unique:nothing_key');
  expect(await partitioner(['check', ...table, '--decide', 'unique:events_tag_key=perhaps'], env)).toMatchObject({ code: 1 });
  expect(await partitioner(['check', ...table, ...FLAGS, '--json'], env)).toMatchObject({ code: 0 });
  for (const shown of [
    await partitioner(['plan', ...table, ...FLAGS], env),
    await partitioner(['plan', ...table, ...FLAGS, '--json'], env),
  ]) {
    expect(shown).toMatchObject({ code: 0 });
    for (const name of NAMED) expect(shown.stdout.replaceAll('\\"', '"'), name).toContain(name);
  }

  const first = startPartitioner(['start', ...EVENTS, ...FLAGS], env);
  const { id } = await untilPhase(control, 'ready').finally(() => endProcess(first));
  // Started again: what was decided is kept; another decision is refused.
  const other = await partitioner(['start', ...EVENTS, '--decide', 'unique:events_tag_key=widen'], env);
  expect(other).toMatchObject({ code: 1 });
  expect(other.stderr).toContain('--decide unique:events_tag_key=widen does not fit');
  const folder = await mkdtemp(join(tmpdir(), 'partitioner-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify({ tables: [{ table: 'app.events', range: 'at', every: 'month', premake: 1, decide: TEXTS }] }));
  const second = startPartitioner(['start', 'app.events', '--config', config, '--http', 'off'], env);
  try {
    await until(control, 'a daemon that takes commands', () => isDaemonAlive(control, id));
    const cutover = await partitioner(
      ['cutover', 'app.events', '--when-ready', '--no-way-back', '--json', '--lock-timeout', '1s', '--max-lock-hold', '10s'],
      env,
    );
    expect(cutover, second.output().stderr).toMatchObject({ code: 0 });
    const { objects } = JSON.parse(cutover.stdout) as { objects: { name: string }[] };
    for (const name of NAMED)
      expect(
        objects.find((object) => object.name.includes(name)),
        name,
      ).toBeDefined();
    expect(await second.ended, second.output().stderr).toMatchObject({ code: 0 });
  } finally {
    await endProcess(second);
  }
  expect(await partitioner(['finish', 'app.events', '--drop-retired'], env)).toMatchObject({ code: 0, stderr: '' });
  expect(await leftovers(control)).toEqual(NO_LEFTOVERS);
  const { rows } = await control.query(
    `select relname from pg_class where relname like 'partitioner%' union all select stxname from pg_statistic_ext where stxname like 'partitioner%'`,
  );
  expect(rows).toEqual([]);
});
