import { expect, test } from 'vitest';
import { checkTable } from '../../../src/actions/check.ts';
import { finishMigration } from '../../../src/actions/finish.ts';
import { connect } from '../../../src/pg/client.ts';
import { DEFAULT_PLAN_OPTIONS } from '../../../src/plan/options.ts';
import pino from 'pino';
import { ATTACHED_DECISIONS, createAttachedEvents } from '../../support/attached-table.ts';
import { createDatabase } from '../../support/database.ts';
import { command, startDaemon, untilPhase } from '../../support/daemon.ts';
import { differingRows } from '../../support/oracle.ts';
import { createMigrator, createRole } from '../../support/roles.ts';
import { DEFAULT_MAJOR } from '../../support/server.ts';

/** With no more than the operations page lists: not the owner itself, but a member of it. */
test('one of each kind, migrated by a member of the role that owns everything', async () => {
  await using database = await createDatabase();
  const control = await database.client();
  const owner = await createRole(database, 'nologin', ['create']);
  const reader = await createRole(database, 'nologin', []);
  const migrator = await createMigrator(database);
  await control.query(
    `grant ${owner.name} to ${migrator.name}; grant pg_monitor to ${owner.name} with admin option; set role ${owner.name}`,
  );
  await createAttachedEvents(control, DEFAULT_MAJOR, reader.name);
  await control.query(`reset role; revoke pg_monitor from ${owner.name}; grant usage, create on schema app to ${migrator.name}`);
  const options = { ...DEFAULT_PLAN_OPTIONS, range: 'at', premake: 1, decisions: ATTACHED_DECISIONS };
  const session = await connect(migrator.settings, { applicationName: 'test' });
  const { findings } = await checkTable(session, migrator.settings, 'app.events', options);
  await session.end();
  expect(findings.filter(({ severity }) => severity === 'blocker')).toEqual([]);

  await using daemon = startDaemon(migrator.settings, 'app.events', { decisions: ATTACHED_DECISIONS });
  const { id, retired_name: retired } = await untilPhase(control, 'ready');
  await command(control, id, 'cutover', { lockTimeoutMs: 1_000, maxLockHoldMs: 10_000, attempts: 60 });
  await daemon.ended;
  expect(await differingRows(control, { schema: 'app', name: 'events' }, { schema: 'app', name: retired })).toEqual([]);
  const { rows: steps } = await control.query('select object, failure from partitioner.after_step where done_at is null');
  expect(steps).toEqual([]);
  await finishMigration(migrator.settings, id, { dropRetired: true }, pino({ level: 'silent' }));

  // Nothing belongs to the role that migrated, and nothing of its name is left.
  const { rows: left } = await control.query(
    `select c.relname::text as name, pg_get_userbyid(c.relowner)::text as owner from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'app' and (pg_get_userbyid(c.relowner) <> $1 or c.relname like 'partitioner%')
     union all
     select p.proname, pg_get_userbyid(p.proowner) from pg_proc p where p.pronamespace = 'app'::regnamespace and pg_get_userbyid(p.proowner) <> $1
     union all
     select s.stxname, pg_get_userbyid(s.stxowner) from pg_statistic_ext s where pg_get_userbyid(s.stxowner) <> $1 or s.stxname like 'partitioner%'`,
    [owner.name],
  );
  expect(left).toEqual([]);
});
