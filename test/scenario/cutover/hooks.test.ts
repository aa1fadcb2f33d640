import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { CutoverReceipt } from '../../../src/actions/cutover-context.ts';
import { setCutoverStage } from '../../support/cutover-stage.ts';
import { createDatabase } from '../../support/database.ts';
import { holds } from '../../support/daemon.ts';
import { partitioner } from '../../support/partitioner.ts';

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'partitioner-hooks-'));
  onTestFinished(() => rm(made, { recursive: true }));
  return made;
}

/** What a hook that ran `env > FILE` has seen. */
async function environmentIn(file: string): Promise<Map<string, string>> {
  const lines = (await readFile(file, 'utf8')).split('\n');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

const read = (file: string): Promise<string | null> => readFile(file, 'utf8').catch(() => null);

test('--before that fails refuses the cutover, a rehearsal runs no hook, --after that fails undoes nothing', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, run, daemon } = stage;
  const file = join(await folder(), 'ran');

  const rehearsed = await run('cutover', 'app.events', '--dry-run', '--before', `touch ${file}; exit 3`, '--after', `touch ${file}`);
  expect(rehearsed.code).toBe(0);
  expect(await read(file)).toBeNull();

  const refused = await run('cutover', 'app.events', '--before', `echo said by the hook; exit 3`, '--after', `touch ${file}`);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('said by the hook');
  expect(refused.stderr).toContain('the command of --before refuses the cutover of app.events: it ended with exit code 3');
  expect(await read(file)).toBeNull();
  expect(await holds(control, `(select relkind = 'r' from pg_class where oid = 'app.events'::regclass)`)).toBe(true);
  expect(await holds(control, `not exists (select from partitioner.command where arguments ->> 'dryRun' is null)`)).toBe(true);

  const switched = await run('cutover', 'app.events', '--json', '--after', `echo "$PARTITIONER_PHASE" > ${file}; kill -9 $$`);
  expect(switched.code).toBe(7);
  expect(JSON.parse(switched.stdout)).toMatchObject({ source: 'app.events', differences: 0 });
  expect(switched.stderr).toContain('app.events is switched, but the command of --after failed: it was ended by SIGKILL');
  expect(await read(file)).toBe('switched\n');
  await daemon.ended;
  expect(await holds(control, `(select relkind = 'p' from pg_class where oid = 'app.events'::regclass)`)).toBe(true);
});

test('hooks of the configuration file: in order, with the receipt, their output on stderr, and no password of ours', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, id, daemon } = stage;
  const dir = await folder();
  const config = join(dir, 'partitioner.yaml');
  await writeFile(
    config,
    `before: echo before the switch; env > ${join(dir, 'before')}\ntables:\n  - table: app.events\n    after: echo after it; env > ${join(dir, 'after')}\n`,
  );
  const url = new URL(database.url);
  url.password = 'only-for-us';
  const ran = await partitioner(['cutover', 'app.events', '--no-way-back', '--config', config, '--json', '--database-url', url.href], {});
  expect(ran).toMatchObject({ code: 0, stderr: 'before the switch\nafter it\n' });
  const receipt = JSON.parse(ran.stdout) as CutoverReceipt;
  const [before, after] = [await environmentIn(join(dir, 'before')), await environmentIn(join(dir, 'after'))];
  const common = { PARTITIONER_TABLE: 'app.events', PARTITIONER_MIGRATION: String(id) };
  const ours = (environment: Map<string, string>): object =>
    Object.fromEntries([...environment].filter(([name]) => name.startsWith('PARTITIONER_') && name !== 'PARTITIONER_RECEIPT'));
  expect(ours(before)).toEqual({ ...common, PARTITIONER_PHASE: 'ready' });
  expect(before.has('PARTITIONER_RECEIPT')).toBe(false);
  expect(ours(after)).toEqual({ ...common, PARTITIONER_PHASE: 'switched' });
  expect(JSON.parse(after.get('PARTITIONER_RECEIPT')!)).toEqual(receipt);
  for (const environment of [before, after]) expect(JSON.stringify([...environment])).not.toContain('only-for-us');
  await daemon.ended;
  expect(await holds(control, `(select receipt = $1::jsonb from partitioner.migration)`, [JSON.stringify(receipt)])).toBe(true);
});
