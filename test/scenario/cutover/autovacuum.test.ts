import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../../src/pg/client.ts';
import { setCutoverStage } from '../../support/cutover-stage.ts';
import { createDatabase } from '../../support/database.ts';
import { holds, until } from '../../support/daemon.ts';
import { DEFAULT_MAJOR, startServer } from '../../support/server.ts';

/** A server of its own: its autovacuum looks every second. */
let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  server = await startServer(DEFAULT_MAJOR);
});
afterAll(() => server.stop());

/** Its pages are many, it takes its time over each (minutes in all), and is due after any change, or a hundred thousand transactions. */
const SLOW = `alter table app.events set (fillfactor = 10, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 1,
  autovacuum_vacuum_scale_factor = 0, autovacuum_freeze_max_age = 100000)`;

async function untilVacuumed(control: Client, how: string): Promise<void> {
  await until(control, 'an autovacuum of the table', () =>
    holds(
      control,
      `exists (select from pg_locks l join pg_stat_activity a using (pid) where l.relation = 'app.events'::regclass and l.granted and a.query ~ $1)`,
      [`^autovacuum: VACUUM .*${how}$`],
    ),
  );
}

test('an autovacuum yields to the cutover; one to prevent wraparound does not, and is named', async () => {
  await using database = await createDatabase({ server: server.url });
  await using stage = await setCutoverStage(database, { prepare: (control) => control.query(SLOW) });
  const { control, run, daemon } = stage;
  await control.query(`update app.events set kind = kind + 1`);
  await control.query(`alter system set autovacuum_naptime = '1s'`);
  await control.query('select pg_reload_conf()');
  await untilVacuumed(control, 'events');
  expect(await run('cutover', 'app.events', '--dry-run', '--attempts', '1', '--max-lock-hold', '5s')).toMatchObject({ code: 0 });

  await control.query(`do $$ begin for n in 1..101000 loop perform pg_current_xact_id(); commit; end loop; end $$`);
  // The one that began anew before that would go on for minutes: the next one is of the other kind.
  await control.query(`select pg_cancel_backend(pid) from pg_stat_activity where query ~ '^autovacuum: VACUUM .*events$'`);
  await untilVacuumed(control, '[(]to prevent wraparound[)]');
  const failed = await run('cutover', 'app.events', '--attempts', '2');
  expect(failed).toMatchObject({ code: 5 });
  const named = String.raw`pid \d+ of autovacuum \(\d+ s, to prevent wraparound: it does not yield\)`;
  expect(failed.stderr).toMatch(new RegExp(`warning: .*${named}`));
  expect(failed.stderr).toMatch(new RegExp(`last blocked by ${named}`));
  expect(failed.stderr).toContain('hint: let the VACUUM of pid');
  await daemon.stop();
});
