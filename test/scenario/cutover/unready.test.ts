import { expect, test } from 'vitest';
import type { Client } from '../../../src/pg/client.ts';
import { setCutoverStage } from '../../support/cutover-stage.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { holds, until, untilPhase } from '../../support/daemon.ts';

/** What the command line says when everything is there but one thing. */

test('with an anomaly it is never ready: the cutover is refused for good, also to who would wait', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, run } = stage;
  const { rows } = await control.query<{ target: string }>('select target_name as target from partitioner.migration');
  await control.query(`set partitioner.writes = '1'; delete from app.${rows[0]!.target} where id = 5`);
  await control.query(`update app.events set v = 'changed' where id = 5`);
  await until(control, 'an anomaly', () => holds(control, '(select anomalies > 0 from partitioner.position)'));
  await untilPhase(control, 'catchup');
  for (const more of [[], ['--when-ready']]) {
    const refused = await run('cutover', 'app.events', ...more);
    expect(refused).toMatchObject({ code: 6, stdout: '' });
    expect(refused.stderr).toContain('1 changes of app.events did not hit exactly one row of the target');
    expect(refused.stderr).toContain('hint: partitioner abort app.events, and report it');
  }
});

test('with a lag above its limit, and nothing else, the exit code says that it may be tried again', async () => {
  await using database = await createDatabase();
  await using stage = await setCutoverStage(database);
  const { control, run } = stage;
  await using held = await holdApplier(database, control);
  // What nobody publishes moves the end of the WAL too.
  await control.query(`create table app.noise (v text); alter table app.noise alter v set storage external`);
  await control.query(`insert into app.noise select repeat('x', 1 << 20) from generate_series(1, 80)`);
  await untilPhase(control, 'catchup');
  const refused = await run('cutover', 'app.events', '--json');
  expect(refused.code, refused.stdout).toBe(5);
  const { error } = JSON.parse(refused.stdout) as { error: { code: string; message: string; hint: string } };
  expect(error).toMatchObject({ code: 'LAG_TOO_HIGH', hint: 'partitioner cutover app.events --when-ready' });
  expect(error.message).toMatch(
    /^the changes of app\.events are applied \d+ MB and .+ s late, the cutover needs less than 64 MB and 5\.0 s$/,
  );
  await held.letGo();
  expect(await run('cutover', 'app.events', '--when-ready', '--max-lock-hold', '10s')).toMatchObject({ code: 0 });
});

/** A change that has to wait for a lock of somebody else on the target: until it is let go, or the scope is left. */
async function holdApplier(database: TestDatabase, control: Client): Promise<AsyncDisposable & { letGo: () => Promise<void> }> {
  const somebody = await database.client('somebody');
  const { rows } = await control.query<{ target: string }>('select target_name as target from partitioner.migration');
  await somebody.query(`begin; lock table app.${rows[0]!.target} in access exclusive mode`);
  await control.query(`update app.events set v = 'changed' where id = 5`);
  const letGo = async (): Promise<void> => {
    await somebody.query('rollback');
  };
  return { letGo, [Symbol.asyncDispose]: letGo };
}
