import { expect, test } from 'vitest';
import type { CutoverReceipt } from '../../../src/actions/cutover-context.ts';
import { ATTACHED_DECISIONS, createAttachedEvents } from '../../support/attached-table.ts';
import { catalogSnapshot } from '../../support/catalog-snapshot.ts';
import { setCutoverStage } from '../../support/cutover-stage.ts';
import { createDatabase } from '../../support/database.ts';
import { readMigration, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { partitioner } from '../../support/partitioner.ts';
import { createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

test('a rehearsal of everything that hangs on a table leaves nothing behind, tells the same as the cutover, and the cutover follows', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const reader = await createRole(database, 'nologin', []);
  await createAttachedEvents(control, DEFAULT_MAJOR, reader.name);
  await using daemon = startDaemon(database.settings, 'app.events', { decisions: ATTACHED_DECISIONS });
  await untilPhase(control, 'ready');
  const before = await catalogSnapshot(control);
  const env = { DATABASE_URL: database.url };
  const limits = ['--max-lock-hold', '10s', '--lock-timeout', '1s'];
  const rehearsed = await partitioner(['cutover', 'app.events', '--no-way-back', '--dry-run', '--json', ...limits], env);
  expect(rehearsed).toMatchObject({ code: 0, stderr: '' });
  const rehearsal = JSON.parse(rehearsed.stdout) as CutoverReceipt;
  expect(rehearsal).toMatchObject({ dryRun: true, committedAt: null, differences: 0, attempts: 1 });
  expect(await catalogSnapshot(control)).toEqual(before);
  expect(await readMigration(control)).toMatchObject({ phase: 'ready' });
  const { rows } = await control.query(
    `select (select receipt from partitioner.migration) as receipt, array(select event from partitioner.history where event in ('rehearsed', 'switched')) as events,
       (select count(*)::int from partitioner.after_step) as steps, (select detail from partitioner.history where event = 'rehearsed') as kept`,
  );
  expect(rows).toEqual([{ receipt: null, events: ['rehearsed'], steps: 0, kept: rehearsal }]);

  const text = await partitioner(['cutover', 'app.events', '--no-way-back', '--dry-run', ...limits], env);
  expect(text.code).toBe(0);
  expect(text.stdout).toContain('Rehearsed: everything was done and rolled back');
  expect(text.stdout).toContain('Next: partitioner cutover app.events');
  expect(await catalogSnapshot(control)).toEqual(before);

  const done = await partitioner(['cutover', 'app.events', '--no-way-back', '--json', ...limits], env);
  const receipt = JSON.parse(done.stdout) as CutoverReceipt;
  expect(receipt.dryRun).toBeUndefined();
  const told = ({ objects, sequences, source, retired }: CutoverReceipt): unknown => ({ objects, sequences, source, retired });
  expect(told(receipt)).toEqual(told(rehearsal));
  await daemon.ended;
});

test('a rehearsal ends with the exit codes of the cutover: 5 when a lock is not to be had, 6 when source and target differ', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, run } = stage;
  const application = await database.client('application');
  await application.query('begin; select from app.events limit 1');
  const blocked = await run('cutover', 'app.events', '--dry-run', '--attempts', '2');
  expect(blocked).toMatchObject({ code: 5, stdout: '' });
  expect(blocked.stderr).toContain('last blocked by pid');
  await application.query('commit');
  expect((await run('cutover', 'app.events', '--dry-run')).code).toBe(0);

  const { rows } = await control.query<{ target: string }>('select target_name as target from partitioner.migration');
  await control.query(`set partitioner.writes = '1'; delete from app.${rows[0]!.target} where id = 5`);
  await control.query(`update app.events set v = 'changed' where id = 5`);
  await until(control, 'an anomaly', async () => {
    const found = await control.query<{ anomalies: string }>('select anomalies from partitioner.position');
    return Number(found.rows[0]!.anomalies) > 0;
  });
  const differs = await run('cutover', 'app.events', '--dry-run', '--json');
  expect(differs.code).toBe(6);
  expect(JSON.parse(differs.stdout)).toMatchObject({ error: { code: 'DIFFERENCE' } });
});
