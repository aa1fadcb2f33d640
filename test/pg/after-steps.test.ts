import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { runAfterSteps } from '../../src/actions/after-steps.ts';
import { close, connect, type Client } from '../../src/pg/client.ts';
import { completeControlSchema } from '../../src/pg/control-store.ts';
import { insertMigration } from '../support/control.ts';
import { holds, until } from '../support/daemon.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createRole, type TestRole } from '../support/roles.ts';

/** A stop while something is left to do after a switch: a validation of hours is not waited for. */

const SILENT = { info: () => undefined, error: () => undefined };
const VALIDATES = `exists (select from pg_stat_activity where application_name = 'partitioner after' and datname = current_database() and state = 'active' and wait_event = 'PgSleep')`;

interface Stage {
  readonly id: number;
  readonly role: TestRole;
  readonly owner: Client;
}

/** One step is left: a validation that takes a minute. */
async function prepareStage(database: TestDatabase): Promise<Stage> {
  const role = await createRole(database, 'login', ['connect', 'create']);
  const owner = await connect(role.settings, { applicationName: 'owner' });
  await completeControlSchema(owner);
  const id = await insertMigration(owner, { table: 'events', phase: 'switched' });
  await owner.query(`
    create schema app;
    create function app.slow(v int) returns boolean language sql as 'select pg_sleep(v) is not null';
    create table app.events (v int);
    insert into app.events values (60);
    alter table app.events add constraint slow check (app.slow(v)) not valid;`);
  await owner.query(
    `insert into partitioner.after_step values ($1, 1, 'app.events.slow', 'alter table app.events validate constraint slow')`,
    [id],
  );
  return { id, role, owner };
}

/** Rejects with what it has failed for; resolves when that takes longer than a stop may. */
function endsSoon(running: Promise<unknown>): Promise<unknown> {
  return Promise.race([running, sleep(15_000, 'it goes on', { ref: false })]);
}

async function expectStopped(control: Client, { id, owner }: Stage, running: Promise<unknown>): Promise<void> {
  await expect(endsSoon(running)).rejects.toThrow();
  expect(await holds(control, `not ${VALIDATES}`)).toBe(true);
  expect(await holds(control, '(select done_at is null and failure is null from partitioner.after_step where migration = $1)', [id])).toBe(
    true,
  );
  await close(owner);
}

test('a stop while the next step is looked up is heard before it begins', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const stage = await prepareStage(database);
  await control.query('begin; lock table partitioner.after_step in access exclusive mode');
  const stop = new AbortController();
  const running = runAfterSteps(stage.role.settings, stage.id, SILENT, stop.signal);
  running.catch(() => undefined);
  const asker = await database.client('asker');
  await until(asker, 'it is looked up', () =>
    holds(
      asker,
      `exists (select from pg_stat_activity where application_name = 'partitioner after' and datname = current_database() and wait_event_type = 'Lock')`,
    ),
  );
  stop.abort(new Error('stop'));
  await control.query('commit');
  await expectStopped(control, stage, running);
});

test('a stop that finds no connection to cancel the validation with is repeated until it has one', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const stage = await prepareStage(database);
  const stop = new AbortController();
  const running = runAfterSteps(stage.role.settings, stage.id, SILENT, stop.signal);
  running.catch(() => undefined);
  await until(control, 'it validates', () => holds(control, VALIDATES));
  await control.query(`alter role ${stage.role.name} connection limit 2`);
  stop.abort(new Error('stop'));
  await sleep(1_500);
  expect(await holds(control, VALIDATES)).toBe(true);
  await control.query(`alter role ${stage.role.name} connection limit -1`);
  await expectStopped(control, stage, running);
});
