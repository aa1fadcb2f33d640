import { expect, test } from 'vitest';
import { createDatabase } from '../../support/database.ts';
import { holds, readMigration, until } from '../../support/daemon.ts';
import { createEvents, endProcess, EVENTS, startLoad } from '../../support/events-table.ts';
import { partitioner, startPartitioner, type Running } from '../../support/partitioner.ts';
import { appliedBack, expectFollowed, expectKind } from '../../support/way-back.ts';

const KILLS = 3;
const SWITCH = ['--json', '--lock-timeout', '1s', '--max-lock-hold', '10s'];

test('the daemon of the way back killed under load goes on where it was, by the command line', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 3_000);
  const load = await startLoad(database, 3_000);
  const env = { DATABASE_URL: database.url };
  const start = (): Running => startPartitioner(['start', ...EVENTS], env);
  let daemon = start();
  try {
    const over = await partitioner(['cutover', 'app.events', '--when-ready', ...SWITCH], env).then(async (first) =>
      first.code === 3 ? retried(database.url, env) : first,
    );
    expect(over.code, over.stderr).toBe(0);
    for (let kill = 0; kill < KILLS; kill++) {
      const before = await appliedBack(control);
      await until(control, 'followed', async () => (await appliedBack(control)) > before + 30);
      await endProcess(daemon);
      daemon = start();
    }
    const status = await partitioner(['status', 'app.events'], env);
    expect(status.stdout).toContain('way back open');
    await until(control, 'a daemon', () =>
      holds(
        control,
        `exists (select from pg_stat_activity where application_name = 'partitioner applier' and datname = current_database())`,
      ),
    );
    const back = await partitioner(['rollback', 'app.events', ...SWITCH], env);
    expect(back.code, back.stderr).toBe(0);
    expect(JSON.parse(back.stdout)).toMatchObject({
      migration: 1,
      source: 'app.events',
      retired: 'app.partitioner_1_target_events',
      differences: 0,
    });
    await expectKind(control, 'r');
    await until(control, 'ready', async () => (await readMigration(control))?.phase === 'ready');
    await load.stop();
    await expectFollowed(control, 'partitioner_1_target_events');
    expect(await partitioner(['abort', 'app.events'], env)).toMatchObject({ code: 0 });
    expect((await daemon.ended).code).toBe(0);
  } finally {
    await endProcess(daemon);
  }
});

/** The first question may come before the daemon has opened the migration. */
async function retried(url: string, env: Readonly<Record<string, string>>): ReturnType<typeof partitioner> {
  for (let attempt = 0; ; attempt++) {
    const run = await partitioner(['cutover', 'app.events', '--database-url', url, '--when-ready', ...SWITCH], env);
    if (run.code !== 3 || attempt === 20) return run;
  }
}
