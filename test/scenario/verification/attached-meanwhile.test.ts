import { expect, test } from 'vitest';
import type { Client } from '../../../src/pg/client.ts';
import { createDatabase } from '../../support/database.ts';
import { command, holds, startDaemon, until, untilPhase } from '../../support/daemon.ts';
import { createEvents } from '../../support/events-table.ts';

/** A comparison has its snapshot, and waits to read where the verification stands. */
const COMPARES = `exists (select from pg_stat_activity where application_name = 'partitioner verifier' and wait_event_type = 'Lock'
  and query like '%from partitioner.verification v%' and xact_start < query_start)`;

/** Partitions are no matter of snapshots: one that was attached after a comparison's snapshot is read by it all the same. */
test('a leaf that is attached after the snapshot of a comparison is no difference', { timeout: 240_000 }, async () => {
  await using database = await createDatabase();
  const client = await database.client();
  await createEvents(client, 2_000);
  // The slot waits for it, so that the daemon is paused before its first unit: a key that is touched while one loads is logged again.
  const earlier = await database.client('earlier');
  await earlier.query('begin; select pg_current_xact_id()');
  await using daemon = startDaemon(database.settings, 'app.events');
  const { id } = await untilPhase(client, 'prepared');
  await client.query('update partitioner.migration set paused = true');
  await earlier.query('commit');
  await untilPhase(client, 'backfill');
  const lockers = [await database.client('locker'), await database.client('locker')];
  let turn = 0;
  const lock = (): Promise<unknown> => lockers[turn]!.query('begin; lock table partitioner.verification in access exclusive mode');
  /** One step of the verifier: the next lock waits behind it. */
  const step = async (): Promise<void> => {
    const held = lockers[turn]!;
    turn = 1 - turn;
    const locked = lock();
    await until(client, 'a lock that waits', () => isWaiting(client, 'locker'));
    await held.query('commit');
    await locked;
    await until(client, 'a step that waits', () => isWaiting(client, 'partitioner verifier'));
  };
  await lock();
  await until(client, 'a step that waits', () => isWaiting(client, 'partitioner verifier'));
  const { rows } = await client.query<{ id: string }>(
    `select e.id from app.events e join partitioner.leaf l on l.name = format('events_p%s', to_char(e.at at time zone 'UTC', 'YYYY_MM'))
     join partitioner.unit u using (migration, unit) where u.state = 'pending' order by u.load_order limit 1`,
  );
  expect(rows, 'a row of a leaf that does not load yet').toHaveLength(1);
  await client.query(`update app.events set kind = 77 where id = $1`, [rows[0]!.id]);
  const isLogged = `exists (select from partitioner.changed_${String(id)} where k0 = ${rows[0]!.id})`;
  await until(client, 'the change in the log', () => holds(client, isLogged));
  // Copied, and kept from being attached.
  const keeper = await database.client('keeper');
  const target = await client.query<{ name: string }>(
    `select format('%I.%I', source_schema, target_name) as name from partitioner.migration`,
  );
  await keeper.query(`begin; lock table only ${target.rows[0]!.name} in share update exclusive mode`);
  await command(client, id, 'resume');
  await until(client, 'the unit is to be attached', () => isWaiting(client, 'partitioner applier'));
  // The comparison that was under way is over, and the next one has a snapshot of what is there now.
  do await step();
  while (!(await holds(client, COMPARES)));
  expect(await holds(client, isLogged)).toBe(true);
  await keeper.query('commit');
  await until(client, 'everything live', () => holds(client, `not exists (select from partitioner.unit where state <> 'live')`));
  await lockers[turn]!.query('commit');
  await until(client, 'the log compared', async () => !(await holds(client, isLogged)));
  await until(client, 'no suspect left', () =>
    holds(client, `not exists (select from partitioner.suspect_${String(id)} where state = 'suspected')`),
  );
  expect(await holds(client, `(select not tainted and differences = 0 from partitioner.verification)`)).toBe(true);
  await daemon.stop();
});

function isWaiting(client: Client, name: string): Promise<boolean> {
  return holds(client, `exists (select from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock')`, [name]);
}
