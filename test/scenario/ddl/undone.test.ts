import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import pino from 'pino';
import { expect, test } from 'vitest';
import { fetchFingerprint } from '../../../src/pg/catalog.ts';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { holds, readMigration, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { createEvents, switchAndCompare } from '../../support/events-table.ts';

/** A run that has looked and found what it knows; else it would be altered again before it is seen that it was undone. */
async function untilSettled(control: Client, run: string): Promise<void> {
  await until(control, 'what is known is what is', async () => {
    const look = `select ${run} as pid, source_oid::int as oid, fingerprint from partitioner.migration`;
    const before = (await control.query<{ pid: number | null; oid: number; fingerprint: string }>(look)).rows[0]!;
    await sleep(1_500);
    const { rows } = await control.query(look);
    return (
      before.pid !== null && isDeepStrictEqual(rows[0], before) && (await fetchFingerprint(control, before.oid)) === before.fingerprint
    );
  });
}

test('a comment is made and removed while the daemon looks into it: nothing has happened', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  await createEvents(control, 1_000);
  let said = '';
  const log = pino({ level: 'info' }, { write: (line) => void (said += line) });
  await using daemon = startDaemon(database.settings, 'app.events', {}, { log });
  await untilPhase(control, 'ready');
  const run = `(select pid from pg_stat_activity where datname = current_database() and application_name = 'partitioner fence')`;
  // When it looks into it before it is undone, it follows both: that is no failure either, but not what is to be seen here.
  for (let n = 0; n < 20 && !said.includes('altered back'); n++) {
    const pid = await until(
      control,
      'a run',
      async () => (await control.query<{ pid: number | null }>(`select ${run} as pid`)).rows[0]!.pid,
    );
    // A batch under way, which the run's end waits for.
    const locker = await database.client('application');
    try {
      await locker.query('begin; lock table partitioner.position in exclusive mode');
      await control.query(`update app.events set v = 'meanwhile' where id % 10 = $1`, [n % 10]);
      await until(control, 'the batch waits', () =>
        holds(control, `exists (select from pg_locks where relation = 'partitioner.position'::regclass and not granted)`),
      );
      await control.query(`comment on column app.events.v is 'briefly'`);
      await until(control, 'the run ends', () => holds(control, `${run} is distinct from ${String(pid)}`));
      await control.query('comment on column app.events.v is null');
    } finally {
      await locker.end(); // also when it fails: the daemon's end waits for its batch
    }
    await untilSettled(control, run);
  }
  // Mostly 'altered back'; on a machine that is fast enough it may have followed both each time.
  expect(said).toContain('the source was altered');
  expect(await readMigration(control)).toMatchObject({ phase: 'ready', failure: null });
  await switchAndCompare(control);
  await daemon.ended;
});
