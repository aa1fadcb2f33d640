import { expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbeddedServer } from '../../src/demo/embedded-server.ts';
import { connect, withClient } from '../../src/pg/client.ts';
import { checkAs } from '../support/check.ts';
import { DEFAULT_MAJOR } from '../support/server.ts';
import { createSlot, currentLsn, openStream, untilTrue, WALSENDER } from './open-stream.ts';

it('a stream that counts as a synchronous standby holds the commits of the application', async () => {
  const server = await startEmbeddedServer({ major: DEFAULT_MAJOR, settings: { wal_level: 'logical' } });
  const client = await connect(server.settings, { applicationName: 'test' });
  try {
    await client.query('create schema app; create table app.events (id int, at date not null, primary key (id, at))');
    const slot = await createSlot(client, 'app.events');
    await client.query("alter system set synchronous_standby_names = '*'");
    await client.query('select pg_reload_conf()');
    await untilTrue(client, "current_setting('synchronous_standby_names') = '*'");
    expect(await checkAs(server.settings, 'app.events')).toContainEqual(
      expect.objectContaining({ id: 'synchronous-standbys', severity: 'warning', object: 'synchronous_standby_names' }),
    );

    await using stream = openStream(server, slot);
    await untilTrue(client, `(${WALSENDER}).sync_state = 'sync'`, [slot.slotName]);
    const committed = withClient(server.settings, { applicationName: 'application' }, async (application) => {
      await application.query('set synchronous_commit = on');
      await application.query("insert into app.events values (1, '2024-01-01')");
      return 'committed';
    });
    await untilTrue(client, "exists (select from pg_stat_activity where application_name = 'application' and wait_event = 'SyncRep')");
    expect(await Promise.race([committed, sleep(300, 'waits')])).toBe('waits');
    stream.replication.confirm(await currentLsn(client));
    expect(await committed).toBe('committed');
  } finally {
    await client.end();
    await server.stop('immediate');
  }
});

it('a managed service is known by what it leaves to be seen', async () => {
  const server = await startEmbeddedServer({ major: DEFAULT_MAJOR, settings: { wal_level: 'replica' } });
  const client = await connect(server.settings, { applicationName: 'test' });
  try {
    await client.query('create schema app; create table app.events (id int, at date not null, primary key (id, at))');
    const fix = async (): Promise<string | undefined> =>
      (await checkAs(server.settings, 'app.events')).find(({ id }) => id === 'wal-level')?.fix;
    expect(await fix()).toContain('ALTER SYSTEM');
    await client.query('create role supabase_admin');
    expect(await fix()).toContain('Supabase');
    await client.query('create role neon_superuser');
    expect(await fix()).toContain('Neon');
    await client.query('create role rds_superuser');
    expect(await fix()).toContain('in the parameter group');
    await client.query(
      "set allow_system_table_mods = on; create function pg_catalog.aurora_version() returns text language sql as 'select null'",
    );
    expect(await fix()).toContain('DB cluster parameter group');
    expect((await checkAs(server.settings, 'app.events')).find(({ id }) => id === 'server-version')?.message).toContain('on Amazon Aurora');
  } finally {
    await client.end();
    await server.stop('immediate');
  }
});
